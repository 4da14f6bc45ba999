"""The sensors' test runner: the suite, or some of its tests, at a commit in a fresh workspace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from ledger.errors import SandboxMissing
from ledger.vocabulary import RunStatus, TestRun
from tools.testing.runner import SeveralRuns, TestRunner, TestsMissing
from tools.workspace import Workspaces

PREPARED_RUNS = 2  # of the suite, and of its failing tests once more in their own process


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedRun:
    """A workspace at a commit and a test process in it, started in advance; closing ``held`` ends both."""

    commit: str
    runner: TestRunner
    tests: SeveralRuns
    held: AsyncExitStack


class CommittedTests:
    """Runs tests at commits. ``runner`` returns the runtime's test runner, which can change meanwhile."""

    def __init__(
        self, *, workspaces: Workspaces, runner: Callable[[], TestRunner | TestsMissing], limit_s: float
    ) -> None:
        self._workspaces = workspaces
        self._runner = runner
        self._limit_s = limit_s
        self._prepared: list[PreparedRun] = []

    async def run(self, commit: str, ids: Sequence[str] | None = None) -> TestRun:
        """Run the suite, or only ``ids``. A run states why a repository cannot be tested; nothing is raised."""
        runner = self._runner()
        if isinstance(runner, TestsMissing):
            return TestRun(status=RunStatus.INFRA, reason=runner.reason)
        prepared = self._take(commit, runner)
        try:
            async with prepared.held if prepared is not None else AsyncExitStack() as held:
                tests = prepared.tests if prepared is not None else await self._begin(runner, commit, held)
                return await tests.run(ids, limit_s=self._limit_s)
        except SandboxMissing as error:
            return TestRun(status=RunStatus.INFRA, reason=str(error))

    async def prepare(self, commit: str) -> None:
        """Prepare two runs: copies of the commit, and processes that have imported pytest and nothing else.

        If the first run passes, the second was prepared in vain. It costs about 0.3 s of an idle machine, and saves the
        owner as much waiting time if it is used.
        """
        await self.discard_prepared()
        for _ in range(PREPARED_RUNS):
            runner = self._runner()
            if isinstance(runner, TestsMissing):
                return
            async with AsyncExitStack() as held:
                tests = await self._begin(runner, commit, held)
                await tests.start()
                self._prepared.append(PreparedRun(commit=commit, runner=runner, tests=tests, held=held.pop_all()))

    async def discard_prepared(self) -> None:
        """End prepared runs that were not used."""
        while self._prepared:
            await self._prepared.pop().held.aclose()

    def _take(self, commit: str, runner: TestRunner) -> PreparedRun | None:
        """Remove and return the run prepared for this commit and runner, if any."""
        found = next((each for each in self._prepared if (each.commit, each.runner) == (commit, runner)), None)
        if found is not None:
            self._prepared.remove(found)
        return found

    async def _begin(self, runner: TestRunner, commit: str, held: AsyncExitStack) -> SeveralRuns:
        workspace = await self._workspaces.acquire("suite", commit)
        held.push_async_callback(self._workspaces.release, workspace)
        return await held.enter_async_context(runner.several(workspace))
