"""run_tests: the repository's tests on the current workspace, by the test runner."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from ledger.errors import ToolError
from ledger.vocabulary import RunStatus, TestResult, TestRun
from tools.manifest import Arguments, Call, Tool

SHOWN_FAILURES = 6
DETAIL_CHARS = 1200
OUTPUT_CHARS = 1500


def _no_option(value: str) -> str:
    if value.startswith("-") or "\0" in value:
        raise ValueError("a test id cannot begin with a dash")
    return value.removeprefix("./")


TestId = Annotated[str, Field(min_length=1, max_length=1000), AfterValidator(_no_option)]


class RunTestsArguments(Arguments):
    """Arguments of run_tests."""

    ids: tuple[TestId, ...] = Field(
        (), max_length=50, description="test ids such as tests/test_a.py::test_b, or files; every test when left out"
    )


class RunTests(Tool[RunTestsArguments]):
    """Counts, and for each red test its message and frames."""

    name = "run_tests"
    description = "Run the repository's tests (all, or those named) on the files as you have edited them."
    runs_tests = True
    model = RunTestsArguments

    def paths(self, arguments: RunTestsArguments) -> tuple[str, ...]:
        return tuple(dict.fromkeys(test_id.split("::", 1)[0] for test_id in arguments.ids))

    async def run(self, arguments: RunTestsArguments, call: Call) -> str:
        runner = call.context.runner
        if runner is None:
            why = call.context.runner_problem or "there is no sandbox for them."
            raise ToolError(f"Tests cannot be run here: {why}")
        return summary(await runner.run(call.context.workspace, arguments.ids or None))


def summary(run: TestRun) -> str:
    """A test run as text for a model."""
    reason = f": {run.reason}" if run.reason else ""
    rows = [f"{run.status.value}{reason} ({run.passed} passed, {len(run.red)} red, {len(run.collected)} collected)"]
    rows += [_failure(result) for result in run.red[:SHOWN_FAILURES]]
    if len(run.red) > SHOWN_FAILURES:
        rows.append(f"and {len(run.red) - SHOWN_FAILURES} more: " + ", ".join(r.id for r in run.red[SHOWN_FAILURES:]))
    if not run.red and run.status is not RunStatus.GREEN and run.output:
        rows.append(run.output[-OUTPUT_CHARS:])
    return "\n".join(rows)


def _failure(result: TestResult) -> str:
    frames = " <- ".join(f"{f.path}:{f.line} {f.function}" for f in reversed(result.frames))
    parts = [f"{result.outcome.value} {result.id}: {result.exception} {result.message}".rstrip()]
    parts += [f"  at {frames}"] if frames else []
    parts += [result.detail[:DETAIL_CHARS]] if result.detail else []
    return "\n".join(parts)
