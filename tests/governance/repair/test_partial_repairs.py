"""A partial repair is kept when it breaks nothing, and what was found beside it is tried on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest

from governance.pipeline.context import OpClock, OpContext, OpResources
from governance.record import Recorder
from governance.repair.failure_context import FailureContext
from governance.repair.partial_repairs import PartialRepairs
from governance.repair.ranking import Partial, Variant
from governance.repair.search_progress import Node
from governance.repair.settings import RepairSettings
from governance.repair.spans import ParsedFile, replace_line
from governance.repair.variant_runner import VariantRunner
from governance.settings import GovernanceSettings
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Outcome, RunStatus, TestResult, TestRun
from tests.governance.repair.test_cloze import PATH, TEXT, scene
from tests.governance.repair.test_switches import Folder
from tests.governance.shopfloor import bare_shop
from tools.workspace import Workspace

T = TypeVar("T")
A, B, C = (f"t.py::test_{name}" for name in "abc")


def run_of(*red: str) -> TestRun:
    results = tuple(TestResult(id=t, outcome=Outcome.FAILED if t in red else Outcome.PASSED) for t in (A, B, C))
    coverage = {test: {PATH: (2, 3)} for test in (A, B, C)}
    return TestRun(
        status=RunStatus.RED if red else RunStatus.GREEN, collected=(A, B, C), results=results, coverage=coverage
    )


class Board(VariantRunner):
    """Gives one run for every variant."""

    def __init__(self, folder: Path, run: TestRun) -> None:
        self._folder, self._run = folder, run

    async def looked_at(
        self, scene: FailureContext, variant: Variant, look: Callable[[Workspace, TestRun], Awaitable[T]]
    ) -> T:
        return await look(Folder(self._folder), self._run)


def partial(text: str, *fixed: str, line: int = 3) -> Partial:
    variant = Variant(path=PATH, base=TEXT, span=replace_line(ParsedFile(TEXT), line), text=text)
    return Partial(variant=variant, fixed=frozenset(fixed), shortcut="", size=1)


class Tree:
    """The bases of one search over two failing tests, A and B; C passes."""

    def __init__(self, ledger: Ledger, clock: ManualClock, folder: Path, **repair: object) -> None:
        (folder / "t.py").write_text("def test_b():\n    assert total(1, 2) == 3\n")
        base = run_of(A, B)
        root = replace(scene(), failing=base.red, base=base)
        self.nodes = [Node(number=0, scene=root, plan=iter(()))]
        settings = GovernanceSettings(repair=RepairSettings.model_validate(repair))
        ctx = OpContext(
            services=bare_shop(clock, settings=settings), record=Recorder(ledger, op_id="op-1"), client=None,  # type: ignore[arg-type]  # nobody is asked
            clock=OpClock(loop_time=0, limit_s=60), resources=OpResources(),
        )  # fmt: skip
        self._bases, self._folder = PartialRepairs(ctx, self.nodes, self._made), folder

    def _made(self, scene: FailureContext, parent: Node, change: Partial) -> Node:
        mended = parent.mended + len(change.fixed)
        return Node(number=len(self.nodes), scene=scene, plan=iter(()), parent=parent, change=change, mended=mended)

    async def keep(self, run: TestRun, *partials: Partial) -> list[Node]:
        await self._bases.keep(self.nodes[0], partials, Board(self._folder, run))
        return [node for node in self.nodes if node.parent is not None and node.live]


@pytest.mark.parametrize(
    ("red", "kept"),
    [
        pytest.param((B,), True, id="it mends a part"),
        pytest.param((B, C), False, id="it breaks another test"),
        pytest.param((A, B), False, id="it mends nothing in the wider scope"),
        pytest.param((), False, id="nothing is left: that is no part"),
    ],
)
async def test_what_is_kept(
    ledger: Ledger, clock: ManualClock, tmp_path: Path, red: tuple[str, ...], kept: bool
) -> None:
    tree = Tree(ledger, clock, tmp_path)
    bases = await tree.keep(run_of(*red), partial("return subtotal - b", A))
    assert bool(bases) is kept
    if kept:
        (base,) = bases
        assert [r.id for r in base.scene.failing] == [B] and base.mended == 1
        assert base.scene.done == {PATH: TEXT.replace("+ b", "- b")}
        (edit,) = base.scene.base_edits()
        assert edit.after == TEXT.replace("+ b", "- b").encode()


async def test_what_mends_the_rest_beside_a_base_is_tried_on_it(
    ledger: Ledger, clock: ManualClock, tmp_path: Path
) -> None:
    tree = Tree(ledger, clock, tmp_path, branches=1)
    (base,) = await tree.keep(run_of(B), partial("return subtotal - b", A), partial("subtotal = 2 * a", B, line=2))
    (together,) = base.given
    (path, proposed), *_ = together.proposals  # type: ignore[union-attr]  # given, not asked for
    assert path == PATH and base.change is not None
    assert proposed.span.fill(base.change.variant.source, proposed.text) == TEXT.replace("+ b", "- b").replace(
        "subtotal = a", "subtotal = 2 * a"
    )


async def test_no_more_bases_live_than_there_is_room_for(ledger: Ledger, clock: ManualClock, tmp_path: Path) -> None:
    tree = Tree(ledger, clock, tmp_path, branches=1, bases=2)
    await tree.keep(run_of(B), partial("return subtotal - b", A))
    assert len(await tree.keep(run_of(B), partial("return subtotal - 2 * b", A))) == 1, "it mends no more"
    assert len(tree.nodes) == 2
    off = Tree(ledger, clock, tmp_path, branches=0)
    assert await off.keep(run_of(B), partial("return subtotal - b", A)) == []
