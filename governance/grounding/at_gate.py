"""GATE's question to the grounding policy, recorded so that a replay asks it again."""

from __future__ import annotations

from governance.crew import Crew, Regrounding
from governance.dossier import Dossier, Feedback, Generation
from governance.grounding.ground import ground_of
from governance.grounding.sources import behind, dated, sources_of, stale_of
from governance.grounding.standing import THIN, Facts, Standing, judge
from governance.recordable import words_without_secrets
from governance.result import PhaseResult
from governance.retries import may_return
from ledger.vocabulary import EntryKind, FailureClass, Operation, RootCause, State, Tier


async def stand(op: Operation, dossier: Dossier, crew: Crew, generation: Generation, risk: Tier) -> Standing:
    """What the candidate stands on, and what the policy makes of it at ``risk``, the tier that it would get."""
    ground = ground_of(crew.shop, op, dossier, strategy=generation.candidate.strategy)
    known = behind(op, generation.exploration, generation.reads, generation.failed)
    _, changed = await branch_now(op, crew)
    evidence = words_without_secrets(dated(known, op, changed=changed, now=crew.shop.clock.now()))
    facts = Facts(
        risk=risk,
        complexity=dossier.complexity,
        trust_bp=ground.trust_bp,
        proximity_milli=generation.proximity_milli,
        sources=sources_of(evidence),
        again=may_look_again(dossier, crew),
        settings=ground.settings,
        stale=stale_of(evidence),
    )
    found = judge(facts)
    await crew.record.note(
        EntryKind.DECISION,
        "grounding.judged",
        phase=State.GATE,
        stand=found.stand.value,
        why=found.why,
        min_sources=found.min_sources,
        facts=facts.model_dump(mode="json"),
        behind=await crew.record.ledger.put_blob(evidence.model_dump_json().encode()),
    )
    return found


async def branch_now(op: Operation, crew: Crew) -> tuple[str, tuple[str, ...]]:
    """HEAD, and the paths that it has otherwise than the op's base, of which the op's evidence speaks."""
    head = (await crew.shop.repository.head()).commit or op.base
    return head, () if head == op.base else await crew.shop.repository.changed_between(op.base, head)


def may_look_again(dossier: Dossier, crew: Crew) -> bool:
    """Once an op: who has looked afresh and found no more has to ask."""
    thin = Feedback(phase=State.GATE, rule=THIN, text="")
    known = any(feedback.rule == THIN for feedback in dossier.feedback)
    return not known and may_return(State.GATE, State.GENERATE, dossier.with_feedback(thin), crew.shop.settings)


async def back(op: Operation, crew: Crew, stood: Standing, generation: Generation) -> PhaseResult:
    """To GENERATE, which gathers evidence first. The candidate itself was not refused: it may come again.

    Where the branch has otherwise by now what was read, the op goes on from there: looked at again at its old base,
    it would be no newer.
    """
    head, changed = await branch_now(op, crew)
    is_stale = op.tree == op.base and not set(changed).isdisjoint(generation.reads)
    evidence = behind(op, generation.exploration, generation.reads, generation.failed)
    caution = crew.holdings.regrounding.caution_milli
    crew.holdings.regrounding = Regrounding(
        sources=sources_of(evidence), paths=tuple(generation.reads), caution_milli=caution
    )
    text = f"The change stands on too little: {stood.why}. Look at more of what it touches before it is proposed."
    return PhaseResult(
        next=State.GENERATE,
        reason=f"{stood.why} ({THIN})",
        cause=RootCause.NO_CANDIDATE,
        failure=FailureClass.CODE,
        feedback=Feedback(phase=State.GATE, rule=THIN, text=text),
        replaced=op.model_copy(update={"base": head}) if is_stale else None,
    )
