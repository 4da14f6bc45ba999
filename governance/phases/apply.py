"""APPLY: write the approved candidate atomically."""

from __future__ import annotations

import asyncio

from governance import closing
from governance.crew import Crew
from governance.dossier import Application, Dossier, Feedback
from governance.irongate import g11_staleness
from governance.named_paths import refused_among
from governance.result import PhaseResult, failed
from governance.uninterrupted import uninterrupted
from ledger.errors import ApplyConflict, StaleBase
from ledger.vocabulary import Decision, EntryKind, FailureClass, Operation, RootCause, State


def stale(op: Operation, head: str | None, reason: str) -> PhaseResult:
    """Back to PLAN with HEAD as the new base; nothing was written."""
    return PhaseResult(
        next=State.PLAN,
        reason=reason,
        cause=RootCause.STALE_BASE,
        failure=FailureClass.INFRA,
        feedback=Feedback(phase=State.APPLY, rule="gate11.target_changed", text=reason),
        replaced=op.model_copy(update={"base": head}) if head else None,
    )


async def apply(op: Operation, dossier: Dossier, crew: Crew) -> PhaseResult:
    """Choose the landing, check that the files are unchanged, and write."""
    generation = dossier.generation
    if generation is None:
        return failed(RootCause.INTERNAL, FailureClass.INTERNAL, "APPLY without a candidate")
    shop = crew.shop
    refusal = refused_among(generation.candidate.touched, shop.settings.pipeline.protected_paths)
    if refusal is not None:  # it may have become protected while the op waited for approval
        await crew.record.note(EntryKind.VERDICT, "gate", phase=State.APPLY, **refusal.model_dump(mode="json"))
        why = f"Nothing was written: {refusal.reason} ({refusal.rule})"
        return failed(RootCause.BLOCKED_PATH, FailureClass.POLICY, why)
    made, problem = await closing.marks(op, crew)
    if problem:
        return failed(RootCause.CLOSURE_OPEN, FailureClass.CODE, f"The work cannot be marked as done: {problem}")
    candidate = closing.with_marks(generation.candidate, made)
    landing = await asyncio.to_thread(shop.changes.landing, op, candidate)
    await crew.record.note(
        EntryKind.CHANGE, "landing.chosen", phase=State.APPLY, mode=landing.mode, ref=landing.ref, reason=landing.reason
    )
    if made:  # marks share a file: another op may hold it until its commit
        await shop.claims.wait_free(op.id, candidate.paths, limit_s=shop.settings.pipeline.claim_wait_s)
    if not await shop.claims.widen(op.id, candidate.paths):
        return failed(RootCause.APPLY_CONFLICT, FailureClass.INFRA, "another op works on one of these files")
    neighbours: tuple[str, ...] = ()
    if landing.mode == "branch":
        read = {**generation.reads, **{e.path: e.before for e in candidate.edits}}
        facts = await asyncio.to_thread(g11_staleness.gather, shop.places.repo, candidate.paths, read)
        verdict = g11_staleness.check(facts)
        await crew.record.note(EntryKind.VERDICT, "gate", phase=State.APPLY, **verdict.model_dump(mode="json"))
        if verdict.decision is not Decision.ALLOW:
            head = (await shop.repository.head()).commit
            return stale(op, head, verdict.reason)
        neighbours = verdict.evidence
    await crew.record.note(
        EntryKind.CHANGE, "change.applying", phase=State.APPLY, paths=list(candidate.paths), mode=landing.mode
    )
    try:
        receipt = await uninterrupted(
            asyncio.to_thread(shop.changes.apply, op.id, candidate, landing), crew.holdings.keep
        )
    except StaleBase as error:
        return stale(op, (await shop.repository.head()).commit, str(error))
    except ApplyConflict as error:
        return failed(RootCause.APPLY_CONFLICT, FailureClass.INFRA, str(error))
    output = Application(receipt=receipt, marks=made, changed_neighbours=neighbours)
    return PhaseResult(next=State.VERIFY, output=output, reason=f"{len(candidate.paths)} file(s), {landing.mode}")
