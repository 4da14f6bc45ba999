"""The interactive session of ``ouro repl``: shows what the running daemon does, and takes commands."""

from __future__ import annotations

from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from daemon.control.table import ControlApi


async def run_repl(api: ControlApi, *, stdin: TextIO, stdout: TextIO) -> None:
    """Talk until the person leaves, the input ends or the daemon goes (then ``NoDaemon``)."""
    if stdin.isatty() and stdout.isatty():
        from daemon.repl.terminal import at_a_terminal

        await at_a_terminal(api)
    else:
        from daemon.repl.session import in_a_pipe

        await in_a_pipe(api, stdin, stdout)
