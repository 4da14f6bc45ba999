"""GATE: the risk ladder on the actual diff; the higher tier counts."""

from __future__ import annotations

import ast
import asyncio
import re
from collections.abc import Collection, Mapping, Sequence

from governance.grounding.candidate_grounding import judge_candidate, send_back
from governance.grounding.claim_verdict import TOO_FEW_SOURCES, GroundingVerdict
from governance.grounding.trust_lookup import doubts, lookup_tallies
from governance.irongate.candidate_gates import decide
from governance.irongate.paths import is_code, is_test_path
from governance.pipeline.context import OpContext
from governance.pipeline.diff_text import line_changes
from governance.pipeline.dossier import Classification, Dossier, Feedback, Gating, Generation, Validation
from governance.pipeline.phase import PhaseResult, PhaseSpec, ResultKind, refused
from governance.pipeline.retries import may_return
from governance.risk.blast_radius import blast_of
from governance.risk.foresight import foresee
from governance.risk.ladder import BLAST_LIMIT_BP, ChangeFacts, assess
from governance.risk.named_paths import matching, protected_among, touches_governance
from governance.verification import closure_checks
from governance.verification.evidence import claim_floors, claimed_passes, evidence
from ledger.events.op import TierAssigned
from ledger.python_source import parse
from ledger.vocabulary import (
    SEARCH,
    Candidate,
    EditKind,
    Operation,
    OpOutcome,
    Phase,
    RootCause,
    Route,
    Tier,
    Verdict,
)

SECURITY = re.compile(
    r"\b(password|passwd|secret|api_key|apikey|private_key|access_token|verify\s*=\s*False|hashlib|hmac|jwt|oauth|ssl\.|"
    r"crypt|chmod|setuid|sudo|authenticate|authorize|permission)\b",
    re.I,
)


def public_names(data: bytes | None) -> frozenset[str]:
    """Public functions, classes, methods and assigned names of a Python file; empty when it does not parse."""
    tree = parse(data) if data is not None else None
    if tree is None:
        return frozenset()
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (m for m in node.body if isinstance(m, ast.FunctionDef | ast.AsyncFunctionDef))
            names |= {f"{node.name}.{m.name}" for m in methods if not m.name.startswith("_")}
        if isinstance(node, ast.Assign):
            names |= {t.id for t in node.targets if isinstance(t, ast.Name)}
    return frozenset(n for n in names if not n.startswith("_"))


def facts_of(
    op: Operation,
    candidate: Candidate,
    originals: Mapping[str, bytes | None],
    *,
    verdicts: tuple[Verdict, ...],
    protected: tuple[str, ...],
    core: tuple[str, ...],
    is_ourselves: bool,
) -> ChangeFacts:
    """The ladder's input for a diff. Pure."""
    changed, security = 0, list[str]()
    removed = set[str]()
    for edit in candidate.edits:
        before = originals.get(edit.renamed_from or edit.path)
        count, lines = line_changes(before, edit.after)
        changed += count
        if not is_test_path(edit.path):
            security += [line.strip() for line in lines if SECURITY.search(line)]
            if edit.path.endswith(".py"):
                removed |= public_names(before) - public_names(edit.after)
    paths = candidate.touched
    moved = tuple(e for e in candidate.edits if e.renamed_from is not None)  # counted as deleted here and created there
    test_floors = [v.floor for v in verdicts if v.gate == 16 and v.floor is not None]
    return ChangeFacts(
        paths=paths,
        goal=op.goal,
        protected=protected,
        deleted=tuple(
            [e.path for e in candidate.edits if e.kind is EditKind.DELETE] + [e.renamed_from or "" for e in moved]
        ),
        created=tuple([e.path for e in candidate.edits if e.kind is EditKind.CREATE] + [e.path for e in moved]),
        removed_api=tuple(sorted(removed)),
        changed_lines=changed,
        security_lines=tuple(security[:5]),
        test_floor=max(test_floors, default=None),
        touches_tests=any(is_test_path(p) for p in paths),
        core_paths=core,
        own_rooms=is_ourselves and touches_governance(paths),
    )


def gate_reasons(verdicts: Sequence[Verdict], tier: Tier) -> tuple[str, ...]:
    """Rules of the gates that require exactly this tier, with their evidence."""
    return tuple(
        f"{v.rule}: {', '.join(v.evidence[:3])}" for v in verdicts if v.floor == tier and tier > Tier.SAFE_AUTO
    )


def doubt_reason(generation: Generation) -> str:
    """The reason shown when several different repairs pass the tests; empty when there is one."""
    return f"the tests leave open which repair is meant: {generation.doubt}" if generation.doubt else ""


def unattended_floors(setting: str, strategy: str) -> list[tuple[Tier, str]]:
    """Floors from the owner's setting ``approval.unattended``."""
    if setting == "nothing":
        return [(Tier.APPROVAL_REQUIRED, 'nothing lands without you: approval.unattended = "nothing"')]
    if setting == "search" and strategy != SEARCH:
        why = 'approval.unattended = "search", and the search did not make it ("listed" lets small repairs land)'
        return [(Tier.APPROVAL_REQUIRED, why)]
    return []


