"""``ouro repl``: attaches to the running daemon, shows what happens, takes commands.

At a terminal events are printed above the line that is being typed; in a pipe each line read is answered, and the end
of the input is the end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TextIO

from daemon.api import Api, EventsRequest
from daemon.slash import COMMANDS, answer
from daemon.teller import Teller

Say = Callable[[str], None]


async def run_repl(api: Api, *, stdin: TextIO, stdout: TextIO) -> None:
    """Talk until the person leaves, the input ends or the daemon goes (then ``NoDaemon``)."""
    if stdin.isatty() and stdout.isatty():
        from daemon.repl_terminal import at_a_terminal

        await at_a_terminal(api)
        return

    def say(text: str) -> None:
        stdout.write(text + "\n")
        stdout.flush()

    await beside_events(api, say, colour=False, talk=_plain(api, stdin, say))


async def _plain(api: Api, stdin: TextIO, say: Say) -> None:
    while line := await asyncio.to_thread(stdin.readline):
        reply = await answer(api, line, colour=False)
        if reply.text:
            say(reply.text)
        if reply.leave:
            return


async def beside_events(api: Api, say: Say, *, colour: bool, talk: Coroutine[Any, Any, None]) -> None:
    """Show events while ``talk`` runs; the end of one is the end of both, and its error is raised."""
    talking = asyncio.ensure_future(talk)
    following = asyncio.ensure_future(_follow(api, say, colour=colour))
    tasks = (talking, following)
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            if not task.done():
                task.cancel()
        outcomes: Sequence[BaseException | None] = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
            raise outcome


async def _follow(api: Api, say: Say, *, colour: bool) -> None:
    teller = Teller(colour=colour)
    async for event in api.events(EventsRequest()):
        text = teller.event(event)
        if text:
            say(text)


def completions(typed: str, ops: Sequence[str]) -> list[str]:
    """What the last word of ``typed`` can become: a command, or an op for a command that takes one."""
    name, blank, rest = typed.partition(" ")
    if not blank:
        return [command for command in (*COMMANDS, "/help", "/q") if command.startswith(name)]
    command = COMMANDS.get(name)
    if command is None or not command.takes_op or " " in rest:
        return []
    return [op for op in ops if op.startswith(rest)]
