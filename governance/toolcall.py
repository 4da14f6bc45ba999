"""One tool call of an op, by its model or by a script: judged by the policy, run, recorded as an entry of its own."""

from __future__ import annotations

from governance.crew import Crew
from governance.irongate.g15_secrets import redact
from ledger.vocabulary import Decision, EntryKind, State
from tools.manifest import ToolContext, ToolOutcome

SHOWN_ARGUMENTS = 2_000


async def call_tool(crew: Crew, phase: State, name: str, arguments: str, context: ToolContext) -> ToolOutcome:
    """Make the call; a refusal leaves its verdict too. A mistake in it is an outcome, never an exception."""
    outcome = await crew.shop.toolbox.call(name, arguments, context)
    await crew.record.note(
        EntryKind.TOOL, "tool.called", phase=phase, tool=name, arguments=arguments[:SHOWN_ARGUMENTS],
        ok=outcome.use.ok, score=outcome.use.score, rule=outcome.verdict.rule,
        result=await crew.record.ledger.put_blob(redact(outcome.text).encode("utf-8", errors="replace")),
    )  # fmt: skip
    if outcome.verdict.decision is Decision.DENY:
        verdict = outcome.verdict.model_dump(mode="json")
        await crew.record.note(EntryKind.VERDICT, "gate", phase=phase, tool=name, **verdict)
    return outcome
