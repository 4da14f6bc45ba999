"""Commands that ask the running daemon. Questions about ops are answered from the record where none runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from daemon.cli.base import Call, answer, awaited, call_of, coloured, leave, sentence
from daemon.codes import Exit

if TYPE_CHECKING:
    from daemon.answers import Answers
    from daemon.api import Ack, OpRef, RejectRequest
    from daemon.client import Client

T = TypeVar("T")
Op = Annotated[str, typer.Argument(help="An op: its short id, any end of its id, or a signal of it.", metavar="OP")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    commands: dict[str, Callable[..., None]] = {
        "status": status,
        "ops": ops,
        "show": show_op,
        "diff": diff,
        "approve": approve,
        "reject": reject,
        "answer": answer_question,
        "cancel": cancel,
        "undo": undo,
        "pause": pause,
        "resume": resume,
        "reload": reload,
        "cost": cost,
        "calibration": calibration,
        "repl": repl,
    }
    for name, command in commands.items():
        app.command(name)(command)


def asked(call: Call, work: Callable[[Client], Awaitable[T]]) -> T:
    """Connect to this repository's daemon and do ``work``."""
    from daemon.client import Client

    config = call.config()

    async def whole() -> T:
        async with await Client.connect(
            config.places.socket, config.settings.control, token=config.places.token
        ) as client:
            return await work(client)

    return awaited(whole())


def told(call: Call, work: Callable[[Client | Answers], Awaitable[T]]) -> T:
    """What a running daemon knows, else what the record says. Without either: ``NoDaemon``."""

    from daemon.client import Client
    from ledger.errors import NoDaemon

    config = call.config()

    async def whole() -> T:
        try:
            client = await Client.connect(config.places.socket, config.settings.control, token=config.places.token)
        except NoDaemon:
            if not config.places.ledger.exists():
                raise
            from daemon.alone import answers

            async with answers(config) as record:
                return await work(record)
        async with client:
            return await work(client)

    return awaited(whole())


def _acknowledge(call: Call, done: Ack) -> None:
    sentence(call, done.message, op=done.op)


def status(
    context: typer.Context, health: Annotated[bool, typer.Option(help="How the daemon itself is.")] = False
) -> None:
    """What runs, what waits, what is red.

    Example: ouro status --json
    """
    from daemon.render import health_block, status_block

    call = call_of(context)
    if health:
        found = asked(call, lambda client: client.health())
        answer(call, found, health_block(found))
        leave(Exit.DONE if found.ok else Exit.FAULT)
        return
    view = asked(call, lambda client: client.status())
    answer(call, view, status_block(view))


def ops(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", "-a", help="Ended ones too.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000)] = 50,
) -> None:
    """Operations: those under way and those that wait for you.

    Example: ouro ops --all
    """
    from daemon.api import OpsRequest
    from daemon.render import ops_block

    call = call_of(context)
    view = told(call, lambda api: api.ops(OpsRequest(all=every, limit=limit)))
    answer(call, view, ops_block(view.ops))


def show_op(context: typer.Context, op: Op) -> None:
    """Everything about one op: why, what was tried, its change, its end.

    Example: ouro show 7f3a21
    """
    from daemon.api import OpRef
    from daemon.render import op_block

    call = call_of(context)
    view = told(call, lambda api: api.show(OpRef(op=op)))
    answer(call, view, op_block(view))


def diff(context: typer.Context, op: Op) -> None:
    """The change of an op, as a unified diff.

    Example: ouro diff 7f3a21 | less
    """
    from daemon.api import OpRef
    from daemon.narrate import short_of
    from daemon.render import diff_block

    call = call_of(context)
    view = told(call, lambda api: api.diff(OpRef(op=op)))
    if not call.json and not coloured():
        typer.echo(view.diff, nl=False)  # to the byte: it may go into `git apply`
    else:
        answer(call, view, diff_block(view.diff) if view.diff else ())
    if not view.diff:
        typer.echo(f"{short_of(view.op)} has no change yet.", err=True)  # not where `git apply` reads
    leave(Exit.DONE if view.diff else Exit.NOTHING)


def approve(context: typer.Context, op: Op) -> None:
    """Let a waiting change through; without a daemon it is applied, verified and committed in this process.

    Example: ouro approve 7f3a21
    """
    from daemon.api import OpRef

    request = OpRef(op=op)
    _decide(call_of(context), request, lambda client: client.approve(request))


