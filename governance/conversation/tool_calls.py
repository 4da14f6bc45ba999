"""Tool calls of an op, made by a model or by a script: checked by the policy, run and recorded.

Results are untrusted text: gate 18 screens them before they reach a model. A turn's calls run in order: read-only
neighbours concurrently, the others one at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from governance.conversation.injection_screen import screen_text, warning
from governance.irongate.secrets.redaction import redact
from governance.pipeline.context import OpContext
from kernel.provider import ToolCall
from ledger.events.check import GateJudged, ToolCalled
from ledger.parsers.json import read_json
from ledger.vocabulary import Decision, Phase
from tools.builtin.search_code import SearchCode
from tools.manifest import ToolContext, ToolOutcome, ToolUse

SHOWN_ARGUMENTS = 2_000
KEPT_CHARS = 1_000_000
BEHIND = 20_000  # characters past a cut that redaction reads as well, so that a key split by the cut is recognised
END_CHARS = 100_000
"""Of a result longer than ``KEPT_CHARS``: the final part, from which the tail shown to the model is taken."""


def has_found(outcome: ToolOutcome) -> bool | None:
    """Whether a code search found something; None for other tools and for failed searches. Pure."""
    if outcome.use.tool != SearchCode.name or not outcome.use.ok:
        return None
    return outcome.use.found


async def call_tool(ctx: OpContext, phase: Phase, name: str, arguments: str, context: ToolContext) -> ToolOutcome:
    """Make the call and record it, with the verdicts that refuse. Invalid calls give an outcome, not an exception.

    The ledger keeps the redacted result (up to ``KEPT_CHARS``). The model gets a capped text that names that blob.
    """
    outcome = await ctx.services.toolbox.call(name, arguments, context)
    whole = await asyncio.to_thread(lambda: redact(outcome.whole[: KEPT_CHARS + BEHIND])[:KEPT_CHARS])
    blob = await ctx.record.ledger.put_blob(whole.encode("utf-8", errors="replace"))
    if outcome.text != outcome.whole:
        start = max(KEPT_CHARS, len(outcome.whole) - END_CHARS)
        more = outcome.whole[start - BEHIND :] if start < len(outcome.whole) else ""
        end = (await asyncio.to_thread(redact, more))[BEHIND:]
        text = ctx.services.toolbox.capped(whole + end, f"blob {blob[:12]} of the ledger")
        outcome = replace(outcome, text=text)
    await ctx.record.note(
        ToolCalled(
            tool=name,
            arguments=arguments[:SHOWN_ARGUMENTS],
            ok=outcome.use.ok,
            score=outcome.use.score,
            rule=outcome.verdict.rule,
            found=has_found(outcome),
            result=blob,
        ),
        phase=phase,
    )
    for verdict in (outcome.verdict, *outcome.refused):
        if verdict.decision is not Decision.ALLOW:
            await ctx.record.note(GateJudged(tool=name, **verdict.model_dump()), phase=phase)
    where = " ".join((name, *(outcome.use.paths or (arguments,))))  # web pages are identified by their URL
    marked = await screen_text(ctx, phase, where, outcome.text)
    return outcome if marked is None else replace(outcome, text=f"{warning(marked)}\n{outcome.text}")


def batches(calls: Sequence[ToolCall], alone: Callable[[str], bool]) -> list[list[ToolCall]]:
    """Consecutive calls that may run concurrently; a call that changes files or runs something is alone. Pure."""
    made: list[list[ToolCall]] = []
    for call in calls:
        if made and not alone(call.name) and not alone(made[-1][-1].name):
            made[-1].append(call)
        else:
            made.append([call])
    return made


async def run_calls(ctx: OpContext, phase: Phase, calls: Sequence[ToolCall], context: ToolContext) -> list[ToolOutcome]:
    """Check, run and record each call; outcomes in the order of the calls.

    Calls beyond the concurrency limit wait, so that the policy does not refuse them.
    """
    slots = asyncio.Semaphore(ctx.services.toolbox.at_once)

    async def one(call: ToolCall) -> ToolOutcome:
        async with slots:
            return await call_tool(ctx, phase, call.name, call.arguments, context)

    outcomes: list[ToolOutcome] = []
    for batch in batches(calls, ctx.services.toolbox.runs_alone):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(call)) for call in batch]
        outcomes += [task.result() for task in tasks]
    return outcomes


def names_of(calls: Sequence[ToolCall]) -> list[str]:
    """The first tool names, for an entry."""
    return [call.name[:80] for call in calls[:20]]


def title_of(use: ToolUse) -> str:
    """A short title of a call, such as ``get_callers total``."""
    try:
        given = read_json(use.arguments)
    except ValueError:
        given = {}
    values = given.values() if isinstance(given, dict) else ()
    return " ".join([use.tool, *(str(value) for value in values if value not in ("", None))])[:200]
