"""The sensors' test runner: the suite, or some of its tests, at a commit in a fresh workspace."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from ledger.errors import SandboxMissing
from ledger.vocabulary import RunStatus, TestRun
from tools.testing.runner import SeveralRuns, TestRunner, TestsMissing
from tools.workspace import Workspaces

MADE_READY = 2  # what is red is run again, in a process of its own


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PreparedRun:
    """A copy of a commit and a test process on it made in advance; ``held`` ends them."""

    commit: str
    runner: TestRunner
    tests: SeveralRuns
    held: AsyncExitStack


class CommittedTests:
    """``runner`` gives the test runner of the present runtime, which may be replaced while sensors run."""

    def __init__(
        self, *, workspaces: Workspaces, runner: Callable[[], TestRunner | TestsMissing], limit_s: float
    ) -> None:
        self._workspaces = workspaces
        self._runner = runner
        self._limit_s = limit_s
        self._prepared: list[PreparedRun] = []

    async def run(self, commit: str, ids: Sequence[str] | None = None) -> TestRun:
        """Never raises for a repository that cannot be tested: the run has the reason."""
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

    async def make_ready(self, commit: str) -> None:
        """Prepare two runs: copies of the commit, and processes that have imported pytest and nothing else.

        If the first run is green, the second was prepared in vain: a third of a second of an idle machine, to save as
        much of an owner's waiting time.
        """
        await self.let_go()
        for _ in range(MADE_READY):
            runner = self._runner()
            if isinstance(runner, TestsMissing):
                return
            async with AsyncExitStack() as held:
                tests = await self._begin(runner, commit, held)
                await tests.start()
                self._prepared.append(PreparedRun(commit=commit, runner=runner, tests=tests, held=held.pop_all()))

    async def let_go(self) -> None:
        """End what was made ready and not used."""
        while self._prepared:
            await self._prepared.pop().held.aclose()

    def _take(self, commit: str, runner: TestRunner) -> PreparedRun | None:
        """Take what was made ready for a run like this."""
        fitting = next((each for each in self._prepared if (each.commit, each.runner) == (commit, runner)), None)
        if fitting is not None:
            self._prepared.remove(fitting)
        return fitting

    async def _begin(self, runner: TestRunner, commit: str, held: AsyncExitStack) -> SeveralRuns:
        workspace = await self._workspaces.acquire("suite", commit)
        held.push_async_callback(self._workspaces.release, workspace)
        return await held.enter_async_context(runner.several(workspace))
