"""What the tests say about a changed tree, against what they said before: the failing tests first, then wider."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from governance.codebase import read_python
from governance.crew import Crew
from governance.dossier import RunReport
from governance.irongate.doctests import object_of
from governance.reach import Reach
from ledger.ids import sha256_hex
from ledger.vocabulary import Edit, EditKind, Operation, Outcome, RunStatus, Seen, TestRun
from tools.testing.names import stands_for
from tools.testing.runner import LookedFor, SeveralRuns, TestRunner
from tools.testing.scope import affected
from tools.workspace import Workspace

Scope = Literal["failing", "affected", "suite", "closure"]
BLAMELESS = frozenset({RunStatus.INFRA})
Stand = Callable[[], Awaitable[object]]
"""Brings a change into a workspace that has the commit's files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """``problem``: the candidate's fault, as feedback; ``infra``: nobody's fault that a verdict is missing."""

    reports: tuple[RunReport, ...]
    suite_ran: bool
    passed: int
    total: int
    problem: str = ""
    infra: str = ""
    seen: Seen | None = None
    """What of the change the op's own tests have reached; of an op that has none, the widest run."""


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
    stand: Stand,
    limit_s: float,
    may_be_red: Collection[str],
    scope: Scope,
    expected: Sequence[str] | None = None,
    looked_for: LookedFor | None = None,
) -> tuple[RunReport, TestRun]:
    """One run; what is newly red, or not run for a fault of the machine, is run once more: flaky or failing.

    Each run finds the tree as ``stand`` makes it, without what a run before has left. What passes by itself is run with
    the others again: a change may be wrong only behind them.
    """

    async def once(which: Sequence[str] | None, expected: Sequence[str] | None = None) -> TestRun:
        await tests.reset()
        await stand()
        return await tests.run(which, limit_s=limit_s, expected=expected, looked_for=looked)

    looked = looked_for
    run = await once(ids, expected)
    if run.status in BLAMELESS:
        run = await once(ids, expected)
    looked = None  # what is run again is run for its verdict
    newly = tuple(r.id for r in run.red if r.id not in may_be_red)
    flaky: tuple[str, ...] = ()
    if newly and run.status is RunStatus.RED:
        # A file that could not be collected has no test id of its own: then the same scope is run again.
        has_ids = all("::" in i for i in newly)
        still = red_again(await once(newly if has_ids else ids), newly)
        if has_ids and len(still) < len(newly):
            still |= red_again(await once(ids), newly)
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


def red_again(run: TestRun, newly: Collection[str]) -> set[str]:
    """Pure: which of the newly red tests another run does not clear. Without a verdict it clears none."""
    if run.status not in (RunStatus.RED, RunStatus.GREEN):
        return set(newly)
    return {r.id for r in run.red if r.id in newly}


def missing_or_skipped(base: TestRun, run: TestRun, changed: Collection[str]) -> tuple[str, ...]:
    """Pure: tests that passed before and are skipped now, outside of the files that the change itself edits."""
    passed = {r.id for r in base.results if r.outcome is Outcome.PASSED and r.id.partition("::")[0] not in changed}
    return tuple(r.id for r in run.results if r.outcome is Outcome.SKIPPED and r.id in passed)


def evaded(run: TestRun, ids: Collection[str]) -> tuple[str, ...]:
    """Pure: tests that failed, and are skipped or expected to fail now: nothing is repaired by that."""
    return tuple(r.id for r in run.results if r.id in ids and r.outcome in (Outcome.SKIPPED, Outcome.XFAILED))


async def measure_runs(
    op: Operation,
    crew: Crew,
    workspace: Workspace,
    *,
    stand: Stand,
    changed: Collection[str],
    same_tests: bool = True,
    reach: Reach | None = None,
) -> Measured:
    """The op's own tests, then the whole suite when it fits its budget, else the tests that reach the changed files.

    ``stand`` brings the change into a workspace that was reset. ``same_tests``: what was collected before must be
    collected again. Not so on a disk tree with the owner's own edits. ``reach``: what of the change the tests have to
    reach for it to land by itself.
    """
    runner = crew.shop.runner
    if runner is None:
        raise RuntimeError("tests cannot be run here")
    as_at_base = partial(_with_tests_of_base, op, crew, workspace, stand, changed)
    async with runner.several(workspace) as tests:
        return await _measured(
            op,
            crew,
            runner,
            tests,
            stand=stand,
            as_at_base=as_at_base,
            changed=changed,
            same_tests=same_tests,
            reach=reach,
        )


