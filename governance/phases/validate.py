"""VALIDATE: gates, parsing, types, the failing tests and the suite on the candidate, in a fresh workspace."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from governance.irongate.candidate import g01_containment
from governance.irongate.candidate.g02_protected import OWN_CODE
from governance.irongate.candidate.g20_unattended import questions_about_candidate
from governance.irongate.candidate_gates import inspect, objections
from governance.irongate.inspection import Inspection
from governance.irongate.op.g19_recursion import diff_hash
from governance.irongate.paths import is_python
from governance.irongate.syntax import parse
from governance.irongate.unattended.repository import OtherFiles
from governance.pipeline.context import OpContext
from governance.pipeline.dossier import Dossier, Generation, Validation
from governance.pipeline.phase import PhaseResult, PhaseSpec, ResultKind, failed, retry
from governance.recordable import inspection_without_secrets
from governance.repair.failure_context import read_original, sources_of
from governance.risk.codebase import read_python
from governance.verification import closure_checks
from governance.verification.reach import reach_of
from governance.verification.test_runs import RunsResult, measure_runs
from ledger.errors import StaleBase
from ledger.events.check import CandidateTested, GatesJudged
from ledger.python_source import parse_or_why
from ledger.vocabulary import (
    Candidate,
    ClosureAnswer,
    FailureClass,
    Operation,
    Outcome,
    Phase,
    RootCause,
    Tier,
    Verdict,
)
from tools.testing.typecheck import is_configured, type_errors
from tools.workspace import Workspace

MOST_TESTS = 64
"""Maximum number of failing tests whose sources the gates get."""
FIRST_REASON = 600
"""Maximum characters of the worst refusal's reason when there are others."""


def find_unparsed(candidate: Candidate) -> dict[str, str]:
    """The candidate's Python files that do not parse, with the error."""
    found: dict[str, str] = {}
    for edit in candidate.edits:
        if edit.after is not None and is_python(edit.path):
            why = parse_or_why(edit.after)
            if isinstance(why, str):
                found[edit.path] = why
    return found


def syntax_problem(candidate: Candidate, before: Mapping[str, bytes | None]) -> str:
    """The first Python file of the candidate that does not parse; empty when all do.

    ``before``: earlier contents. Files that did not parse before are left to the tests: they may need a newer Python.
    """
    for path, error in find_unparsed(candidate).items():
        there = before.get(path)
        if there is None or parse(there) is not None:
            return f"{path} does not parse: {error}"
    return ""


def unread_floors(candidate: Candidate) -> tuple[Verdict, ...]:
    """Floor APPROVAL_REQUIRED for files that the gates cannot parse."""
    floor = Tier.APPROVAL_REQUIRED
    return tuple(
        Verdict(gate=0, rule="validate.unread", floor=floor, evidence=(f"{path} does not parse here: {error}",))
        for path, error in find_unparsed(candidate).items()
    )


def python_before(workspace: Workspace, candidate: Candidate) -> dict[str, bytes | None]:
    """Earlier contents of the candidate's files; None for those that are new or were not Python."""
    sources = {edit.path: edit.renamed_from or edit.path for edit in candidate.edits}
    return {path: read_original(workspace, source) if is_python(source) else None for path, source in sources.items()}


def send_back(candidate: Candidate, rule: str, text: str, cause: RootCause, failure: FailureClass) -> PhaseResult:
    """To GENERATE with feedback; the same diff is not accepted again."""
    return retry(Phase.VALIDATE, rule, text, cause, failure, candidate=diff_hash(candidate))


def format_refusals(against: Sequence[Verdict]) -> str:
    """The feedback for refusals. All rules come before the further reasons, because a long text is cut later."""
    first, *others = against
    if not others:
        return first.reason
    rules = ", ".join(verdict.rule for verdict in others)
    reasons = "\n".join(f"{verdict.rule}: {verdict.reason}" for verdict in others)
    return f"{first.reason[:FIRST_REASON]}\nRefused by {rules} as well:\n{reasons}"


