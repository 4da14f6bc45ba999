"""Commands that do work: the daemon itself, one op in front of the owner, a goal handed in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.base import Call, call_of, leave, run_async, sentence
from daemon.cli.connect import ask, config_for_work, event_printer, reach
from daemon.exit_codes import Exit
from ledger.errors import NoDaemon

if TYPE_CHECKING:
    from daemon.control.client import Client
    from daemon.control.messages import FixRequest, SubmitRequest


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    commands: dict[str, Callable[..., None]] = {"run": run, "fix": fix, "submit": submit}
    for name, command in commands.items():
        app.command(name)(command)


def run(
    context: typer.Context,
    once: Annotated[bool, typer.Option("--once", help="Work off what is there, then end: for cron and CI.")] = False,
) -> None:
    """Watch the repository and repair it, until stopped.

    Example: ouro run --once
    """
    call = call_of(context)
    config = config_for_work(call)
    from daemon.lifecycle.one_boot import run_once
    from daemon.lifecycle.serve import reexecute, serve

    if once:
        code = run_async(run_once(config, request=None, on_event=event_printer(call)))
    else:
        code = run_async(serve(config, on_event=event_printer(call)))
    if code == Exit.RESTART and config.notify_socket is None:
        reexecute()  # nobody else would start it again
    leave(Exit(code))


def fix(
    context: typer.Context,
    node_id: Annotated[str | None, typer.Argument(help="Only this test; default: whatever is red.")] = None,
) -> None:
    """Look for a red test now, repair it, and wait for the end.

    Example: ouro fix tests/test_cart.py::test_total
    """
    from daemon.cli.follow import fix_and_wait
    from daemon.control.messages import FixRequest

    call = call_of(context)
    request = FixRequest(node_id=node_id)
    _through_daemon_or_here(call, request, lambda client: fix_and_wait(client, request, event_printer(call)))


def submit(
    context: typer.Context,
    goal: Annotated[str, typer.Argument(help="What is to be done, in a sentence.")],
    files: Annotated[list[str] | None, typer.Option("--files", help="A file it is about; may be repeated.")] = None,
    closed_when: Annotated[
        list[str] | None, typer.Option("--closed-when", help="A test that passes when it is done; may be repeated.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until it has ended or waits for you.")] = False,
) -> None:
    """Hand in work of your own. Without --closed-when it needs your approval at the end.

    Example: ouro submit "Round totals half up" --files shop/cart.py --closed-when tests/test_cart.py::test_round
    """
    from daemon.cli.follow import submit_and_wait
    from daemon.control.messages import SubmitRequest

    call = call_of(context)
    request = SubmitRequest(goal=goal, files=tuple(files or ()), closed_when=tuple(closed_when or ()))
    if wait:
        _through_daemon_or_here(call, request, lambda client: submit_and_wait(client, request, event_printer(call)))
        return
    done = ask(call, lambda api: api.submit(request))
    then = f"{done.status} as {done.signal} · `ouro ops` shows its op, `ouro show {done.signal}` what became of it"
    sentence(call, done.message or then, signal=done.signal, status=done.status)


def _through_daemon_or_here(
    call: Call, request: FixRequest | SubmitRequest, work: Callable[[Client], Awaitable[Exit]]
) -> None:
    """Ask the running daemon; where none runs, do the same in this process."""
    config = config_for_work(call)

    async def here(missing: NoDaemon) -> Exit:
        from daemon.lifecycle.one_boot import run_once

        return Exit(await run_once(config, request=request, on_event=event_printer(call)))

    leave(run_async(reach(config, work, here)))
