"""Runs an op's closure checks on a tree: at its base, on its candidate, and on the tree as applied."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from governance.irongate.candidate.g14_noop import FileVersions, is_noop
from governance.pipeline.context import OpContext
from governance.pipeline.dossier import Application, Approval, Generation
from ledger.errors import StaleBase
from ledger.ids import sha256_hex
from ledger.ports import TreePort
from ledger.vocabulary import (
    Candidate,
    Closure,
    ClosureAnswer,
    Edit,
    EditKind,
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
from tools.testing.output_file import Produced, produce_file
from tools.workspace import Workspace


class CommittedTree:
    """Tree port for a commit: files only, nothing can be run."""

    def __init__(self, ctx: OpContext, commit: str) -> None:
        self._crew = ctx
        self._commit = commit

    async def run(self, ids: Sequence[str] | None, *, instead: Mapping[str, bytes] | None = None) -> TestRun:
        raise RuntimeError("tests are not run at a commit, but in a workspace")

    async def read(self, path: str) -> bytes | None:
        return await self._crew.services.repository.read(self._commit, path)

    async def sizes(self) -> Mapping[str, int]:
        return await self._crew.services.repository.sizes(self._commit)

    async def read_many(self, paths: Collection[str]) -> Mapping[str, bytes]:
        return await self._crew.services.repository.read_many(self._commit, paths)

    async def produce(self, argv: Sequence[str], *, path: str, limit_s: float, largest: int) -> Produced:
        raise RuntimeError("nothing is run at a commit, but in a workspace")


class CopiedTree:
    """Tree port for a workspace in its current state."""

    def __init__(self, ctx: OpContext, workspace: Workspace) -> None:
        self._crew = ctx
        self._workspace = workspace

    async def run(self, ids: Sequence[str] | None, *, instead: Mapping[str, bytes] | None = None) -> TestRun:
        services = self._crew.services
        if services.runner is None:
            raise RuntimeError("tests cannot be run here")
        limit_s = services.settings.pipeline.suite_budget_s if ids is None else services.settings.repair.test_limit_s
        forth, back = list[Edit](), list[Edit]()
        for path, data in (instead or {}).items():
            now = await self.read(path) or b""
            forth.append(_rewritten(path, now, data))
            back.append(_rewritten(path, data, now))
        await self._workspace.apply(forth)
        run = await services.runner.run(self._workspace, ids, limit_s=limit_s)
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
        runner = self._crew.services.runner
        if runner is None:
            return None, self._crew.services.runner_problem
        return await produce_file(runner, self._workspace, argv, path=path, limit_s=limit_s, largest=largest)


def _rewritten(path: str, before: bytes, after: bytes) -> Edit:
    return Edit(path=path, kind=EditKind.MODIFY, before=sha256_hex(before), after=after)


def asks_the_tree(op: Operation) -> bool:
    """Whether a check reads the tree itself, so that files left by test runs must be removed first."""
    return any(_asks_the_tree(signal.closure) for signal in op.signals)


def _asks_the_tree(closure: Closure) -> bool:
    return not isinstance(closure, TestsPass | OwnerConfirms)


def floors(op: Operation) -> tuple[tuple[Tier, str], ...]:
    """Floor APPROVAL_REQUIRED where a closure check alone cannot prove that the goal is met."""
    return ((Tier.APPROVAL_REQUIRED, op.needs_yes),) if op.needs_yes else ()


def code_beyond_docs(op: Operation, edits: Sequence[Edit], originals: dict[str, bytes | None]) -> tuple[str, ...]:
    """Files whose code changes although only documentation was requested; pages under repair are exempt. Pure."""
    if not all(signal.closure.about_docs for signal in op.signals):
        return ()
    pages = {signal.closure.path for signal in op.signals if isinstance(signal.closure, PageWithout)}
    changes = (FileVersions(path=e.path, before=originals.get(e.renamed_from or e.path), after=e.after) for e in edits)
    return tuple(change.path for change in changes if change.path not in pages and not is_noop(change))


async def _ask(closures: Sequence[Closure], ctx: OpContext, tree: TreePort, approval: Approval | None) -> ClosureAnswer:
    reasons, gone = list[str](), False
    open_ = ""
    for closure in closures:
        if isinstance(closure, OwnerConfirms):
            if approval is None or approval.decision != "approved":
                return ClosureAnswer(closed=False, reason="the owner has not confirmed")
            reasons.append(f"confirmed by {approval.by}")
            continue
        answer = await ctx.services.closures.is_closed(closure, tree)
        reasons.append(answer.reason)
        if not answer.closed and not answer.gone:
            return ClosureAnswer(closed=False, reason=answer.reason)
        if answer.gone:
            gone, open_ = True, answer.reason
    if gone:
        return ClosureAnswer(closed=False, gone=True, reason=open_)
    return ClosureAnswer(closed=True, reason="; ".join(dict.fromkeys(reasons)))


async def check_base(op: Operation, ctx: OpContext) -> ClosureAnswer:
    """Whether the condition is already gone at the op's base, to detect a no-op. Only tree and run checks."""
    closures = [s.closure for s in op.signals]
    if not all(isinstance(closure, TreeCheck | RunCheck) for closure in closures):
        return ClosureAnswer(closed=False, reason="nothing but the owner can say so")
    if any(isinstance(closure, RunCheck) for closure in closures):
        async with ctx.workspace(op) as workspace:
            return await _ask(closures, ctx, CopiedTree(ctx, workspace), None)
    return await _ask(closures, ctx, CommittedTree(ctx, op.tree), None)


async def check_candidate(op: Operation, ctx: OpContext, workspace: Workspace) -> ClosureAnswer:
    """Result of the tree checks on a workspace with the candidate; not of those that the daemon's marks satisfy."""
    closures = [s.closure for s in op.signals if _asks_the_tree(s.closure) and not s.closure.marked]
    return await _ask(closures, ctx, CopiedTree(ctx, workspace), None)


async def check_applied(
    op: Operation, approval: Approval | None, ctx: OpContext, workspace: Workspace
) -> ClosureAnswer:
    """All closure checks on the tree being verified. The owner's confirmation comes from APPROVE."""
    return await _ask([s.closure for s in op.signals], ctx, CopiedTree(ctx, workspace), approval)


async def make_marks(op: Operation, ctx: OpContext) -> tuple[tuple[Edit, ...], str]:
    """The daemon's own edits that mark work as done; or none, and the reason why they cannot be made."""
    made: dict[str, Edit] = {}
    for closure in (s.closure for s in op.signals if s.closure.marked):
        tree = _Marked(CommittedTree(ctx, op.tree), made)
        edit = await ctx.services.closures.mark(closure, tree, op.id)
        if edit is None:
            return (), (await ctx.services.closures.is_closed(closure, tree)).reason
        earlier = made.get(edit.path)
        made[edit.path] = edit.model_copy(update={"before": earlier.before}) if earlier else edit
    return tuple(made.values()), ""


class _Marked:
    """A tree with the marks made so far on top."""

    def __init__(self, tree: TreePort, made: dict[str, Edit]) -> None:
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


def applied_candidate(generation: Generation, application: Application) -> Candidate:
    """What was written: the candidate and the daemon's marks."""
    return with_marks(generation.candidate, application.marks)


def with_marks(candidate: Candidate, made: Sequence[Edit]) -> Candidate:
    """The candidate with the daemon's own edits added. No gate checks these: no model wrote them."""
    return candidate.model_copy(update={"edits": (*candidate.edits, *made)}) if made else candidate
