"""GENERATE: a candidate, by the strategy that the provider can carry."""

from __future__ import annotations

from governance.crew import Crew
from governance.dossier import Dossier, Feedback, Generation
from governance.explore import context_of, explore
from governance.irongate.battery import diff_hash
from governance.loop.conversation import converse
from governance.loop.linear import linear
from governance.repair.cloze import cloze
from governance.repair.proposal import Proposal
from governance.repair.scene import reproduce, set_scene
from governance.result import PhaseResult, failed
from governance.retries import wants_repair
from ledger.vocabulary import (
    EntryKind,
    FailureClass,
    Operation,
    RootCause,
    RunStatus,
    State,
    TestResult,
    TestRun,
)

NO_VERDICT = frozenset({RunStatus.INCONCLUSIVE, RunStatus.TIMEOUT, RunStatus.INFRA})


def cannot_reproduce(op: Operation, run: TestRun) -> PhaseResult | None:
    """None when the op's tests fail at its tree as they should; NOOP when they pass there by now."""
    if run.status in NO_VERDICT:
        failure = FailureClass.INFRA if run.status is RunStatus.INFRA else FailureClass.TEST
        return failed(RootCause.TESTS_FAILED, failure, f"The failure could not be reproduced: {run.reason}")
    known = {r.id for r in run.results}
    missing = [i for i in op.test_ids if i not in known]
    if missing:
        return failed(RootCause.TESTS_FAILED, FailureClass.TEST, f"No such test at this commit: {missing[0]}")
    return PhaseResult(next=State.NOOP, reason="the tests pass at this commit: the goal is met already")


async def generate(op: Operation, dossier: Dossier, crew: Crew) -> PhaseResult:
    """Reproduce, then let the strategy propose."""
    shop = crew.shop
    infills = crew.asker.provider.capabilities.infill and not crew.asker.provider.capabilities.tools
    run, failing = TestRun(status=RunStatus.GREEN), tuple[TestResult, ...]()
    if op.test_ids:
        if shop.runner is None:
            return failed(RootCause.SANDBOX_MISSING, FailureClass.INFRA, shop.runner_problem)
        run, failing = await reproduce(op, crew, coverage=infills)
        if not failing:
            result = cannot_reproduce(op, run)
            if result is not None:
                return result
    health = await crew.asker.provider.health()
    if not health.ready:
        return failed(RootCause.PROVIDER_UNAVAILABLE, FailureClass.PROVIDER, health.detail)
    proposal = await propose(op, dossier, crew, run, failing, infills=infills)
    if proposal.candidate is None:
        feedback = Feedback(phase=State.GENERATE, rule=proposal.rule or "generate.answer", text=proposal.reason)
        return PhaseResult(
            next=State.GENERATE if proposal.retry else State.POSTMORTEM, reason=proposal.reason, cause=proposal.cause,
            failure=proposal.failure, feedback=feedback if proposal.retry else None,
        )  # fmt: skip
    if proposal.candidate.schema_tag == "2b.1-noop":
        return await noop(op, crew, proposal, failing)
    return await accept(op, dossier, crew, proposal)


async def propose(
    op: Operation, dossier: Dossier, crew: Crew, run: TestRun, failing: tuple[TestResult, ...], *, infills: bool
) -> Proposal:
    """Choose the strategy by what the provider can do and by what has failed before."""
    if infills and failing:
        rejected = frozenset(f.candidate for f in dossier.feedback if f.candidate)
        async with crew.workspace(op) as workspace:
            context = context_of(op, dossier, crew, workspace)
            scene = await set_scene(op, crew, workspace, run, failing)
            await explore(crew, context, [p.path for p in scene.places])
        proposal = await cloze(op, crew, scene, rejected)
        return proposal.with_exploration(tuple(context.uses), scene.reads | context.reads)
    if wants_repair(dossier, crew.shop.settings.pipeline) and failing:
        crew.clock.extend_to(crew.shop.settings.clocks.repair_s)
        return await linear(op, dossier, crew, failing)
    return await converse(op, dossier, crew, failing)


async def noop(op: Operation, crew: Crew, proposal: Proposal, failing: tuple[TestResult, ...]) -> PhaseResult:
    """A model says that there is nothing to do: true only when the check says so."""
    if failing or not op.test_ids:
        text = "The goal is not met: " + (f"{failing[0].id} fails" if failing else "nothing but the owner can say so")
        return PhaseResult(
            next=State.GENERATE, reason=text, cause=RootCause.NO_CANDIDATE, failure=FailureClass.CODE,
            feedback=Feedback(phase=State.GENERATE, rule="generate.noop", text=text),
        )  # fmt: skip
    return PhaseResult(next=State.NOOP, reason=proposal.reason)


async def accept(op: Operation, dossier: Dossier, crew: Crew, proposal: Proposal) -> PhaseResult:
    """Record the candidate whole, claim its files, hand it on."""
    candidate = proposal.candidate
    if candidate is None:
        return failed(RootCause.INTERNAL, FailureClass.INTERNAL, "no candidate to accept")
    if op.tree != op.base and not await differs_from(crew, op.base, proposal):
        paths = ", ".join(candidate.paths)
        return PhaseResult(next=State.NOOP, reason=f"the repair is what HEAD already has: undo your edit of {paths}")
    blob = await crew.record.ledger.put_blob(candidate.model_dump_json().encode())
    await crew.record.note(
        EntryKind.CANDIDATE, "candidate", phase=State.GENERATE, candidate=blob, paths=list(candidate.paths),
        strategy=candidate.strategy, rationale=candidate.rationale, tried=proposal.tried, hash=diff_hash(candidate),
        notes=list(proposal.notes),
    )  # fmt: skip
    if not await crew.shop.claims.widen(op.id, candidate.paths):
        return failed(RootCause.APPLY_CONFLICT, FailureClass.INFRA, "another op works on one of these files")
    output = Generation(
        candidate=candidate, attempt=dossier.visits.get(State.GENERATE, 1), exploration=proposal.exploration,
        reads=proposal.reads or {}, tried=proposal.tried, notes=proposal.notes,
    )  # fmt: skip
    return PhaseResult(next=State.VALIDATE, output=output, reason=proposal.reason)


async def differs_from(crew: Crew, commit: str, proposal: Proposal) -> bool:
    """False when the candidate's files would read exactly as they do at ``commit``."""
    edits = proposal.candidate.edits if proposal.candidate else ()
    for edit in edits:
        if await crew.shop.repository.read(commit, edit.path) != edit.after:
            return True
    return False
