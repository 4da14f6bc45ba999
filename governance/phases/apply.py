"""APPLY: write the approved candidate atomically."""

from __future__ import annotations

import asyncio

from governance.irongate.candidate import g11_staleness
from governance.pipeline.context import OpContext
from governance.pipeline.dossier import Application, Dossier, Feedback, Generation
from governance.pipeline.phase import PhaseResult, PhaseSpec, ResultKind, failed
from governance.risk.named_paths import refused_among
from governance.verification import closure_checks
from ledger.errors import ApplyConflict, StaleBase
from ledger.events.change import ChangeApplying, LandingChosen
from ledger.events.check import GateJudged
from ledger.tasks import run_to_completion
from ledger.vocabulary import Decision, FailureClass, Operation, Phase, RootCause


def stale(op: Operation, head: str | None, reason: str) -> PhaseResult:
    """Back to PLAN with HEAD as the new base; nothing was written."""
    return PhaseResult(
        kind=ResultKind.STALE,
        reason=reason,
        cause=RootCause.STALE_BASE,
        failure=FailureClass.INFRA,
        feedback=Feedback(phase=Phase.APPLY, rule="gate11.target_changed", text=reason),
        replaced=op.model_copy(update={"base": head}) if head else None,
    )


async def apply(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
    """Choose the landing, check that the files are unchanged, and write."""
    services, generation = ctx.services, dossier.require(Generation)
    refusal = refused_among(generation.candidate.touched, services.settings.pipeline.protected_paths)
    if refusal is not None:  # it may have become protected while the op waited for approval
        await ctx.record.note(GateJudged(**refusal.model_dump()), phase=Phase.APPLY)
        why = f"Nothing was written: {refusal.reason} ({refusal.rule})"
        return failed(RootCause.BLOCKED_PATH, FailureClass.POLICY, why)
    made, problem = await closure_checks.make_marks(op, ctx)
    if problem:
        return failed(RootCause.CLOSURE_OPEN, FailureClass.CODE, f"The work cannot be marked as done: {problem}")
    candidate = closure_checks.with_marks(generation.candidate, made)
    landing = await asyncio.to_thread(services.changes.landing, op, candidate)
    await ctx.record.note(LandingChosen(mode=landing.mode, ref=landing.ref, reason=landing.reason, cause=landing.cause))
    if made:  # marks share a file: another op may hold it until its commit
        await services.claims.wait_free(op.id, candidate.paths, limit_s=services.settings.pipeline.claim_wait_s)
    if not await services.claims.widen(op.id, candidate.paths):
        return failed(RootCause.APPLY_CONFLICT, FailureClass.INFRA, "another op works on one of these files")
    neighbours: tuple[str, ...] = ()
    if landing.mode == "branch":
        read = {**generation.reads, **{e.path: e.before for e in candidate.edits}}
        facts = await asyncio.to_thread(g11_staleness.gather, services.places.repo, candidate.paths, read)
        verdict = g11_staleness.check(facts)
        await ctx.record.note(GateJudged(**verdict.model_dump()), phase=Phase.APPLY)
        if verdict.decision is not Decision.ALLOW:
            head = (await services.repository.head()).commit
            return stale(op, head, verdict.reason)
        neighbours = verdict.evidence
    await ctx.record.note(ChangeApplying(paths=candidate.paths, mode=landing.mode))
    try:
        receipt = await run_to_completion(
            asyncio.to_thread(services.changes.apply, op.id, candidate, landing), ctx.resources.keep
        )
    except StaleBase as error:
        return stale(op, (await services.repository.head()).commit, str(error))
    except ApplyConflict as error:
        return failed(RootCause.APPLY_CONFLICT, FailureClass.INFRA, str(error))
    output = Application(receipt=receipt, marks=made, changed_neighbours=neighbours)
    return PhaseResult(output=output, reason=f"{len(candidate.paths)} file(s), {landing.mode}")


SPEC = PhaseSpec(output=Application, run=apply, edges={ResultKind.STALE: Phase.PLAN}, returns=lambda settings: 2)
