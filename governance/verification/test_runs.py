"""Runs tests on a changed tree and compares them with the baseline: the failing tests, then the suite or a part."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from governance.irongate.test_code.doctests import object_of
from governance.pipeline.context import OpContext
from governance.pipeline.dossier import RunReport
from governance.risk.codebase import read_python
from governance.verification.reach import Reach
from ledger.ids import sha256_hex
from ledger.vocabulary import Edit, EditKind, Operation, Outcome, RunCoverage, RunStatus, TestRun
from tools.testing.runner import LookedFor, SeveralRuns, TestRunner
from tools.testing.selection.names import includes_test
from tools.testing.selection.scope import find_affected
from tools.workspace import Workspace

Scope = Literal["failing", "affected", "suite", "closure"]
NO_FAULT_OF_CHANGE = frozenset({RunStatus.INFRA})
ApplyChange = Callable[[], Awaitable[object]]
"""Applies the change to a workspace that has the files of the commit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunsResult:
    """Result of the test runs. ``problem``: the candidate's fault, as feedback; ``infra``: a fault of the machine."""

    reports: tuple[RunReport, ...]
    suite_ran: bool
    passed: int
    total: int
    problem: str = ""
    infra: str = ""
    seen: RunCoverage | None = None
    """Changed code reached by the op's own tests; if it has none, by the widest run."""


def explain(run: TestRun, ids: Collection[str]) -> str:
    """The failures among ``ids`` in a few lines, for prompts and reasons."""
    lines = [run.reason] if run.reason else []
    for result in run.red:
        if result.id in ids:
            where = f" at {result.frames[-1].path}:{result.frames[-1].line}" if result.frames else ""
            lines.append(f"{result.id}: {result.exception}{where}\n{result.message[:600]}")
    return "\n".join(lines[:6])[:4_000]


async def run_twice(
    tests: SeveralRuns,
    ids: Sequence[str] | None,
    *,
    apply_change: ApplyChange,
    limit_s: float,
    may_be_red: Collection[str],
    scope: Scope,
    expected: Sequence[str] | None = None,
    looked_for: LookedFor | None = None,
) -> tuple[RunReport, TestRun]:
    """One run, with reruns of newly red tests, which show whether they are flaky, and of a run that the machine broke.

    Before each run the tree is reset and the change applied. Newly red tests that pass alone are rerun with the others,
    because a change may break them only in that order.
    """

    async def once(which: Sequence[str] | None, expected: Sequence[str] | None = None) -> TestRun:
        await tests.reset()
        await apply_change()
        return await tests.run(which, limit_s=limit_s, expected=expected, looked_for=wanted_coverage)

    wanted_coverage = looked_for
    run = await once(ids, expected)
    if run.status in NO_FAULT_OF_CHANGE:
        run = await once(ids, expected)
    wanted_coverage = None  # reruns need only a verdict
    newly = tuple(r.id for r in run.red if r.id not in may_be_red)
    flaky: tuple[str, ...] = ()
    if newly and run.status is RunStatus.RED:
        # A file that could not be collected has no test id: rerun the same scope instead.
        has_ids = all("::" in i for i in newly)
        still = still_red(await once(newly if has_ids else ids), newly)
        if has_ids and len(still) < len(newly):
            still |= still_red(await once(ids), newly)
        flaky = tuple(i for i in newly if i not in still)
        newly = tuple(i for i in newly if i in still)
    report = RunReport(
        scope=scope,
        status=run.status,
        passed=run.passed + len(flaky),
        total=len(run.results),
        newly_red=newly,
        flaky=flaky,
        duration_ms=run.duration_ms,
        reason=run.reason,
        unsure=run.unsure,
        doubted=run.doubted,
    )
    return report, run


def still_red(run: TestRun, newly: Collection[str]) -> set[str]:
    """Those newly red tests that are red in a rerun as well; all of them when the rerun has no verdict. Pure."""
    if run.status not in (RunStatus.RED, RunStatus.GREEN):
        return set(newly)
    return {r.id for r in run.red if r.id in newly}


def missing_or_skipped(base: TestRun, run: TestRun, changed: Collection[str]) -> tuple[str, ...]:
    """Tests in unchanged files that passed at the base and are skipped now. Pure."""
    passed = {r.id for r in base.results if r.outcome is Outcome.PASSED and r.id.partition("::")[0] not in changed}
    return tuple(r.id for r in run.results if r.outcome is Outcome.SKIPPED and r.id in passed)


def newly_skipped(run: TestRun, ids: Collection[str]) -> tuple[str, ...]:
    """Tests of ``ids`` that are now skipped or expected to fail, instead of repaired. Pure."""
    return tuple(r.id for r in run.results if r.id in ids and r.outcome in (Outcome.SKIPPED, Outcome.XFAILED))


async def measure_runs(
    op: Operation,
    context: OpContext,
    workspace: Workspace,
    *,
    apply_change: ApplyChange,
    changed: Collection[str],
    same_tests: bool = True,
    reach: Reach | None = None,
) -> RunsResult:
    """Run the op's own tests, then the suite if its baseline fits the budget, else the tests that import changed files.

    ``apply_change`` applies the change to a workspace that was reset. ``same_tests``: tests collected at the base must
    be collected again (not with the owner's uncommitted edits on disk). ``reach``: changed code that tests must reach.
    """
    runner = context.services.runner
    if runner is None:
        raise RuntimeError("tests cannot be run here")
    apply_with_base_tests = partial(_with_tests_of_base, op, context, workspace, apply_change, changed)
    async with runner.several(workspace) as tests:
        return await _measure(
            op,
            context,
            runner,
            tests,
            apply_change=apply_change,
            apply_with_base_tests=apply_with_base_tests,
            changed=changed,
            same_tests=same_tests,
            reach=reach,
        )