def extra_floors(
    op: Operation,
    dossier: Dossier,
    facts: ChangeFacts,
    *,
    validation: Validation,
    blast_bp: int,
    paths: Collection[str],
    doubt: str,
    beyond: Sequence[str],
) -> list[tuple[Tier, str]]:
    """Floors from facts outside the ladder. ``beyond``: files whose code changes though documentation was requested."""
    floors = [*closure_checks.floors(op), (decide(validation.verdicts)[1], "a gate asks for it")]
    floors += [(v.floor, "text from outside reads like orders") for v in dossier.marked if v.floor is not None]
    if blast_bp > BLAST_LIMIT_BP:
        floors.append((assess(facts).tier.raised(), f"blast radius {blast_bp / 10_000:.2f}"))
    if not validation.suite_ran:
        floors.append((Tier.NOTIFY_APPLY, "the whole suite did not run"))
    if not validation.total and any(is_code(path) for path in paths):
        floors.append((Tier.APPROVAL_REQUIRED, "no test has run on it"))
    if validation.missed:
        more = f", and {len(validation.missed) - 3} more" if len(validation.missed) > 3 else ""
        floors.append((Tier.APPROVAL_REQUIRED, f"{'; '.join(validation.missed[:3])}{more}"))
    if validation.anyway:
        why = f"passes by now without this change as well: {', '.join(validation.anyway[:3])}"
        floors.append((Tier.APPROVAL_REQUIRED, why))
    flaky = [test for run in validation.runs for test in run.flaky]
    if flaky:
        floors.append((Tier.NOTIFY_APPLY, f"failed once and passed then: {', '.join(flaky[:3])}"))
    floors += claim_floors(validation.runs)
    if doubt:
        floors.append((Tier.NOTIFY_APPLY, doubt))
    if beyond:
        why = f"documentation was asked for, and what the program does changes in {', '.join(beyond[:3])}"
        floors.append((Tier.APPROVAL_REQUIRED, why))
    return floors


def may_look_again(dossier: Dossier, ctx: OpContext) -> bool:
    """Whether GENERATE may gather more evidence: once for each op, and only while GATE may send it back."""
    thin = Feedback(phase=Phase.GATE, rule=TOO_FEW_SOURCES, text="")
    known = any(feedback.rule == TOO_FEW_SOURCES for feedback in dossier.feedback)
    return not known and may_return(SPEC, dossier.with_feedback(thin), ctx.services.settings)


async def gate(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
    """Assign the final tier, which is never below CLASSIFY's."""
    generation, validation = dossier.require(Generation), dossier.require(Validation)
    classification = dossier.require(Classification)
    candidate, settings = generation.candidate, ctx.services.settings.pipeline
    paths = candidate.touched
    blast = blast_of(await ctx.services.codebases.at(op.tree), paths)
    originals = {path: await ctx.services.repository.read(op.tree, path) for path in paths}
    facts = await asyncio.to_thread(
        facts_of,
        op,
        candidate,
        originals,
        verdicts=validation.verdicts,
        is_ourselves=blast.is_ourselves and not settings.open_own_governance,
        protected=protected_among(paths, settings.protected_paths),
        core=matching(paths, settings.core_paths),
    )
    doubt = doubt_reason(generation)
    floors = extra_floors(
        op,
        dossier,
        facts,
        validation=validation,
        blast_bp=blast.score_bp,
        paths=paths,
        doubt=doubt,
        beyond=await asyncio.to_thread(closure_checks.code_beyond_docs, op, candidate.edits, originals),
    )
    floors += unattended_floors(ctx.services.settings.approval.unattended, candidate.strategy)
    foreseen = await foresee(ctx, paths, blast.dependents, assess(facts).tier)
    floors += [*foreseen.floors, (classification.tier, f"CLASSIFY said: {classification.reasons[-1]}")]
    risk = assess(facts, floors=tuple(floors)).tier
    stood = await judge_candidate(op, dossier, ctx, generation, risk=risk, again=may_look_again(dossier, ctx))
    if stood.stand is GroundingVerdict.REGROUND:
        return await send_back(op, ctx, stood, generation)
    if stood.stand is GroundingVerdict.ASK:
        floors.append((Tier.APPROVAL_REQUIRED, f"it stands on too little: {stood.why}"))
    assessment = assess(facts, floors=tuple(floors))
    untold = (doubt,) if doubt and doubt not in assessment.raised_by else ()
    known = lookup_tallies(
        op, candidate, dossier.routing.route if dossier.routing else Route.STANDARD, ctx.services.trust
    )
    asked = gate_reasons((*validation.verdicts, *dossier.marked), assessment.tier)
    output = Gating(
        tier=assessment.tier,
        rule=assessment.rule,
        reasons=(*assessment.reasons, *asked, *untold, *doubts(known)),
        verdicts=validation.verdicts,
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
            blast_bp=blast.score_bp,
            trust=[each.model_dump(mode="json") for each in known],
            doubts=doubts(known),
            left_open=generation.doubt,
            evidence=str(evidence(generation.repaired, generation.shown, claimed_passes(validation.runs)))
            if op.test_ids
            else "",
            **foreseen.record,
            gates=[sum(v.decision.value == "allow" for v in validation.verdicts), len(validation.verdicts)],
        ),
        phase=Phase.GATE,
    )
    if output.tier is Tier.BLOCKED:
        return refused(RootCause.BLOCKED_PATH, "; ".join(output.reasons), output)
    return PhaseResult(output=output, reason=f"{output.tier.name}: {output.reasons[0]}")


SPEC = PhaseSpec(
    output=Gating,
    run=gate,
    edges={ResultKind.RETRY: Phase.GENERATE, ResultKind.REFUSED: OpOutcome.BLOCKED},
    returns=lambda settings: settings.validate_retries,
)