async def judge_gates(op: Operation, dossier: Dossier, ctx: OpContext, workspace: Workspace) -> tuple[Verdict, ...]:
    """Run all candidate gates and record their input and verdicts."""
    generation = dossier.require(Generation)
    candidate = generation.candidate
    touched = sorted({e.path for e in candidate.edits} | {e.renamed_from for e in candidate.edits if e.renamed_from})
    settings = ctx.services.settings.pipeline
    plan = dossier.plan
    ourselves = (await ctx.services.codebases.at(op.tree)).is_ourselves and not settings.open_own_governance
    located = await asyncio.to_thread(lambda: [g01_containment.gather(workspace.root, path) for path in touched])
    originals = await asyncio.to_thread(lambda: {path: read_original(workspace, path) for path in touched})
    inspection = Inspection(
        op=op,
        candidate=candidate,
        originals=originals,
        located=tuple(located),
        plan_paths=tuple(c.path for c in plan.ordered_changes) if plan and plan.ordered_changes else None,
        exploration=generation.exploration,
        reads=generation.reads,
        complexity=dossier.complexity,
        protected=settings.protected_paths,
        own=OWN_CODE if ourselves else (),
        strict_ascii=settings.strict_ascii,
        undone_diffs=await ctx.services.refused.hashes(),
        tests=await asyncio.to_thread(sources_of, op.test_ids[:MOST_TESTS], workspace),
        raised=generation.raised,
        said=generation.said,
        known=await find_used_elsewhere(op, ctx, candidate, originals),
    )
    verdicts = await asyncio.to_thread(inspect, inspection)
    recorded = await asyncio.to_thread(inspection_without_secrets, inspection)
    # Redaction may remove what a verdict was about, so a replay is compared with verdicts on the redacted input.
    of_recorded = verdicts if recorded is inspection else await asyncio.to_thread(inspect, recorded)
    await ctx.record.note(
        GatesJudged(
            inspection=await ctx.record.ledger.put_blob(recorded.model_dump_json().encode()),
            verdicts=[v.model_dump(mode="json") for v in verdicts],
            without_secrets=None if of_recorded == verdicts else [v.model_dump(mode="json") for v in of_recorded],
        )
    )
    return verdicts


async def find_used_elsewhere(
    op: Operation, ctx: OpContext, candidate: Candidate, originals: Mapping[str, bytes | None]
) -> tuple[str, ...]:
    """New imports and attributes of the candidate that other files already use; usually none have to be looked up."""
    wanted = await asyncio.to_thread(questions_about_candidate, candidate, originals)
    if not wanted:
        return ()
    files = await read_python(ctx.services.repository, op.tree)
    return tuple(sorted(await asyncio.to_thread(lambda: OtherFiles(files.items()).answers(wanted))))


async def find_type_errors(ctx: OpContext, workspace: Workspace, candidate: Candidate) -> frozenset[str] | None:
    """Errors of the repository's type checker in the candidate's files as they are now; None: not checked."""
    settings, runner = ctx.services.settings.pipeline, ctx.services.runner
    if settings.type_check == "off" or runner is None or not await asyncio.to_thread(is_configured, workspace):
        return None
    return await type_errors(runner, workspace, candidate.paths, limit_s=settings.type_check_s)


async def closure_of(op: Operation, ctx: OpContext, workspace: Workspace, candidate: Candidate) -> ClosureAnswer:
    """Closure check with the candidate applied and without files left by its tests.

    VERIFY repeats it on the applied tree; failing here avoids asking the owner to approve what VERIFY would reject.
    """
    if closure_checks.asks_the_tree(op):
        await workspace.reset()
        await workspace.apply(candidate.edits)
    return await closure_checks.check_candidate(op, ctx, workspace)


