"""The hands that rooms are given from rooms they may not import: each class here is one door."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from governance.budget import Budget
from governance.grounding.claims import source_key
from governance.grounding.trust import Trust
from governance.irongate.op import g12_lock, g19_recursion
from governance.verification.suppressed_tests import reaches
from ledger.errors import SandboxMissing
from ledger.events.op import OpStarted
from ledger.store import Ledger
from ledger.vocabulary import RunStatus, Signal, Source, TestRun, TestsPass, Verdict
from sensors.health.health import Health
from sensors.intake.pressure import Pressure
from sensors.ports import TrackRecord
from tools.git import Git
from tools.repository import Repository
from tools.workspace import Workspaces

if TYPE_CHECKING:
    from tools.testing.runner import SeveralRuns, TestRunner


MADE_READY = 2  # what is red is run again, in a process of its own


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Ready:
    """A copy of a commit and a test process on it made in advance; ``held`` ends them."""

    commit: str
    runner: TestRunner
    tests: SeveralRuns
    held: AsyncExitStack


class CommittedTests:
    """The sensors' test runner: the suite (or some ids) at a commit, in a fresh workspace."""

    def __init__(self, *, workspaces: Workspaces, limit_s: float) -> None:
        self._workspaces = workspaces
        self._limit_s = limit_s
        self._ready: list[Ready] = []
        self.runner: TestRunner | None = None
        self.problem = "the sandbox is still being probed"

    async def run(self, commit: str, ids: Sequence[str] | None = None) -> TestRun:
        """Never raises for a repository that cannot be tested: the run has the reason."""
        runner = self.runner
        if runner is None:
            return TestRun(status=RunStatus.INFRA, reason=self.problem)
        ready = self._take(commit, runner)
        try:
            async with ready.held if ready is not None else AsyncExitStack() as held:
                tests = ready.tests if ready is not None else await self._begin(runner, commit, held)
                return await tests.run(ids, limit_s=self._limit_s)
        except SandboxMissing as error:
            return TestRun(status=RunStatus.INFRA, reason=str(error))

    async def make_ready(self, commit: str) -> None:
        """What two runs wait for is there before they are asked for: copies of the commit, and processes that have
        imported pytest and nothing else. Where the first run is green the second one was made in vain: a third of a
        second of a machine that nobody waits for, against as much of one that somebody does."""
        await self.let_go()
        for _ in range(MADE_READY):
            if self.runner is None:
                return
            async with AsyncExitStack() as held:
                tests = await self._begin(self.runner, commit, held)
                await tests.start()
                self._ready.append(Ready(commit=commit, runner=self.runner, tests=tests, held=held.pop_all()))

    async def let_go(self) -> None:
        """End what was made ready and not used."""
        while self._ready:
            await self._ready.pop().held.aclose()

    def _take(self, commit: str, runner: TestRunner) -> Ready | None:
        """Take what was made ready for a run like this."""
        fitting = next((ready for ready in self._ready if (ready.commit, ready.runner) == (commit, runner)), None)
        if fitting is not None:
            self._ready.remove(fitting)
        return fitting

    async def _begin(self, runner: TestRunner, commit: str, held: AsyncExitStack) -> SeveralRuns:
        workspace = await self._workspaces.acquire("suite", commit)
        held.push_async_callback(self._workspaces.release, workspace)
        return await held.enter_async_context(runner.several(workspace))


class BranchQuestions:
    """The router's question about review branches, and the commit on which an op is planned."""

    def __init__(self, *, repository: Repository) -> None:
        self._repository = repository

    async def lives(self, branch: str) -> bool:
        return await self._repository.has_branch(branch)

    async def head(self) -> str | None:
        return (await self._repository.head()).commit


class Outlook:
    """What the governor asks about: the machine, and how much of the day's money is spent."""

    def __init__(self, *, budget: Budget, health: Health) -> None:
        self._budget = budget
        self._health = health

    async def look(self) -> Pressure:
        ceiling = self._budget.settings.per_day_usd_micro
        spent = await self._budget.spent_today() if ceiling else 0
        vitals = await self._health.look()
        return vitals.surroundings(burn_bp=spent * 10_000 // ceiling if ceiling else 0)


def record_of(trust: Trust) -> TrackRecord:
    """What came of the earlier claims of a source, for the priority of its next ones."""

    def of(source: Source) -> tuple[int, int]:
        tally = trust.of(source_key(source))
        return tally.hits, tally.n

    return of


def admit(signal: Signal) -> Verdict:
    """Gate 19 at intake: what our own commits have caused too deeply is parked."""
    return g19_recursion.check(g19_recursion.RecursionFacts(depth=signal.depth))


def may_release(silent_s: float, limit_s: float) -> Verdict:
    """Gate 12: a worker renews its lease while it lives, so one that was silent for longer than that is gone."""
    facts = g12_lock.LockFacts(holder_alive=False, age_s=math.ceil(silent_s), limit_s=math.floor(limit_s))
    return g12_lock.check(facts)


class RepositoryIgnores:
    """What git ignores, for the watcher."""

    def __init__(self, *, git: Git) -> None:
        self._git = git

    async def ignored_folders(self) -> Collection[str]:
        listed = await self._git.call("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
        return tuple(path.rstrip("/") for path in listed.fields if path.endswith("/"))

    async def ignored_among(self, paths: Collection[str]) -> Collection[str]:
        stdin = "".join(f"./{path}\0" for path in paths).encode("utf-8", errors="surrogateescape")
        # This command takes no literal pathspecs; behind "./" nothing is magic.
        said = await self._git.call(
            "check-ignore", "-z", "--stdin", stdin=stdin, ok=(0, 1), extra_env={"GIT_LITERAL_PATHSPECS": "0"}
        )
        return tuple(path.removeprefix("./") for path in said.fields)


async def is_unchanged(git: Git, repository: Repository, before: Signal, now: Signal) -> bool:
    """Whether nothing between the commits of two signals of the same tests reaches those tests."""
    old, new = before.snapshot or before.base, now.snapshot or now.base
    if not isinstance(now.closure, TestsPass):
        return False
    if (await git.call("cat-file", "-e", f"{old}^{{commit}}", ok=(0, 1, 128))).code != 0:
        return False
    return not await reaches(repository, new, await repository.changed_between(old, new), now.closure.ids)


async def is_taken_over(git: Git, repository: Repository, commit: str) -> bool:
    """True when the owner's branch holds ``commit``, or reads in its files as it does (squashed, picked, retyped)."""
    if (await git.call("cat-file", "-e", f"{commit}^{{commit}}", ok=(0, 1, 128))).code != 0:
        return False
    if (await git.call("merge-base", "--is-ancestor", commit, "HEAD", ok=(0, 1, 128))).code == 0:
        return True
    head, parent = (await repository.head()).commit, await repository.parent(commit)
    if head is None or parent is None:
        return False
    paths = await repository.changed_between(parent, commit)
    return not set(paths) & set(await repository.changed_between(commit, head))


async def depth_of(ledger: Ledger, op_id: str) -> int:
    """How many of our own commits stood in the cause chain of an op; 0 for an unknown one."""
    started = await ledger.events(OpStarted, op_id=op_id, limit=1)
    return started[0][1].depth if started else 0