async def _with_tests_of_base(
    op: Operation, crew: Crew, workspace: Workspace, stand: Stand, changed: Collection[str]
) -> None:
    """The change, but with the files of the failing tests as they were: what is judged does not judge itself.

    A program's file that holds one of them by its doctests is the change's; gate 16 compares its examples.
    """
    await stand()
    paths = {test.partition("::")[0] for test in op.test_ids if object_of(test) is None}
    edits = []
    for path in sorted(paths.intersection(changed)):
        base, now = await crew.shop.repository.read(op.tree, path), await asyncio.to_thread(workspace.read, path)
        if base is not None and now is not None and now != base:
            edits.append(Edit(path=path, kind=EditKind.MODIFY, before=sha256_hex(now), after=base))
    if edits:
        await workspace.apply(edits)


async def _measured(
    op: Operation,
    crew: Crew,
    runner: TestRunner,
    tests: SeveralRuns,
    *,
    stand: Stand,
    as_at_base: Stand,
    changed: Collection[str],
    same_tests: bool,
    reach: Reach | None,
) -> Measured:
    """``as_at_base``: as ``stand``, with the failing tests' own files as they were."""
    shop = crew.shop
    limit = shop.settings.pipeline.suite_budget_s
    reports: list[RunReport] = []
    seen: Seen | None = None
    looked = reach.looked_for(by_function=bool(op.test_ids)) if reach is not None and reach.files else None
    if op.test_ids:
        report, run = await run_twice(
            tests,
            op.test_ids,
            stand=as_at_base,
            limit_s=shop.settings.repair.test_limit_s,
            may_be_red=(),
            scope="failing",
            looked_for=looked,
        )
        reports.append(report)
        seen, looked = run.seen, None
        verdict = judge(report, run)
        if verdict is not None:
            return verdict(tuple(reports))
        around = evaded(run, op.test_ids)
        if around:
            text = f"Tests that failed do not pass with this change, they are only not counted: {', '.join(around[:5])}"
            return Measured(reports=tuple(reports), suite_ran=False, passed=0, total=report.total, problem=text)
    base = await shop.baselines.get(runner, op.tree, owner=op.id, coverage=False, limit_s=limit)
    red_before = {r.id for r in base.red if not any(stands_for(test, r.id) for test in op.test_ids)}
    if base.status in (RunStatus.GREEN, RunStatus.RED):
        expected = [i for i in base.collected if i.partition("::")[0] not in changed] if same_tests else None
        report, run = await run_twice(
            tests,
            None,
            stand=stand,
            limit_s=limit,
            may_be_red=red_before,
            scope="suite",
            expected=expected,
            looked_for=looked,
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
            return finish(reports, suite=False, seen=seen)
        report, run = await run_twice(
            tests, scope, stand=stand, limit_s=limit, may_be_red=red_before, scope="affected", looked_for=looked
        )
        if report.newly_red and run.status is RunStatus.RED:
            known = await red_at_base(op, crew, runner, scope, limit_s=limit)
            report = report.model_copy(update={"newly_red": tuple(i for i in report.newly_red if i not in known)})
        suite = False
    reports.append(report)
    verdict = judge(report, run)
    seen = seen if op.test_ids else run.seen
    return verdict(tuple(reports)) if verdict is not None else finish(reports, suite=suite, seen=seen)


async def red_at_base(
    op: Operation, crew: Crew, runner: TestRunner, scope: Sequence[str], *, limit_s: float
) -> frozenset[str]:
    """Tests of ``scope`` that are red at the op's tree, but for its own: a suite that gives no verdict says nothing."""
    async with crew.workspace(op, suffix="-base") as workspace:
        run = await runner.run(workspace, scope, limit_s=limit_s)
    return frozenset(r.id for r in run.red if not any(stands_for(test, r.id) for test in op.test_ids))


def finish(reports: Sequence[RunReport], *, suite: bool, seen: Seen | None = None) -> Measured:
    """All runs allow the candidate."""
    widest = max(reports, key=lambda r: r.total, default=None)
    return Measured(
        reports=tuple(reports),
        suite_ran=suite,
        passed=widest.passed if widest else 0,
        total=widest.total if widest else 0,
        seen=seen,
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
