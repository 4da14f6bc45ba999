"""One tool call of an op, by its model or by a script: judged by the policy, run, recorded as an entry of its own.

What it brings is text from outside: gate 18 looks at it before anybody reads it.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from governance.crew import Crew
from governance.irongate.g15_secrets import redact
from governance.outside import look_at, warning
from ledger.vocabulary import Decision, EntryKind, State
from tools.builtin.search_code import SearchCode
from tools.manifest import ToolContext, ToolOutcome

SHOWN_ARGUMENTS = 2_000
KEPT_CHARS = 1_000_000
BEHIND = 20_000  # what stands on the other side of a cut: a key is longer than a piece of it that tells nothing
END_CHARS = 100_000
"""Of what is longer than that, the end from which the model is shown something."""


def has_found(outcome: ToolOutcome) -> bool | None:
    """Pure: whether a search found something; None for what is no search, and for one that was not made."""
    if outcome.use.tool != SearchCode.name or not outcome.use.ok:
        return None
    return outcome.use.found


async def call_tool(crew: Crew, phase: State, name: str, arguments: str, context: ToolContext) -> ToolOutcome:
    """Make the call; a refusal leaves its verdict too. A mistake in it is an outcome, never an exception.

    The record keeps the whole result; what goes to the model is capped and says under which id the whole is kept.
    """
    outcome = await crew.shop.toolbox.call(name, arguments, context)
    whole = await asyncio.to_thread(lambda: redact(outcome.whole[: KEPT_CHARS + BEHIND])[:KEPT_CHARS])
    blob = await crew.record.ledger.put_blob(whole.encode("utf-8", errors="replace"))
    if outcome.text != outcome.whole:
        start = max(KEPT_CHARS, len(outcome.whole) - END_CHARS)
        more = outcome.whole[start - BEHIND :] if start < len(outcome.whole) else ""
        end = (await asyncio.to_thread(redact, more))[BEHIND:]
        text = crew.shop.toolbox.capped(whole + end, f"blob {blob[:12]} of the ledger")
        outcome = replace(outcome, text=text)
    await crew.record.note(
        EntryKind.TOOL,
        "tool.called",
        phase=phase,
        tool=name,
        arguments=arguments[:SHOWN_ARGUMENTS],
        ok=outcome.use.ok,
        score=outcome.use.score,
        rule=outcome.verdict.rule,
        found=has_found(outcome),
        result=blob,
    )
    for verdict in (outcome.verdict, *outcome.refused):
        if verdict.decision is not Decision.ALLOW:
            await crew.record.note(EntryKind.VERDICT, "gate", phase=phase, tool=name, **verdict.model_dump(mode="json"))
    where = " ".join((name, *(outcome.use.paths or (arguments,))))  # a page is told by its address
    marked = await look_at(crew, phase, where, outcome.text)
    return outcome if marked is None else replace(outcome, text=f"{warning(marked)}\n{outcome.text}")
