"""One tool call of an op, made by a model or by a script: checked by the policy, run and recorded.

Results are untrusted text: gate 18 screens them before they reach a model.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

from governance.conversation.injection_screen import look_at, warning
from governance.irongate.secrets.redaction import redact
from governance.pipeline.context import OpContext
from ledger.events.check import GateJudged, ToolCalled
from ledger.vocabulary import Decision, State
from tools.builtin.search_code import SearchCode
from tools.manifest import ToolContext, ToolOutcome

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


async def call_tool(crew: OpContext, phase: State, name: str, arguments: str, context: ToolContext) -> ToolOutcome:
    """Make the call and record it, with the verdicts that refuse. Invalid calls give an outcome, not an exception.

    The ledger keeps the redacted result (up to ``KEPT_CHARS``). The model gets a capped text that names that blob.
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
            await crew.record.note(GateJudged(tool=name, **verdict.model_dump()), phase=phase)
    where = " ".join((name, *(outcome.use.paths or (arguments,))))  # web pages are identified by their URL
    marked = await look_at(crew, phase, where, outcome.text)
    return outcome if marked is None else replace(outcome, text=f"{warning(marked)}\n{outcome.text}")
