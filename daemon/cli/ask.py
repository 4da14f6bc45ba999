"""Commands that ask the daemon. Methods that the control table answers from the record work without one."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.base import answer, call_of, leave, run_async, sentence
from daemon.cli.connect import acknowledge, ask, attach, config_for_work, event_printer, reach, show
from daemon.exit_codes import Exit
from ledger.errors import ControlError, NoDaemon

if TYPE_CHECKING:
    from daemon.control.client import Client
    from daemon.control.messages import Ack, ApproveRequest, RejectRequest

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


def status(
    context: typer.Context, health: Annotated[bool, typer.Option(help="How the daemon itself is.")] = False
) -> None:
    """What runs, what waits, what is red.

    Example: ouro status --json
    """
    if health:
        found = show(context, lambda api: api.health())
        leave(Exit.DONE if found.ok else Exit.FAULT)
        return
    show(context, lambda api: api.status())


def ops(
    context: typer.Context,
    every: Annotated[bool, typer.Option("--all", "-a", help="Ended ones too.")] = False,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000)] = 50,
) -> None:
    """Operations: those under way and those that wait for you.

    Example: ouro ops --all
    """
    from daemon.control.messages import OpsRequest

    show(context, lambda api: api.ops(OpsRequest(all=every, limit=limit)))


def show_op(context: typer.Context, op: Op) -> None:
    """Everything about one op: why, what was tried, its change, its end.

    Example: ouro show 7f3a21
    """
    from daemon.control.messages import OpRef

    show(context, lambda api: api.show(OpRef(op=op)))


def diff(context: typer.Context, op: Op) -> None:
    """The change of an op, as a unified diff.

    Example: ouro diff 7f3a21 | less
    """
    from daemon.control.messages import OpRef
    from daemon.views.narrate import short_of
    from daemon.views.render import diff_block

    call = call_of(context)
    view = ask(call, lambda api: api.diff(OpRef(op=op)))
    if not call.json and not sys.stdout.isatty():
        typer.echo(view.diff, nl=False)  # to the byte: it may go into `git apply`
    else:
        answer(call, view, diff_block(view.diff) if view.diff else ())
    if not view.diff:
        typer.echo(f"{short_of(view.op)} has no change yet.", err=True)  # not where `git apply` reads
    leave(Exit.DONE if view.diff else Exit.NOTHING)


def approve(
    context: typer.Context,
    op: Op,
    diff: Annotated[str, typer.Argument(help="The change that you mean; needed where an op asks again.")] = "",
) -> None:
    """Let a waiting change through; without a daemon it is applied, verified and committed in this process.

    Example: ouro approve 7f3a21
    """
    from daemon.control.messages import ApproveRequest

    request = ApproveRequest(op=op, diff=diff)
    _decide(context, request, lambda client: client.approve(request))


def reject(
    context: typer.Context, op: Op, reason: Annotated[str, typer.Option(help="Why; it is remembered.")] = ""
) -> None:
    """Refuse a waiting change.

    Example: ouro reject 7f3a21 --reason "the test is wrong, not the code"
    """
    from daemon.control.messages import RejectRequest

    request = RejectRequest(op=op, reason=reason)
    _decide(context, request, lambda client: client.reject(request))


def _decide(
    context: typer.Context, request: ApproveRequest | RejectRequest, work: Callable[[Client], Awaitable[Ack]]
) -> None:
    """A daemon continues the op by itself; where none runs, the rest of it is done here."""
    call = call_of(context)
    config = config_for_work(call)

    async def order(client: Client) -> Exit:
        done = await work(client)
        sentence(call, done.message, op=done.op)
        return Exit.DONE

    async def here(missing: NoDaemon) -> Exit:
        if not config.places.ledger.exists():
            raise missing
        from daemon.lifecycle import one_boot

        return await one_boot.decide(config, request, on_event=event_printer(call))

    leave(run_async(reach(config, order, here)))


def answer_question(
    context: typer.Context, op: Op, text: Annotated[str, typer.Argument(help="Your answer, or the number of a choice.")]
) -> None:
    """Answer what the model of an op asks; OP may be the question's own id. It approves nothing.

    Example: ouro answer 7f3a21 "round half up"
    """
    from daemon.control.messages import AnswerRequest

    acknowledge(context, lambda api: api.answer(AnswerRequest(op=op, text=text)))


def cancel(context: typer.Context, op: Op) -> None:
    """Stop an op now: its model, its tests, its writes.

    Example: ouro cancel 7f3a21
    """
    from daemon.control.messages import OpRef

    acknowledge(context, lambda api: api.cancel(OpRef(op=op)))


def undo(context: typer.Context, op: Op) -> None:
    """Revert the commit of an op by a commit of its own.

    Example: ouro undo 7f3a21
    """
    from daemon.control.messages import OpRef

    request = OpRef(op=op)
    acknowledge(context, lambda api: api.undo(request))


def pause(context: typer.Context) -> None:
    """Take no new ops; ops under way continue.

    Example: ouro pause
    """
    acknowledge(context, lambda api: api.pause())


def resume(context: typer.Context) -> None:
    """Take ops again.

    Example: ouro resume
    """
    acknowledge(context, lambda api: api.resume())


def reload(context: typer.Context) -> None:
    """Check the settings files and restart cleanly with them; broken ones are named, and nothing restarts.

    Example: ouro reload
    """
    acknowledge(context, lambda api: api.reload())


def cost(context: typer.Context) -> None:
    """What today has cost, by model and by op.

    Example: ouro cost --json
    """
    show(context, lambda api: api.cost())


def calibration(
    context: typer.Context,
    svg: Annotated[Path | None, typer.Option(metavar="FILE", help="Draw what was said against what came true.")] = None,
) -> None:
    """What was claimed, how surely, and what came true: Brier score, reliability, trust.

    Example: ouro calibration --svg reliability.svg
    """
    from daemon.views.render_calibration import picture

    view = show(context, lambda api: api.calibration())
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

    attach(call_of(context), lambda client: run_repl(client, stdin=sys.stdin, stdout=sys.stdout))
