"""Reproduces an op's failure, localises it and collects the context that a repair needs."""

from __future__ import annotations

import asyncio

from governance.irongate.paths import is_test_path
from governance.pipeline.context import OpContext
from governance.repair.failure_context import FailureContext, changed_lines, read_context
from ledger.events.repair import FailureReproduced, FaultLocalised
from ledger.vocabulary import Operation, RunStatus, TestResult, TestRun
from tools.testing.runner import TestRunner
from tools.testing.selection.names import includes_test
from tools.workspace import Workspace

VERDICTS = frozenset({RunStatus.GREEN, RunStatus.RED})


def tests_without_result(op: Operation, run: TestRun) -> tuple[str, ...]:
    """The op's tests that have no result in a run. Pure."""
    return tuple(test for test in op.test_ids if not any(includes_test(test, result.id) for result in run.results))


async def reproduce(op: Operation, ctx: OpContext, *, coverage: bool) -> tuple[TestRun, tuple[TestResult, ...]]:
    """The suite's run at the op's tree, and those of the op's tests that fail in it.

    If the tests failed at another commit they are run alone first; if they pass now, nothing else is run. When the
    whole suite does not fit in its budget, only the op's tests are run; when these give no result with coverage (it
    makes them too slow, or fail), they are run without it, and localisation has tracebacks alone.
    """
    services = ctx.services
    if services.runner is None:
        raise RuntimeError("reproduce needs a test runner")
    limit = services.settings.pipeline.suite_budget_s
    run = await _passing_run(op, ctx, services.runner) if _failed_at_other_commit(op) else None
    run = run or await services.baselines.get(services.runner, op.tree, owner=op.id, coverage=coverage, limit_s=limit)
    if run.status not in VERDICTS or tests_without_result(op, run):
        for traced in (True, False) if coverage else (False,):
            async with ctx.workspace(op) as workspace:
                run = await services.runner.run(workspace, op.test_ids, coverage=traced, limit_s=limit)
            if run.status in VERDICTS:
                break
    failing = tuple(r for r in run.red if any(includes_test(test, r.id) for test in op.test_ids))
    first = failing[0] if failing else None
    gone = run.status in VERDICTS and not failing and not tests_without_result(op, run)  # other red tests do not matter
    await ctx.record.note(
        FailureReproduced(
            status=(RunStatus.GREEN if gone else run.status),
            reason="" if gone else run.reason,
            failing=[r.id for r in failing],
            total=len(run.results),
            ms=run.duration_ms,
            exception=first.exception if first else "",
            message=first.message if first else "",
            frames=[[f.path, f.line, f.function] for f in first.frames[-3:]] if first else [],
        )
    )
    return run, failing


def _failed_at_other_commit(op: Operation) -> bool:
    return any(op.tree not in (signal.base, signal.snapshot) for signal in op.signals)


async def _passing_run(op: Operation, ctx: OpContext, runner: TestRunner) -> TestRun | None:
    """The run of the op's tests alone if all of them pass, else None."""
    async with ctx.workspace(op) as workspace:
        run = await runner.run(workspace, op.test_ids)
    return run if run.status is RunStatus.GREEN and not tests_without_result(op, run) else None


async def localise_failure(
    op: Operation,
    ctx: OpContext,
    workspace: Workspace,
    base: TestRun,
    failing: tuple[TestResult, ...],
) -> FailureContext:
    """Order lines by suspicion and read the suspicious files. ``base`` is the run before any change, with coverage."""
    executed = {p for by_file in base.coverage.values() for p in by_file}
    executed |= {f.path for r in failing for f in r.frames}
    known = bool(base.coverage) or any(not is_test_path(path) for path in executed)
    recent = await recent_changes(op, ctx, frozenset(executed) if known else None)
    ranked = ctx.services.settings.repair.localised
    ran = tuple(r.id for r in base.results)
    narrow = all(any(includes_test(test, one) for test in op.test_ids) for one in ran)
    scene = await asyncio.to_thread(
        read_context, workspace, base, failing, recent, ranked=ranked, scope=ran if narrow else None
    )
    await ctx.record.note(
        FaultLocalised(
            lines=sum(len(v) for t in base.coverage.values() for v in t.values()),
            places=[[p.path, p.line, p.score_bp, p.why] for p in scene.places[:8]],
        )
    )
    return scene


async def recent_changes(op: Operation, ctx: OpContext, paths: frozenset[str] | None) -> dict[str, frozenset[int]]:
    """Lines that the commit which turned the tests red has changed, by file; ``paths`` None: in any Python file."""
    parent = await ctx.services.repository.parent(op.base)
    if parent is None or paths == frozenset():
        return {}
    wanted = ["*.py"] if paths is None else sorted(paths)
    pathspecs = {"GIT_LITERAL_PATHSPECS": "0"} if paths is None else {}  # "*.py" is a pattern; other paths are literal
    result = await ctx.services.git.call(
        "diff",
        "--no-ext-diff",
        "--no-textconv",
        "--no-renames",
        "-U0",
        "--src-prefix=a/",
        "--dst-prefix=b/",
        parent,
        op.tree,
        "--",
        *wanted,
        extra_env=pathspecs,
    )
    return changed_lines(result.out.decode("utf-8", errors="replace"))
