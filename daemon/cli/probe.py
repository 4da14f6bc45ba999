"""``ouro model probe``: load the configured model, ask it something short, print answer and timings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli.base import answer, call_of, leave, run_async
from daemon.exit_codes import Exit
from daemon.views.text import Block, Role, duration, line, money

if TYPE_CHECKING:
    from daemon.adapters.model_probe import ProbeView
    from daemon.settings.config import Config
    from daemon.views.narrate import EventLine
    from kernel.provider import Report


def probe(
    context: typer.Context,
    text: Annotated[str, typer.Argument(help="What to ask; default: a small piece of code.")] = "",
    tokens: Annotated[int, typer.Option(min=1, max=8_192, help="Most tokens of the answer.")] = 128,
) -> None:
    """Ask the configured model something short: is it there, how fast is it, how deep does it think?

    Example: ouro model probe "Why is 0.1 + 0.2 not 0.3?" --tokens 200
    """
    from daemon.lifecycle.logs import configure
    from daemon.settings.config import prepare_process

    call = call_of(context)
    config = call.config()
    configure(config.settings.log)
    prepare_process()
    found = run_async(_run_probe(config, text, tokens))
    answer(call, found, probe_block(found))
    leave(Exit.REFUSED if found.finish == "collapsed" else Exit.DONE)


async def _run_probe(config: Config, text: str, tokens: int) -> ProbeView:
    from daemon.adapters.model_probe import PROMPT, probe
    from daemon.adapters.provider import provider_of
    from ledger.clock import SystemClock

    settings = config.settings
    provider = provider_of(config)
    clocks = settings.clocks
    limit_s = clocks.turn_local_s if provider.capabilities.local else clocks.turn_standard_s
    try:
        return await probe(
            provider, text or PROMPT, tokens=tokens, timeout_s=limit_s, budget=settings.budget, clock=SystemClock()
        )
    finally:
        await provider.aclose()


def probe_block(view: ProbeView) -> Block:
    """The answer, then the timings."""
    from daemon.views.narrate import EventLine
    from daemon.views.render import labelled

    usage = view.usage
    guessed = " (estimated)" if usage.estimated else ""
    role = Role.PLAIN if view.finish == "stop" else Role.WARN
    facts = [
        EventLine("model", f"{view.model} · {view.provider}"),
        EventLine("weights", view.weights),
        EventLine("tokens", f"{usage.tokens_in} in, {usage.tokens_out} out{guessed} · {money(view.usd_micro)}"),
        EventLine("time", _format_times(view)),
        EventLine("finish", view.finish, role),
        *_report_lines(view.report),
    ]
    return (*(line(text) for text in view.answer.splitlines()), (), *map(labelled, facts))


def _format_times(view: ProbeView) -> str:
    parts = [
        "" if view.load_ms is None else f"loaded in {duration(view.load_ms)}",
        "" if view.first_token_ms is None else f"first token after {duration(view.first_token_ms)}",
        "" if view.tokens_per_s is None else f"{view.tokens_per_s:.1f} tokens/s",
        f"{duration(view.total_ms)} in all",
    ]
    return " · ".join(part for part in parts if part)


def _report_lines(report: Report | None) -> list[EventLine]:
    from daemon.views.narrate import EventLine

    if report is None:
        return [EventLine("depth", "not reported"), EventLine("canary", "not reported")]
    slope = report.contraction_milli
    contraction = "" if slope is None else f" · contraction {slope / 1000:.2f}"
    return [
        EventLine("depth", f"{report.depth_milli / 1000:.2f}{contraction} · exit {report.exit.replace('_', ' ')}"),
        EventLine("canary", f"{report.proximity_milli / 1000:.2f}, driven by {report.signal}"),
    ]