async def find_passing_anyway(generation: Generation, ctx: OpContext, workspace: Workspace) -> tuple[str, ...]:
    """Which of the tests that failed pass at the op's tree by now: what turns green by itself shows no repair."""
    if not generation.failed or ctx.services.runner is None:
        return ()
    await workspace.reset()
    run = await ctx.services.runner.run(workspace, generation.failed, limit_s=ctx.services.settings.repair.test_limit_s)
    return tuple(r.id for r in run.results if r.outcome is Outcome.PASSED and r.id in generation.failed)


async def validate(op: Operation, dossier: Dossier, ctx: OpContext) -> PhaseResult:
    """Validate in a fresh workspace each time, so that the same candidate gets the same verdict."""
    generation = dossier.require(Generation)
    if ctx.services.runner is None:
        return failed(RootCause.SANDBOX_MISSING, FailureClass.INFRA, ctx.services.runner_problem)
    candidate = generation.candidate
    async with ctx.workspace(op) as workspace:
        verdicts = await judge_gates(op, dossier, ctx, workspace)
        against = objections(verdicts)
        if against:
            return send_back(
                candidate, against[0].rule, format_refusals(against), RootCause.POLICY_REFUSED, FailureClass.POLICY
            )
        before = await asyncio.to_thread(python_before, workspace, candidate)
        problem = await asyncio.to_thread(syntax_problem, candidate, before)
        if problem:
            return send_back(candidate, "validate.parse", problem, RootCause.CANDIDATE_INVALID, FailureClass.CODE)
        typed_before = await find_type_errors(ctx, workspace, candidate)
        try:
            await workspace.apply(candidate.edits)
        except StaleBase as error:
            return send_back(candidate, "validate.apply", str(error), RootCause.CANDIDATE_INVALID, FailureClass.CODE)
        fresh = (
            sorted((await find_type_errors(ctx, workspace, candidate) or frozenset()) - typed_before)
            if typed_before is not None
            else []
        )
        if fresh:
            text = "The type checker has new complaints:\n" + "\n".join(fresh[:10])
            return send_back(candidate, "validate.types", text, RootCause.CANDIDATE_INVALID, FailureClass.CODE)
        stand = partial(workspace.apply, candidate.edits)
        reach = await asyncio.to_thread(reach_of, candidate.edits, before)
        measured = await measure_runs(op, ctx, workspace, apply_change=stand, changed=candidate.paths, reach=reach)
        answer = await closure_of(op, ctx, workspace, candidate)
        anyway = () if measured.problem else await find_passing_anyway(generation, ctx, workspace)
    await record_runs(ctx, Phase.VALIDATE, measured)
    if measured.infra:
        return failed(RootCause.TESTS_FAILED, FailureClass.INFRA, measured.infra)
    if measured.problem:
        return send_back(candidate, "validate.tests", measured.problem, RootCause.TESTS_FAILED, FailureClass.TEST)
    if not answer.closed:
        text = f"The tests pass, but what was asked for is not done: {answer.reason}"
        return send_back(candidate, "validate.closure", text, RootCause.CLOSURE_OPEN, FailureClass.CODE)
    output = Validation(
        runs=measured.reports,
        verdicts=(*verdicts, *await asyncio.to_thread(unread_floors, candidate)),
        suite_ran=measured.suite_ran,
        passed=measured.passed,
        total=measured.total,
        anyway=anyway,
        missed=reach.unreached(measured.seen, by_function=bool(op.test_ids)) if measured.total else (),
    )
    return PhaseResult(output=output, reason=f"{measured.passed}/{measured.total} passed")


async def record_runs(ctx: OpContext, phase: Phase, measured: RunsResult) -> None:
    """Record each test run as one entry."""
    for report in measured.reports:
        await ctx.record.note(CandidateTested(**report.model_dump()), phase=phase)


SPEC = PhaseSpec(
    output=Validation,
    run=validate,
    edges={ResultKind.RETRY: Phase.GENERATE},
    returns=lambda settings: settings.validate_retries + 1,  # the last one is L2 repair
)
