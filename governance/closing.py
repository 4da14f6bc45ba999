"""The closure checks of an op, asked on a tree: at its base, of its candidate, and of the tree as it was applied."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from governance.crew import Crew
from governance.doors import Tree
from governance.dossier import Application, Approval, Generation
from governance.irongate.g14_noop import FileChange, is_noop
from ledger.errors import StaleBase
from ledger.ids import sha256_hex
from ledger.vocabulary import (
    Candidate,
    Closure,
    Edit,
    EditKind,
    Frozen,
    Operation,
    OwnerConfirms,
    PageWithout,
    RunCheck,
    RunStatus,
    TestRun,
    TestsPass,
    Tier,
    TreeCheck,
)
from tools.testing.produce import Produced, produce
from tools.workspace import Workspace


class Answer(Frozen):
    """Of all checks of an op: closed when each is; ``gone`` when nobody can do anything about those that are not."""

    closed: bool
    reason: str
    gone: bool = False


class CommittedTree:
    """A commit. Its tests are run elsewhere."""

    def __init__(self, crew: Crew, commit: str) -> None:
        self._crew = crew
        self._commit = commit

    async def run(self, ids: Sequence[str] | None, *, instead: Mapping[str, bytes] | None = None) -> TestRun:
        raise RuntimeError("tests are not run at a commit, but in a workspace")

    async def read(self, path: str) -> bytes | None:
        return await self._crew.shop.repository.read(self._commit, path)

    async def sizes(self) -> Mapping[str, int]:
        return await self._crew.shop.repository.sizes(self._commit)

    async def read_many(self, paths: Collection[str]) -> Mapping[str, bytes]:
        return await self._crew.shop.repository.read_many(self._commit, paths)

    async def produce(self, argv: Sequence[str], *, path: str, limit_s: float, largest: int) -> Produced:
        raise RuntimeError("nothing is run at a commit, but in a workspace")


class CopiedTree:
    """A workspace as it stands."""

    def __init__(self, crew: Crew, workspace: Workspace) -> None:
        self._crew = crew
        self._workspace = workspace

    async def run(self, ids: Sequence[str] | None, *, instead: Mapping[str, bytes] | None = None) -> TestRun:
        shop = self._crew.shop
        if shop.runner is None:
            raise RuntimeError("tests cannot be run here")
        limit_s = shop.settings.pipeline.suite_budget_s if ids is None else shop.settings.repair.test_limit_s
        forth, back = list[Edit](), list[Edit]()
        for path, data in (instead or {}).items():
            now = await self.read(path) or b""
            forth.append(_rewritten(path, now, data))
            back.append(_rewritten(path, data, now))
        await self._workspace.apply(forth)
        run = await shop.runner.run(self._workspace, ids, limit_s=limit_s)
        try:
            await self._workspace.apply(back)
        except StaleBase as error:
            return TestRun(status=RunStatus.INCONCLUSIVE, reason=f"The tests wrote to {', '.join(error.paths)}.")
        return run

    async def read(self, path: str) -> bytes | None:
        return await asyncio.to_thread(self._workspace.read, path)

    async def sizes(self) -> Mapping[str, int]:
        return await asyncio.to_thread(self._workspace.sizes)

    async def read_many(self, paths: Collection[str]) -> Mapping[str, bytes]:
        return await asyncio.to_thread(self._read_many, tuple(paths))

    def _read_many(self, paths: tuple[str, ...]) -> dict[str, bytes]:
        return {path: data for path in paths if (data := self._workspace.read(path)) is not None}

    async def produce(self, argv: Sequence[str], *, path: str, limit_s: float, largest: int) -> Produced:
        runner = self._crew.shop.runner
        if runner is None:
            return None, self._crew.shop.runner_problem
        return await produce(runner, self._workspace, argv, path=path, limit_s=limit_s, largest=largest)


def _rewritten(path: str, before: bytes, after: bytes) -> Edit:
    return Edit(path=path, kind=EditKind.MODIFY, before=sha256_hex(before), after=after)


def asks_the_tree(op: Operation) -> bool:
    """Whether a check of the op asks the tree itself: what the tests have left there must be gone then."""
    return any(_asks_the_tree(signal.closure) for signal in op.signals)


def _asks_the_tree(closure: Closure) -> bool:
    return not isinstance(closure, TestsPass | OwnerConfirms)


def floors(op: Operation) -> tuple[tuple[Tier, str], ...]:
    """A check that the op can satisfy by its own writing is none without a person's yes."""
    return ((Tier.APPROVAL_REQUIRED, op.needs_yes),) if op.needs_yes else ()


