"""Commands for the queue of work: signals, sensors, retry, drop, posture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from daemon.cli.base import leave
from daemon.cli.connect import acknowledge, show
from daemon.exit_codes import Exit

SIGNAL = Annotated[str, typer.Argument(help="A signal: its short id, or any end of its id.", metavar="SIGNAL")]


def register(app: typer.Typer) -> None:
    """Add the commands of this file."""
    commands: dict[str, Callable[..., None]] = {"signals": signals, "sensors": sensors, "retry": retry, "drop": drop}
    for name, command in commands.items():
        app.command(name)(command)
    posture = typer.Typer(
        help="How much work the daemon takes on: EXPLORE, CONSOLIDATE, HARDEN or MAINTAIN.", invoke_without_command=True
    )
    posture.callback()(posture_default)
    posture.command("show")(posture_show)
    posture.command("set")(posture_set)
    posture.command("clear")(posture_clear)
    app.add_typer(posture, name="posture")


def signals(
    context: typer.Context,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=10_000, help="Show at most this many.")] = 200,
) -> None:
    """The queue: waiting signals and the reasons, signals in work, dead letters, quarantine.

    Example: ouro signals --json
    """
    from daemon.control.intake_messages import SignalsRequest

    view = show(context, lambda api: api.signals(SignalsRequest(limit=limit)))
    leave(Exit.DONE if view.signals else Exit.NOTHING)


def sensors(context: typer.Context) -> None:
    """Every source of work: its signals, its cap, and the reason if it is held back.

    Example: ouro sensors
    """
    show(context, lambda api: api.sensors())


def retry(context: typer.Context, signal: SIGNAL) -> None:
    """Queue a parked, quarantined, dead or held back signal, with fresh attempts and regardless of the caps.

    Example: ouro retry 7f3a21
    """
    from daemon.control.intake_messages import SignalRef

    acknowledge(context, lambda api: api.retry(SignalRef(signal=signal)))


def drop(
    context: typer.Context, signal: SIGNAL, why: Annotated[str, typer.Option(help="Why; it is recorded.")]
) -> None:
    """Take a signal out of the queue for good.

    Example: ouro drop 7f3a21 --why "that test is obsolete"
    """
    from daemon.control.intake_messages import DropRequest

    acknowledge(context, lambda api: api.drop(DropRequest(signal=signal, why=why)))


def posture_default(context: typer.Context) -> None:
    """Show the posture when no subcommand is given.

    Example: ouro posture
    """
    if context.invoked_subcommand is None:
        posture_show(context)


def posture_show(context: typer.Context) -> None:
    """The posture, where it comes from, and what else lowers the caps.

    Example: ouro posture show --json
    """
    _posture(context, action="show")


def posture_set(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="EXPLORE, CONSOLIDATE, HARDEN or MAINTAIN.")],
    why: Annotated[str, typer.Option(help="Why; it is recorded.")],
    hours: Annotated[float, typer.Option(help="For how long: 24 at most.")] = 4,
) -> None:
    """Set the posture for some hours.

    Example: ouro posture set HARDEN --hours 8 --why "release day"
    """
    _posture(context, action="set", name=name.upper(), hours=hours, why=why)


def posture_clear(context: typer.Context) -> None:
    """Let the daemon infer the posture again.

    Example: ouro posture clear
    """
    _posture(context, action="clear")


def _posture(context: typer.Context, **fields: object) -> None:
    from daemon.control.intake_messages import PostureRequest

    request = PostureRequest.model_validate(fields)
    show(context, lambda api: api.posture(request))
