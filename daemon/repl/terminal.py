"""The REPL's face at a terminal: a prompt with history, completion and a status line that events never garble."""

from __future__ import annotations

import sys
from collections.abc import Iterable

from prompt_toolkit import PromptSession, print_formatted_text
from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.patch_stdout import patch_stdout

from daemon.control.messages import OpsRequest, StatusView
from daemon.control.table import ControlApi
from daemon.repl.commands import answer, completions
from daemon.repl.session import beside_events
from daemon.settings.terminal import takes_colour
from daemon.views.render import status_block
from daemon.views.text import money, show


class _Completer(Completer):
    """Completes commands, and ops as they were when the last command was answered."""

    def __init__(self) -> None:
        self.ops: tuple[str, ...] = ()

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        typed = document.text_before_cursor
        start = -len(typed.rpartition(" ")[2])
        return [Completion(word, start_position=start) for word in completions(typed, self.ops)]


def _say(text: str) -> None:
    print_formatted_text(ANSI(text))


async def at_a_terminal(api: ControlApi) -> None:
    """Runs until /q, Ctrl-D or the daemon's end."""
    completer = _Completer()
    session: PromptSession[str] = PromptSession(
        "ouro> ", completer=completer, history=InMemoryHistory(), complete_while_typing=False
    )
    status, colour = await api.status(), takes_colour(sys.stdout)
    _say(show(status_block(status), colour=colour))

    async def talk() -> None:
        toolbar = _toolbar(status)
        while True:
            completer.ops = tuple(op.short for op in (await api.ops(OpsRequest(all=True))).ops)
            try:
                typed = await session.prompt_async(bottom_toolbar=toolbar)
            except (EOFError, KeyboardInterrupt):
                return
            reply = await answer(api, typed, colour=colour)
            if reply.text:
                _say(reply.text)
            if reply.leave:
                return
            toolbar = _toolbar(await api.status())

    with patch_stdout(raw=True):
        await beside_events(api, _say, colour=colour, talk=talk())


def _toolbar(status: StatusView) -> str:
    waiting = f" · {len(status.waiting)} waiting for you" if status.waiting else ""
    today = f"{status.today.ops} ops, {money(status.today.spend.usd_micro)} today"
    return f"{status.state.value} · {len(status.active)} active{waiting} · {today}"
