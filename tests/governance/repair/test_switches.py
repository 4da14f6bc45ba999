"""What is switched off is off: moves, sampling, batches, localisation. Partial repairs: ``tests/e2e/test_bases.py``."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.repair.failure_context import FailureContext, read_context
from governance.repair.search_plan import Given, Wave, plan
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Outcome, RunStatus, TestResult, TestRun
from tests.e2e.world import Infilling
from tests.governance.repair.test_cloze import TEXT, Board, Searches, scene
from tools.workspace import Workspace


@pytest.mark.parametrize(("batch", "largest"), [(16, 2), (1, 1)])
async def test_holes_of_a_function_are_asked_for_together(
    ledger: Ledger, clock: ManualClock, batch: int, largest: int
) -> None:
    model = Infilling(lambda prefix, suffix: [])
    await Searches(ledger, clock, model, batch=batch).visit(Board())
    assert max(len(request.spans) for request in model.requests) >= largest
    assert batch > 1 or all(len(request.spans) == 1 for request in model.requests)


@pytest.mark.parametrize("sampled", [True, False])
async def test_several_answers_at_one_place(ledger: Ledger, clock: ManualClock, sampled: bool) -> None:
    model = Infilling(lambda prefix, suffix: [])
    await Searches(ledger, clock, model, sampled=sampled).visit(Board())
    assert model.requests and any(request.samples > 1 for request in model.requests) == sampled
    assert any(request.temperature > 0 for request in model.requests) == sampled


@pytest.mark.parametrize("moves", [True, False])
async def test_small_edits(ledger: Ledger, clock: ManualClock, moves: bool) -> None:
    """The model writes nothing: all that is tested is written without it."""
    board = Board()
    await Searches(ledger, clock, Infilling(lambda prefix, suffix: []), moves=moves).visit(board)
    assert (TEXT.replace("+ b", "- b") in board.tested) == moves and bool(board.tested) == moves


def test_nothing_else_changes_with_a_switch() -> None:
    """Off, a plan is the same one without these steps."""
    known = scene()
    whole = list(plan(known.places, known.sources, first=6, batch=16))
    without = list(plan(known.places, known.sources, first=6, batch=16, moves=False))
    assert without == [step for step in whole if isinstance(step, Wave)] and without != whole
    once = list(plan(known.places, known.sources, first=6, batch=16, sampled=False))
    waves = [step for step in once if isinstance(step, Wave)]
    assert all((step.samples, step.temperature, step.others) == (1, 0.0, 0) for step in waves)
    kept = [step.name for step in whole if isinstance(step, Given) or step.samples == 1]
    assert [step.name for step in once] == kept


class Folder(Workspace):
    """A folder as it stands."""

    def __init__(self, folder: Path) -> None:
        self.root = folder

    def read(self, path: str) -> bytes | None:
        file = self.root / path
        return file.read_bytes() if file.is_file() else None


def test_lines_are_ranked_or_come_as_they_stand(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("".join(f"x{n} = {n}\n" for n in range(9)))
    (tmp_path / "t.py").write_text("def bad(): pass\n")
    results = (TestResult(id="t.py::bad", outcome=Outcome.FAILED), TestResult(id="t.py::good", outcome=Outcome.PASSED))
    coverage = {"t.py::bad": {"a.py": (2, 5, 7)}, "t.py::good": {"a.py": (2, 5)}}
    run = TestRun(status=RunStatus.RED, collected=("t.py::bad", "t.py::good"), results=results, coverage=coverage)

    def lines(*, ranked: bool) -> list[int]:
        found: FailureContext = read_context(
            Folder(tmp_path), run, results[:1], {"a.py": frozenset({5})}, ranked=ranked
        )
        return [place.line for place in found.places]

    assert lines(ranked=True) == [7, 5, 2]
    assert lines(ranked=False) == [2, 5, 7]
