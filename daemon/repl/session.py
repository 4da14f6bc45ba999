"""What both forms of the REPL share, events beside the conversation, and the form in a pipe."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TextIO

from daemon.control.messages import EventsRequest
from daemon.control.table import ControlApi
from daemon.repl.commands import answer
from daemon.views.live_blocks import LiveBlocks

Say = Callable[[str], None]


async def in_a_pipe(api: ControlApi, stdin: TextIO, stdout: TextIO) -> None:
    """Answer each line that is read; the end of the input is the end."""

    def say(text: str) -> None:
        stdout.write(text + "\n")
        stdout.flush()

    async def talk() -> None:
        while line := await asyncio.to_thread(stdin.readline):
            reply = await answer(api, line, colour=False)
            if reply.text:
                say(reply.text)
            if reply.leave:
                return

    await beside_events(api, say, colour=False, talk=talk())


async def beside_events(api: ControlApi, say: Say, *, colour: bool, talk: Coroutine[Any, Any, None]) -> None:
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


async def _follow(api: ControlApi, say: Say, *, colour: bool) -> None:
    blocks = LiveBlocks(colour=colour)
    async for event in api.events(EventsRequest()):
        text = blocks.event(event)
        if text:
            say(text)
