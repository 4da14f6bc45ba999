"""PLAN: what to change and in which order. Checked for coherence; a failed plan does not end the op."""

from __future__ import annotations

from collections.abc import Collection

from pydantic import BaseModel

from governance.conversation import prompts
from governance.conversation.answers import parse_answer
from governance.pipeline.context import OpContext
from governance.pipeline.dossier import ChangePlan, Dossier, PlannedChange
from governance.pipeline.phase import PhaseResult, PhaseSpec
from kernel.provider import Limits, Message
from ledger.errors import ProviderBadOutput
from ledger.events.op import PlanMade
from ledger.vocabulary import Complexity, Operation, Phase, Urgency


class PlanAnswer(BaseModel):
    """A plan in the form the model writes it."""

    approach: str
    ordered_changes: list[PlannedChange] = []
    risk_factors: list[str] = []
    test_strategy: str = ""
    architectural_notes: str = ""
    complexity: str | None = None


def find_incoherence(changes: Collection[PlannedChange], known: Collection[str]) -> str:
    """Why the plan cannot be followed: a cycle, a path outside the repository, a missing folder. Empty when it can."""
    paths = {c.path for c in changes}
    for change in changes:
        parts = change.path.split("/")
        if change.path.startswith("/") or ".." in parts or not change.path:
            return f"{change.path!r} is outside the repository"
        folder = change.path.rpartition("/")[0]
        if change.path not in known and folder and not any(p.startswith(folder + "/") for p in known):
            return f"{change.path!r} stands in a folder that does not exist"
    waiting = {c.path: set(c.after) & paths for c in changes}
    while waiting:
        ready = [p for p, after in waiting.items() if not after & waiting.keys()]
        if not ready:
            return f"the order has a cycle: {', '.join(sorted(waiting))}"
        for path in ready:
            del waiting[path]
    return ""


async def by_model(op: Operation, dossier: Dossier, ctx: OpContext) -> ChangePlan:
    """One request to the model; a bad plan is recorded and the op continues without one."""
    known = set(await ctx.services.repository.files(op.tree))
    context = "\n".join(f"- {f.path}: {f.reason}" for f in (dossier.expansion.files if dossier.expansion else ()))
    asked = prompts.goal(op, (), posture=ctx.client.posture)
    parts = [asked, f"Files chosen as context:\n{prompts.data('context', context)}"]
    user = "\n\n".join([*parts, *prompts.looking_back(dossier)])
    try:
        turn = await ctx.client.turn(
            Phase.PLAN,
            "plan",
            [Message(role="system", text=prompts.PLAN), Message(role="user", text=user)],
            limits=Limits(max_tokens=1_024),
        )
    except ProviderBadOutput as error:
        return ChangePlan(failed=str(error))
    answer, problem = parse_answer(turn.text, PlanAnswer)
    if answer is None:
        return ChangePlan(failed=problem)
    problem = find_incoherence(answer.ordered_changes, known)
    if problem:
        return ChangePlan(failed=problem)
    name = (answer.complexity or "").upper()
    return ChangePlan(
        approach=answer.approach,
        complexity=Complexity[name] if name in Complexity.__members__ else None,
        ordered_changes=tuple(answer.ordered_changes),
        risk_factors=tuple(answer.risk_factors),
        test_strategy=answer.test_strategy,
        architectural_notes=answer.architectural_notes,
    )


async def plan(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
    """The model's plan, or a fixed one for providers that only infill."""
    if ctx.client.provider.capabilities.plans:
        output = await by_model(op, dossier, ctx)
    else:
        output = ChangePlan(
            approach="Reproduce, localise by coverage, infill the suspicious lines, keep what turns the tests green.",
            test_strategy="The failing tests first, then the whole suite.",
            risk_factors=("critical",) if op.urgency is Urgency.CRITICAL else (),
        )
    await ctx.record.note(
        PlanMade(
            approach=output.approach, failed=output.failed, changes=[[c.path, c.what] for c in output.ordered_changes]
        )
    )
    return PhaseResult(output=output, reason=output.failed or "planned")


SPEC = PhaseSpec(output=ChangePlan, run=plan)
