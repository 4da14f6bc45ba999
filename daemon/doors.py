"""The hands that rooms are given from rooms they may not import: each class here is one door."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from governance.budget import Budget
from governance.grounding.claims import source_key
from governance.grounding.trust import Trust
from governance.irongate import g12_lock, g19_recursion
from governance.left_alone import reaches
from ledger.errors import SandboxMissing
from ledger.store import Ledger
from ledger.vocabulary import EntryKind, RunStatus, Signal, Source, TestRun, TestsPass, Verdict
from sensors.doors import TrackRecord
from sensors.health.health import Health
from sensors.intake.surroundings import Surroundings
from tools.git import Git
from tools.repository import Repository
from tools.workspace import Workspaces

if TYPE_CHECKING:
    from tools.testing.runner import TestRunner


class CommittedTests:
    """The sensors' test runner: the suite (or some ids) at a commit, in a fresh workspace."""

    def __init__(self, *, workspaces: Workspaces, limit_s: float) -> None:
        self._workspaces = workspaces
        self._limit_s = limit_s
        self.runner: TestRunner | None = None
        self.problem = "the sandbox is still being probed"

    async def run(self, commit: str, ids: Sequence[str] | None = None) -> TestRun:
        """Never raises for a repository that cannot be tested: the run says why."""
        if self.runner is None:
            return TestRun(status=RunStatus.INFRA, reason=self.problem)
        workspace = await self._workspaces.acquire("test_failure", commit)
        try:
            return await self.runner.run(workspace, ids, limit_s=self._limit_s)
        except SandboxMissing as error:
            return TestRun(status=RunStatus.INFRA, reason=str(error))
        finally:
            await self._workspaces.release(workspace)


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

    async def look(self) -> Surroundings:
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
    return g19_recursion.check(g19_recursion.Facts(depth=signal.depth))


def may_release(silent_s: float, limit_s: float) -> Verdict:
    """Gate 12: a worker renews its lease while it lives, so one that was silent for longer than that is gone."""
    facts = g12_lock.Facts(holder_alive=False, age_s=math.ceil(silent_s), limit_s=math.floor(limit_s))
    return g12_lock.check(facts)


class RepositoryIgnores:
    """What git ignores, for the watcher."""

    def __init__(self, *, git: Git) -> None:
        self._git = git

    async def ignored_folders(self) -> Collection[str]:
        listed = await self._git.call("ls-files", "--others", "--ignored", "--exclude-standard", "--directory", "-z")
        return tuple(path.rstrip("/") for path in listed.fields if path.endswith("/"))

    async def ignored_among(self, paths: Collection[str]) -> Collection[str]:
        stdin = "".join(f"{path}\0" for path in paths).encode("utf-8", errors="surrogateescape")
        return (await self._git.call("check-ignore", "-z", "--stdin", stdin=stdin, ok=(0, 1))).fields


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
    entries = await ledger.entries(op_id=op_id, kinds=(EntryKind.DECISION,))
    started = (e for e in entries if e.payload.get("event") == "op.started")
    return next((int(e.payload.get("depth", 0)) for e in started), 0)