def reject(
    context: typer.Context, op: Op, reason: Annotated[str, typer.Option(help="Why; it is remembered.")] = ""
) -> None:
    """Refuse a waiting change.

    Example: ouro reject 7f3a21 --reason "the test is wrong, not the code"
    """
    from daemon.api import RejectRequest

    request = RejectRequest(op=op, reason=reason)
    _decide(call_of(context), request, lambda client: client.reject(request))


def _decide(call: Call, request: OpRef | RejectRequest, work: Callable[[Client], Awaitable[Ack]]) -> None:
    """A daemon goes on with the op by itself; where none runs, what is left of it is done here."""
    from daemon.cli.work import prepared, screen
    from daemon.client import Client
    from ledger.errors import NoDaemon

    config = prepared(call)

    async def whole() -> Exit:
        try:
            client = await Client.connect(config.places.socket, config.settings.control, token=config.places.token)
        except NoDaemon:
            if not config.places.ledger.exists():
                raise
            from daemon import alone

            return await alone.decide(config, request, on_event=screen(call))
        async with client:
            _acknowledge(call, await work(client))
            return Exit.DONE

    leave(awaited(whole()))


def answer_question(
    context: typer.Context, op: Op, text: Annotated[str, typer.Argument(help="Your answer, or the number of a choice.")]
) -> None:
    """Answer what the model of an op asks; OP may be the question's own id. It approves nothing.

    Example: ouro answer 7f3a21 "round half up"
    """
    from daemon.api import AnswerRequest

    call = call_of(context)
    _acknowledge(call, asked(call, lambda client: client.answer(AnswerRequest(op=op, text=text))))


def cancel(context: typer.Context, op: Op) -> None:
    """Stop an op now: its model, its tests, its writes.

    Example: ouro cancel 7f3a21
    """
    from daemon.api import OpRef

    call = call_of(context)
    _acknowledge(call, asked(call, lambda client: client.cancel(OpRef(op=op))))


def undo(context: typer.Context, op: Op) -> None:
    """Revert the commit of an op by a commit of its own.

    Example: ouro undo 7f3a21
    """
    from daemon.api import OpRef
    from daemon.client import Client
    from daemon.settings import prepare_process
    from ledger.errors import NoDaemon

    call, request = call_of(context), OpRef(op=op)
    prepare_process()
    config = call.config()

    async def whole() -> Ack:
        try:
            client = await Client.connect(config.places.socket, config.settings.control, token=config.places.token)
        except NoDaemon:
            if not config.places.ledger.exists():
                raise
            from daemon import alone

            return await alone.undo(config, request)
        async with client:
            return await client.undo(request)

    _acknowledge(call, awaited(whole()))


def pause(context: typer.Context) -> None:
    """Take no new ops; what is under way goes on.

    Example: ouro pause
    """
    call = call_of(context)
    _acknowledge(call, asked(call, lambda client: client.pause()))


def resume(context: typer.Context) -> None:
    """Take ops again.

    Example: ouro resume
    """
    call = call_of(context)
    _acknowledge(call, asked(call, lambda client: client.resume()))


def reload(context: typer.Context) -> None:
    """Check the settings files and restart cleanly with them; broken ones are named, and nothing restarts.

    Example: ouro reload
    """
    call = call_of(context)
    _acknowledge(call, asked(call, lambda client: client.reload()))


def cost(context: typer.Context) -> None:
    """What today has cost, by model and by op.

    Example: ouro cost --json
    """
    from daemon.render import cost_block

    call = call_of(context)
    view = told(call, lambda api: api.cost())
    answer(call, view, cost_block(view))


def calibration(
    context: typer.Context,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw what was said against what came true.")] = None,
) -> None:
    """What was claimed, how surely, and what came true: Brier score, reliability, trust.

    Example: ouro calibration --svg reliability.svg
    """
    from daemon.render_calibration import calibration_block, picture
    from ledger.errors import ControlError

    call = call_of(context)
    view = told(call, lambda api: api.calibration())
    answer(call, view, calibration_block(view))
    if svg is not None:
        try:
            svg.write_text(picture(view), encoding="utf-8")
        except OSError as error:
            raise ControlError(f"{svg} cannot be written: {error.strerror}.", remedy="Name another file.") from error
    leave(Exit.DONE if view.records else Exit.NOTHING)


def repl(context: typer.Context) -> None:
    """Talk to the running daemon and watch it work.

    Example: ouro repl
    """
    import sys

    from daemon.repl import run_repl

    asked(call_of(context), lambda client: run_repl(client, stdin=sys.stdin, stdout=sys.stdout))
