"""Applies the grounding policy at GATE, and records its inputs for replay."""

from __future__ import annotations

from governance.grounding.claim_verdict import TOO_FEW_SOURCES, ClaimVerdict, GroundingFacts, judge
from governance.grounding.ground import ground_of
from governance.grounding.sources import evidence_of, sources_of, stale_of, with_ages
from governance.pipeline.context import OpContext, Regrounding
from governance.pipeline.dossier import Dossier, Feedback, Generation
from governance.pipeline.phase import PhaseResult, ResultKind
from governance.recordable import texts_without_secrets
from ledger.events.model import GroundJudged
from ledger.vocabulary import FailureClass, Operation, Phase, RootCause, Tier


async def judge_candidate(
    op: Operation, dossier: Dossier, ctx: OpContext, generation: Generation, *, risk: Tier, again: bool
) -> ClaimVerdict:
    """The policy's verdict on the candidate's sources.

    ``risk``: the tier that the candidate would get without it; ``again``: whether GENERATE may gather more evidence.
    """
    ground = ground_of(ctx.services, op, dossier, strategy=generation.candidate.strategy)
    known = evidence_of(op, generation.exploration, generation.reads, generation.failed)
    _, changed = await branch_now(op, ctx)
    evidence = texts_without_secrets(with_ages(known, op, changed=changed, now=ctx.services.clock.now()))
    facts = GroundingFacts(
        risk=risk,
        complexity=dossier.complexity,
        trust_bp=ground.trust_bp,
        proximity_milli=generation.proximity_milli,
        sources=sources_of(evidence),
        again=again,
        settings=ground.settings,
        stale=stale_of(evidence),
    )
    found = judge(facts)
    await ctx.record.note(
        GroundJudged(
            stand=found.stand.value,
            why=found.why,
            min_sources=found.min_sources,
            facts=facts.model_dump(mode="json"),
            behind=await ctx.record.ledger.put_blob(evidence.model_dump_json().encode()),
        )
    )
    return found


async def branch_now(op: Operation, ctx: OpContext) -> tuple[str, tuple[str, ...]]:
    """HEAD, and the paths that differ between the op's base and HEAD, whose evidence is out of date."""
    head = (await ctx.services.repository.head()).commit or op.base
    return head, () if head == op.base else await ctx.services.repository.changed_between(op.base, head)


async def send_back(op: Operation, ctx: OpContext, stood: ClaimVerdict, generation: Generation) -> PhaseResult:
    """Back to GENERATE to gather evidence. The candidate itself was not refused and may be proposed again.

    When HEAD has changed a file that was read, HEAD becomes the op's base: at the old one the evidence would stay
    stale.
    """
    head, changed = await branch_now(op, ctx)
    is_stale = op.tree == op.base and not set(changed).isdisjoint(generation.reads)
    evidence = evidence_of(op, generation.exploration, generation.reads, generation.failed)
    caution = ctx.resources.regrounding.caution_milli
    ctx.resources.regrounding = Regrounding(
        sources=sources_of(evidence), paths=tuple(generation.reads), caution_milli=caution
    )
    text = f"The change stands on too little: {stood.why}. Look at more of what it touches before it is proposed."
    return PhaseResult(
        kind=ResultKind.RETRY,
        reason=f"{stood.why} ({TOO_FEW_SOURCES})",
        cause=RootCause.NO_CANDIDATE,
        failure=FailureClass.CODE,
        feedback=Feedback(phase=Phase.GATE, rule=TOO_FEW_SOURCES, text=text),
        replaced=op.model_copy(update={"base": head}) if is_stale else None,
    )
