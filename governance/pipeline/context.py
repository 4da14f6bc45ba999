"""Everything a phase may use, in one frozen value that the orchestrator builds for each phase of an op."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from governance.approval.refusals import Refused
from governance.changes.changes import Changes
from governance.changes.types import Receipt
from governance.conversation.exploration_cache import ExplorationCache
from governance.conversation.model_client import ModelClient
from governance.grounding.canary_tracker import CanaryTracker
from governance.grounding.trust import Trust
from governance.memory.memory import RepositoryMemory
from governance.ports import Claims, ClosurePort, PosturePort
from governance.record import Recorder
from governance.repair.search_progress import SearchProgress
from governance.risk.codebase import Codebases
from governance.settings import GovernanceSettings
from governance.verification.baseline import Baselines
from kernel.provider import Provider
from ledger.clock import Clock
from ledger.places import Places
from ledger.vocabulary import Candidate, Operation, Verdict
from tools.git import Git
from tools.manifest import Toolbox
from tools.repository import Repository
from tools.testing.runner import TestRunner, TestsMissing
from tools.workspace import Workspace, Workspaces

if TYPE_CHECKING:
    from governance.approval.questions import Questions


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What all ops share: tools, provider, stores and the owner's settings."""

    places: Places
    git: Git
    repository: Repository
    codebases: Codebases
    workspaces: Workspaces
    tests: TestRunner | TestsMissing
    sandbox_name: str
    toolbox: Toolbox
    changes: Changes
    provider: Provider
    closures: ClosurePort
    claims: Claims
    posture: PosturePort
    baselines: Baselines
    memory: RepositoryMemory
    trust: Trust
    refused: Refused
    questions: Questions
    settings: GovernanceSettings
    clock: Clock
    heavy: asyncio.Semaphore

    @property
    def runner(self) -> TestRunner | None:
        """None where tests cannot be run; :attr:`runner_problem` is the reason."""
        return None if isinstance(self.tests, TestsMissing) else self.tests

    @property
    def runner_problem(self) -> str:
        """Why tests cannot be run; empty where they can."""
        return self.tests.reason if isinstance(self.tests, TestsMissing) else ""


@dataclass(slots=True)
class Regrounding:
    """State carried to an attempt that starts from a clean context.

    ``sources`` and ``paths``: evidence and files of the last attempt. ``caution_milli``: its proximity to a collapse.
    """

    sources: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    caution_milli: int = 0
    signal: str = ""
    evidence_lines: tuple[str, ...] = ()  # fresh evidence in short lines, for infill prompts


@dataclass(slots=True)
class OpResources:
    """An op's mutable state.

    Open workspaces and uncommitted writes must be released however the op ends. The rest is kept between visits of
    GENERATE: search progress, exploration, the question count, texts marked by gate 18.
    """

    workspaces: list[Workspace] = field(default_factory=list)
    receipt: Receipt | None = None
    search: SearchProgress = field(default_factory=SearchProgress)
    exploration: ExplorationCache = field(default_factory=ExplorationCache)
    questions_asked: int = 0  # put to the owner
    remembered: bool = False  # memory added advice to the model's prompt
    canary: CanaryTracker = field(default_factory=CanaryTracker)
    regrounding: Regrounding = field(default_factory=Regrounding)
    marked: list[Verdict] = field(default_factory=list)  # by gate 18; the orchestrator keeps them in the dossier

    def keep(self, receipt: Receipt) -> None:
        """Remember writes that must be rolled back unless they are committed."""
        self.receipt = receipt


class OpClock:
    """An op's working time limit. L2 repair extends it, and it is paused while the op waits for the owner.

    Deadlines inside an op must come from :meth:`within`, so that they are paused as well.
    """

    def __init__(self, *, loop_time: float, limit_s: float, left_s: float | None = None) -> None:
        """``left_s``: what a resumed op has left of ``limit_s``."""
        self._timeout = asyncio.timeout_at(None)
        self.limit_s = limit_s
        self.left_s = limit_s if left_s is None else left_s
        self.started = loop_time + self.left_s - limit_s
        self._inside: list[asyncio.Timeout] = []
        self._still = 0

    def start(self, timeout: asyncio.Timeout) -> None:
        """Attach ``timeout``, whose deadline this clock moves from now on."""
        self._timeout = timeout

    @asynccontextmanager
    async def within(self, seconds: float) -> AsyncIterator[asyncio.Timeout]:
        """``asyncio.timeout`` for a part of the op's work, paused together with the op."""
        async with asyncio.timeout(seconds) as timeout:
            self._inside.append(timeout)
            try:
                yield timeout
            finally:
                self._inside.remove(timeout)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Pause all deadlines of the op inside the block. Nested pauses count once."""
        loop, held = asyncio.get_running_loop(), list[tuple[asyncio.Timeout, float]]()
        began = loop.time()
        self._still += 1
        if self._still == 1:
            every = (*self._inside, self._timeout)
            held = [(each, when) for each in every if (when := each.when()) is not None and not each.expired()]
        for timeout, _ in held:
            timeout.reschedule(None)
        try:
            yield
        finally:
            self._still -= 1
            self.started += loop.time() - began if held else 0
            for timeout, when in held:
                timeout.reschedule(when + loop.time() - began)

    def remaining_s(self) -> float:
        """Seconds until the op times out; infinite without a limit."""
        when = self._timeout.when()
        return float("inf") if when is None else when - asyncio.get_running_loop().time()

    def expired(self) -> bool:
        """True when the op's own deadline ended it, not another time-out inside it."""
        return self._timeout.expired()

    def limit_to(self, seconds: float) -> None:
        """Set the op's working time, counted from its start."""
        self.limit_s = seconds
        self._timeout.reschedule(self.started + seconds)

    def extend_to(self, seconds: float) -> None:
        """Give the op at least ``seconds`` from now; the deadline never moves earlier."""
        when = self._timeout.when()
        wanted = asyncio.get_running_loop().time() + seconds
        if when is not None and wanted > when:
            self._timeout.reschedule(wanted)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpContext:
    """The shared resources, and those of one op."""

    services: Services
    record: Recorder
    client: ModelClient
    clock: OpClock
    resources: OpResources

    async def originals(self, op: Operation, candidate: Candidate) -> dict[str, bytes | None]:
        """Contents, at the op's tree, of the files that a candidate changes; None for files that do not exist."""
        paths = [edit.renamed_from or edit.path for edit in candidate.edits]
        return {path: await self.services.repository.read(op.tree, path) for path in paths}

    @asynccontextmanager
    async def workspace(self, op: Operation, *, tree: str | None = None, suffix: str = "") -> AsyncIterator[Workspace]:
        """A fresh workspace at ``tree`` (default: the op's), released on exit. ``suffix`` extends its owner's name."""
        workspace = await self.services.workspaces.acquire(f"{op.id}{suffix}", tree or op.tree)
        self.resources.workspaces.append(workspace)
        try:
            yield workspace
        finally:
            if workspace in self.resources.workspaces:
                self.resources.workspaces.remove(workspace)
                await self.services.workspaces.release(workspace)