def beyond_docs(op: Operation, edits: Sequence[Edit], originals: dict[str, bytes | None]) -> tuple[str, ...]:
    """Pure: files whose programs an op changes that was asked for documentation only. Its pages are no programs."""
    if not all(signal.closure.about_docs for signal in op.signals):
        return ()
    pages = {signal.closure.path for signal in op.signals if isinstance(signal.closure, PageWithout)}
    changes = (FileChange(path=e.path, before=originals.get(e.renamed_from or e.path), after=e.after) for e in edits)
    return tuple(change.path for change in changes if change.path not in pages and not is_noop(change))


async def _ask(closures: Sequence[Closure], crew: Crew, tree: Tree, approval: Approval | None) -> Answer:
    reasons, gone = list[str](), False
    open_ = ""
    for closure in closures:
        if isinstance(closure, OwnerConfirms):
            if approval is None or approval.decision != "approved":
                return Answer(closed=False, reason="the owner has not confirmed")
            reasons.append(f"confirmed by {approval.by}")
            continue
        answer = await crew.shop.closures.is_closed(closure, tree)
        reasons.append(answer.reason)
        if not answer.closed and not answer.gone:
            return Answer(closed=False, reason=answer.reason)
        if answer.gone:
            gone, open_ = True, answer.reason
    if gone:
        return Answer(closed=False, gone=True, reason=open_)
    return Answer(closed=True, reason="; ".join(dict.fromkeys(reasons)))


async def at_base(op: Operation, crew: Crew) -> Answer:
    """Is there anything to do? Asked before anything is spent; only of checks that the tree answers."""
    closures = [s.closure for s in op.signals]
    if not all(isinstance(closure, TreeCheck | RunCheck) for closure in closures):
        return Answer(closed=False, reason="nothing but the owner can say so")
    if any(isinstance(closure, RunCheck) for closure in closures):
        async with crew.workspace(op) as workspace:
            return await _ask(closures, crew, CopiedTree(crew, workspace), None)
    return await _ask(closures, crew, CommittedTree(crew, op.tree), None)


async def of_candidate(op: Operation, crew: Crew, workspace: Workspace) -> Answer:
    """Of a workspace that holds the candidate: what asks the tree, but for what the daemon marks at APPLY."""
    closures = [s.closure for s in op.signals if _asks_the_tree(s.closure) and not s.closure.marked]
    return await _ask(closures, crew, CopiedTree(crew, workspace), None)


async def as_applied(op: Operation, approval: Approval | None, crew: Crew, workspace: Workspace) -> Answer:
    """All checks, on the tree that is verified. An owner's yes was given at APPROVE."""
    return await _ask([s.closure for s in op.signals], crew, CopiedTree(crew, workspace), approval)


async def marks(op: Operation, crew: Crew) -> tuple[tuple[Edit, ...], str]:
    """The daemon's own part of the change: what it marks as done by this op; or none, and why it cannot."""
    made: dict[str, Edit] = {}
    for closure in (s.closure for s in op.signals if s.closure.marked):
        tree = _Marked(CommittedTree(crew, op.tree), made)
        edit = await crew.shop.closures.mark(closure, tree, op.id)
        if edit is None:
            return (), (await crew.shop.closures.is_closed(closure, tree)).reason
        earlier = made.get(edit.path)
        made[edit.path] = edit.model_copy(update={"before": earlier.before}) if earlier else edit
    return tuple(made.values()), ""


class _Marked:
    """A tree with the marks that were made so far."""

    def __init__(self, tree: Tree, made: dict[str, Edit]) -> None:
        self._tree = tree
        self._made = made

    async def run(self, ids: Sequence[str] | None, *, instead: Mapping[str, bytes] | None = None) -> TestRun:
        return await self._tree.run(ids, instead=instead)

    async def read(self, path: str) -> bytes | None:
        edit = self._made.get(path)
        return edit.after if edit is not None else await self._tree.read(path)

    async def sizes(self) -> Mapping[str, int]:
        marked = {path: len(edit.after or b"") for path, edit in self._made.items()}
        return {**await self._tree.sizes(), **marked}

    async def read_many(self, paths: Collection[str]) -> Mapping[str, bytes]:
        marked = {path: edit.after or b"" for path, edit in self._made.items() if path in paths}
        return {**await self._tree.read_many(paths), **marked}

    async def produce(self, argv: Sequence[str], *, path: str, limit_s: float, largest: int) -> Produced:
        return await self._tree.produce(argv, path=path, limit_s=limit_s, largest=largest)


def applied(generation: Generation, application: Application) -> Candidate:
    """What was written: the candidate, and the daemon's own marks."""
    return with_marks(generation.candidate, application.marks)


def with_marks(candidate: Candidate, made: Sequence[Edit]) -> Candidate:
    """A candidate with edits of the daemon's own, which no gate judges: they are no model's."""
    return candidate.model_copy(update={"edits": (*candidate.edits, *made)}) if made else candidate