async def _with_tests_of_base(
    op: Operation, context: OpContext, workspace: Workspace, apply_change: ApplyChange, changed: Collection[str]
) -> None:
    """Apply the change but restore the base version of the failing tests' files, so that it cannot edit its own check.

    Source files that contain failing doctests are not restored; gate 16 compares their examples.
    """
    await apply_change()
    paths = {test.partition("::")[0] for test in op.test_ids if object_of(test) is None}
    edits = []
    for path in sorted(paths.intersection(changed)):
        base, now = await context.services.repository.read(op.tree, path), await asyncio.to_thread(workspace.read, path)
        if base is not None and now is not None and now != base:
            edits.append(Edit(path=path, kind=EditKind.MODIFY, before=sha256_hex(now), after=base))
    if edits:
        await workspace.apply(edits)


async def _measure(
    op: Operation,
    context: OpContext,
    runner: TestRunner,
    tests: SeveralRuns,
    *,
    apply_change: ApplyChange,
    apply_with_base_tests: ApplyChange,
    changed: Collection[str],
    same_tests: bool,
    reach: Reach | None,
) -> RunsResult:
    """``apply_with_base_tests`` additionally restores the failing tests' files to their base version."""
    services = context.services
    limit = services.settings.pipeline.suite_budget_s
    reports: list[RunReport] = []
    seen: RunCoverage | None = None
    wanted_coverage = reach.to_observe(by_function=bool(op.test_ids)) if reach is not None and reach.files else None
    if op.test_ids:
        report, run = await run_twice(
            tests,
            op.test_ids,
            apply_change=apply_with_base_tests,
            limit_s=services.settings.repair.test_limit_s,
            may_be_red=(),
            scope="failing",
            looked_for=wanted_coverage,
        )
        reports.append(report)
        seen, wanted_coverage = run.seen, None
        verdict = judge(report, run)
        if verdict is not None:
            return verdict(tuple(reports))
        skipped = newly_skipped(run, op.test_ids)
        if skipped:
            text = f"Failing tests do not pass with this change, they are only skipped: {', '.join(skipped[:5])}"
            return RunsResult(reports=tuple(reports), suite_ran=False, passed=0, total=report.total, problem=text)
    base = await services.baselines.get(runner, op.tree, owner=op.id, coverage=False, limit_s=limit)
    red_before = {r.id for r in base.red if not any(includes_test(test, r.id) for test in op.test_ids)}
    if base.status in (RunStatus.GREEN, RunStatus.RED):
        expected = [i for i in base.collected if i.partition("::")[0] not in changed] if same_tests else None
        report, run = await run_twice(
            tests,
            None,
            apply_change=apply_change,
            limit_s=limit,
            may_be_red=red_before,
            scope="suite",
            expected=expected,
            looked_for=wanted_coverage,
        )
        suite = True
        hidden = missing_or_skipped(base, run, changed) if same_tests else ()
        if hidden:
            text = f"Tests that passed before are skipped with this change: {', '.join(hidden[:5])}"
            return RunsResult(reports=(*reports, report), suite_ran=True, passed=0, total=report.total, problem=text)
    else:
        files = await read_python(services.repository, op.tree)
        scope = await asyncio.to_thread(find_affected, files, changed)
        if not scope:
            return finish(reports, suite=False, seen=seen)
        report, run = await run_twice(
            tests,
            scope,
            apply_change=apply_change,
            limit_s=limit,
            may_be_red=red_before,
            scope="affected",
            looked_for=wanted_coverage,
        )
        if report.newly_red and run.status is RunStatus.RED:
            known = await red_at_base(op, context, runner, scope, limit_s=limit)
            report = report.model_copy(update={"newly_red": tuple(i for i in report.newly_red if i not in known)})
        suite = False
    reports.append(report)
    verdict = judge(report, run)
    seen = seen if op.test_ids else run.seen
    return verdict(tuple(reports)) if verdict is not None else finish(reports, suite=suite, seen=seen)


async def red_at_base(
    op: Operation, context: OpContext, runner: TestRunner, scope: Sequence[str], *, limit_s: float
) -> frozenset[str]:
    """Tests of ``scope`` that are red at the op's tree, except the op's own. Used when the suite has no baseline."""
    async with context.workspace(op, suffix="-base") as workspace:
        run = await runner.run(workspace, scope, limit_s=limit_s)
    return frozenset(r.id for r in run.red if not any(includes_test(test, r.id) for test in op.test_ids))


def finish(reports: Sequence[RunReport], *, suite: bool, seen: RunCoverage | None = None) -> RunsResult:
    """The result when all runs allow the candidate."""
    widest = max(reports, key=lambda r: r.total, default=None)
    return RunsResult(
        reports=tuple(reports),
        suite_ran=suite,
        passed=widest.passed if widest else 0,
        total=widest.total if widest else 0,
        seen=seen,
    )


def judge(report: RunReport, run: TestRun) -> Callable[[tuple[RunReport, ...]], RunsResult] | None:
    """None when a run allows the candidate, else a function from the reports to the negative result."""
    if report.status in NO_FAULT_OF_CHANGE:
        return lambda reports: RunsResult(reports=reports, suite_ran=False, passed=0, total=0, infra=report.reason)
    if report.status in (RunStatus.INCONCLUSIVE, RunStatus.TIMEOUT):
        text = f"The {report.scope} tests gave no verdict: {report.reason}"
    elif report.newly_red:
        text = f"Tests fail with this change ({report.scope}):\n{explain(run, report.newly_red)}"
    else:
        return None
    return lambda reports: RunsResult(
        reports=reports, suite_ran=False, passed=report.passed, total=report.total, problem=text
    )
