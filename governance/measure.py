"""What the tests say about a changed tree, against what they said before: the failing tests first, then wider."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from governance.codebase import read_python
from governance.crew import Crew
from governance.dossier import RunReport
from ledger.vocabulary import Operation, Outcome, RunStatus, TestRun
from tools.testing.names import stands_for
from tools.testing.runner import SeveralRuns, TestRunner
from tools.testing.scope import affected
from tools.workspace import Workspace

Scope = Literal["failing", "affected", "suite", "closure"]
BLAMELESS = frozenset({RunStatus.INFRA})


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """``problem``: the candidate's fault, as feedback; ``infra``: nobody's fault that a verdict is missing."""

    reports: tuple[RunReport, ...]
    suite_ran: bool
    passed: int
    total: int
    problem: str = ""
    infra: str = ""


def explain(run: TestRun, ids: Collection[str]) -> str:
    """What failed, in a few lines a model (and a person) can use."""
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
    limit_s: float,
    may_be_red: Collection[str],
    scope: Scope,
    expected: Sequence[str] | None = None,
) -> tuple[RunReport, TestRun]:
    """One run; what is newly red, or not run for a fault of the machine, is run once more: flaky or failing."""
    run = await tests.run(ids, limit_s=limit_s, expected=expected)
    if run.status in BLAMELESS:
        run = await tests.run(ids, limit_s=limit_s, expected=expected)
    newly = tuple(r.id for r in run.red if r.id not in may_be_red)
    flaky: tuple[str, ...] = ()
    if newly and run.status is RunStatus.RED:
        # A file that could not be collected has no test id of its own: then the same scope is run again.
        again = await tests.run(newly if all("::" in i for i in newly) else ids, limit_s=limit_s)
        still = {r.id for r in again.red} if again.status in (RunStatus.RED, RunStatus.GREEN) else set(newly)
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
    )
    return report, run


def missing_or_skipped(base: TestRun, run: TestRun, changed: Collection[str]) -> tuple[str, ...]:
    """Pure: tests that passed before and are skipped now, outside of the files that the change itself edits."""
    passed = {r.id for r in base.results if r.outcome is Outcome.PASSED and r.id.partition("::")[0] not in changed}
    return tuple(r.id for r in run.results if r.outcome is Outcome.SKIPPED and r.id in passed)


async def measure_runs(
    op: Operation, crew: Crew, workspace: Workspace, *, changed: Collection[str], same_tests: bool = True
) -> Measured:
    """The op's own tests, then the whole suite when it fits its budget, else the tests that reach the changed files.

    ``same_tests``: what was collected before must be collected again. Not so on a disk tree with the owner's own edits.
    """
    runner = crew.shop.runner
    if runner is None:
        raise RuntimeError("tests cannot be run here")
    async with runner.several(workspace) as tests:
        return await _measured(op, crew, runner, tests, changed=changed, same_tests=same_tests)


async def _measured(
    op: Operation, crew: Crew, runner: TestRunner, tests: SeveralRuns, *, changed: Collection[str], same_tests: bool
) -> Measured:
    shop = crew.shop
    limit = shop.settings.pipeline.suite_budget_s
    reports: list[RunReport] = []
    if op.test_ids:
        report, run = await run_twice(
            tests, op.test_ids, limit_s=shop.settings.repair.test_limit_s, may_be_red=(), scope="failing"
        )
        reports.append(report)
        verdict = judge(report, run)
        if verdict is not None:
            return verdict(tuple(reports))
    base = await shop.baselines.get(runner, op.tree, owner=op.id, coverage=False, limit_s=limit)
    red_before = {r.id for r in base.red if not any(stands_for(test, r.id) for test in op.test_ids)}
    if base.status in (RunStatus.GREEN, RunStatus.RED):
        expected = [i for i in base.collected if i.partition("::")[0] not in changed] if same_tests else None
        report, run = await run_twice(
            tests, None, limit_s=limit, may_be_red=red_before, scope="suite", expected=expected
        )
        suite = True
        hidden = missing_or_skipped(base, run, changed) if same_tests else ()
        if hidden:
            text = f"Tests that passed before are skipped with this change: {', '.join(hidden[:5])}"
            return Measured(reports=(*reports, report), suite_ran=True, passed=0, total=report.total, problem=text)
    else:
        files = await read_python(shop.repository, op.tree)
        scope = await asyncio.to_thread(affected, files, changed)
        if not scope:
            return finish(reports, suite=False)
        report, run = await run_twice(tests, scope, limit_s=limit, may_be_red=red_before, scope="affected")
        suite = False
    reports.append(report)
    verdict = judge(report, run)
    return verdict(tuple(reports)) if verdict is not None else finish(reports, suite=suite)


def finish(reports: Sequence[RunReport], *, suite: bool) -> Measured:
    """All runs allow the candidate."""
    widest = max(reports, key=lambda r: r.total, default=None)
    return Measured(
        reports=tuple(reports),
        suite_ran=suite,
        passed=widest.passed if widest else 0,
        total=widest.total if widest else 0,
    )


def judge(report: RunReport, run: TestRun) -> Callable[[tuple[RunReport, ...]], Measured] | None:
    """None when the run allows the candidate, else what makes the verdict. The runner reports, never the model."""
    if report.status in BLAMELESS:
        return lambda reports: Measured(reports=reports, suite_ran=False, passed=0, total=0, infra=report.reason)
    if report.status in (RunStatus.INCONCLUSIVE, RunStatus.TIMEOUT):
        text = f"The {report.scope} tests gave no verdict: {report.reason}"
    elif report.newly_red:
        text = f"Tests fail with this change ({report.scope}):\n{explain(run, report.newly_red)}"
    else:
        return None
    return lambda reports: Measured(
        reports=reports, suite_ran=False, passed=report.passed, total=report.total, problem=text
    )
