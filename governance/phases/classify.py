"""CLASSIFY: risk tier, complexity and blast radius of an op, without a model. Refuses before any budget is spent."""

from __future__ import annotations

from governance.conversation.injection_screen import screen_texts
from governance.irongate.op import g19_recursion
from governance.irongate.paths import is_test_path
from governance.pipeline.context import OpContext
from governance.pipeline.dossier import Classification, Dossier
from governance.pipeline.phase import PhaseResult, PhaseSpec, ResultKind, failed, refused
from governance.risk.blast_radius import blast_of, build_files
from governance.risk.foresight import foresee
from governance.risk.ladder import (
    BLAST_LIMIT_BP,
    ChangeFacts,
    ComplexityFacts,
    assess,
    complexity,
)
from governance.risk.named_paths import matching, protected_among, touches_governance
from governance.verification import closure_checks
from ledger.events.op import TierAssigned
from ledger.sources import SOURCES
from ledger.vocabulary import (
    Decision,
    FailureClass,
    Operation,
    OpOutcome,
    Phase,
    RootCause,
    Tier,
    Verdict,
)


def symptom_only(op: Operation) -> frozenset[str]:
    """Targets that are test files of the closure check: they show the failure and are not what would be changed."""
    shown = {test_id.partition("::")[0] for test_id in op.test_ids}
    return frozenset(p for p in op.targets if p in shown and is_test_path(p))


def floors_of(op: Operation, blast_bp: int) -> tuple[tuple[Tier, str], ...]:
    """Floors that apply whichever rule matched."""
    floors = list(closure_checks.floors(op))
    if blast_bp > BLAST_LIMIT_BP:
        floors.append((Tier.NOTIFY_APPLY, f"blast radius {blast_bp / 10_000:.2f}"))
    return tuple(floors)


def texts_of(op: Operation) -> tuple[tuple[str, str], ...]:
    """The op's untrusted texts (goal and evidence), each with its origin."""
    evidence = ((f"evidence from {e.source}", f"{e.claim}\n{e.evidence}") for s in op.signals for e in s.evidence)
    return (("goal", op.goal), *evidence)


def is_from_outside(op: Operation) -> bool:
    """Whether a signal's text was written on another machine."""
    return any(SOURCES[s.source].from_outside for s in op.signals)


def format_verdict(verdict: Verdict) -> str:
    """A verdict's rule with its evidence."""
    return f"{verdict.rule}: {', '.join(verdict.evidence[:3])}"


async def classify(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
    """Assign tier and complexity; BLOCKED ends the op."""
    services = ctx.services
    recursion = g19_recursion.check(g19_recursion.RecursionFacts(depth=op.depth))
    if recursion.decision is not Decision.ALLOW:
        return refused(RootCause.POLICY_REFUSED, f"{recursion.reason} ({recursion.rule})")
    if services.runner is None:  # no candidate could be validated, so none is made
        return failed(RootCause.SANDBOX_MISSING, FailureClass.INFRA, services.runner_problem)
    blast = blast_of(await services.codebases.at(op.tree), op.targets)
    changed = tuple(p for p in op.targets if p not in symptom_only(op))
    settings = services.settings.pipeline
    facts = ChangeFacts(
        paths=changed,
        goal=op.goal,
        protected=protected_among(op.targets, settings.protected_paths),
        core_paths=matching(op.targets, settings.core_paths),
        from_outside=is_from_outside(op),
        own_rooms=blast.is_ourselves and not settings.open_own_governance and touches_governance(changed),
    )
    marked = await screen_texts(ctx, Phase.CLASSIFY, texts_of(op))
    floors = floors_of(op, blast.score_bp) + tuple((v.floor, format_verdict(v)) for v in marked if v.floor is not None)
    foreseen = await foresee(ctx, changed, blast.dependents, assess(facts).tier)
    floors += foreseen.floors
    assessment = assess(facts, floors=floors)
    size = ComplexityFacts(
        targets=op.targets, goal=op.goal, dependents=blast.dependents, touches_build=bool(build_files(op.targets))
    )
    output = Classification(
        tier=assessment.tier,
        complexity=complexity(size),
        change_type=op.origin.value,
        rule=assessment.rule,
        reasons=assessment.reasons,
        blast_bp=blast.score_bp,
        foretold=bool(foreseen.floors),
    )
    await ctx.record.note(
        TierAssigned(
            facts=facts.model_dump(mode="json"),
            floors=[[t.name, why] for t, why in floors],
            tier=output.tier,
            rule=output.rule,
            reasons=output.reasons,
            size=size.model_dump(mode="json"),
            complexity=output.complexity,
            blast_bp=output.blast_bp,
            **foreseen.record,
        ),
        phase=Phase.CLASSIFY,
    )
    if output.tier is Tier.BLOCKED:
        return refused(RootCause.BLOCKED_PATH, "; ".join(output.reasons), output)
    return PhaseResult(output=output, reason=output.reasons[0])


SPEC = PhaseSpec(output=Classification, run=classify, edges={ResultKind.REFUSED: OpOutcome.BLOCKED})
