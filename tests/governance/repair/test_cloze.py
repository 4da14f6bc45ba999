"""The search is entered again after a later phase has refused its candidate: nothing is asked or tested twice."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from governance.budget import Budget, BudgetSettings
from governance.conversation.model_client import ModelClient
from governance.irongate.op.g19_recursion import diff_hash
from governance.pipeline.context import OpClock, OpContext, OpResources
from governance.record import Recorder
from governance.repair.cloze import ClozeSearch
from governance.repair.failure_context import FailureContext
from governance.repair.partial_repairs import around
from governance.repair.proposal import Proposal
from governance.repair.ranking import Variant
from governance.repair.settings import RepairSettings
from governance.repair.spans import Move, ParsedFile, Span
from governance.repair.variant_runner import VariantRunner
from governance.settings import GovernanceSettings
from kernel.provider import DivergeRequest, Infill, InfillAnswer, InfillRequest, Usage, WeighAnswer, WeighRequest
from ledger.clock import ManualClock
from ledger.events.op import OpEnded
from ledger.store import Ledger
from ledger.vocabulary import Operation, OpOutcome, Outcome, RootCause, RunStatus, TestResult, TestRun
from tests.e2e.world import Infilling
from tests.governance.ops import operation
from tests.governance.shopfloor import bare_shop
from tools.testing.localisation.ranking import Suspicion

PATH, TEXT = "shop/cart.py", "def total(a, b):\n    subtotal = a\n    return subtotal + b\n"
RED = TestResult(id="tests/test_cart.py::test_total", outcome=Outcome.FAILED)


def scene() -> FailureContext:
    source = ParsedFile(TEXT)
    assert source.tree is not None
    return FailureContext(
        title=RED.id,
        failing=(RED,),
        base=TestRun(status=RunStatus.RED, results=(RED,)),
        places=tuple(Suspicion(path=PATH, line=line, score_bp=9_000, why="") for line in (3, 2)),
        sources={PATH: source},
        originals={PATH: TEXT.encode()},
        modes={PATH: 0o644},
        examples=(),
    )


class Board(VariantRunner):
    """Says green for what it is told to; remembers what it was asked to test."""

    def __init__(self, *good: str) -> None:
        self.good = good
        self.tested: list[str] = []

    async def turned(
        self, scene: FailureContext, variants: Sequence[Variant], is_late: Callable[[], bool]
    ) -> list[frozenset[str]]:
        self.tested += [v.source for v in variants]
        goal = frozenset(r.id for r in scene.failing)
        return [goal if any(text in v.source for text in self.good) else frozenset() for v in variants]

    async def wider(self, scene: FailureContext, variant: Variant) -> tuple[int, int, int]:
        return 1, 0, 0


class Searches:
    """One op's visits of GENERATE."""

    def __init__(self, ledger: Ledger, clock: ManualClock, model: Infilling, **repair: object) -> None:
        self._ledger, self._clock, self._model = ledger, clock, model
        self.op: Operation = operation()
        self._holdings = OpResources()
        settings = GovernanceSettings(repair=RepairSettings.model_validate(repair))
        self._shop = bare_shop(clock, provider=model, settings=settings)

    async def visit(self, board: Board, *rejected: str) -> Proposal:
        budget = Budget(ledger=self._ledger, clock=self._clock, settings=BudgetSettings())
        await budget.prepare()
        record = Recorder(self._ledger, op_id=self.op.id)
        client = ModelClient(
            provider=self._model, budget=budget, record=record, clock=self._clock, op_id=self.op.id,
            route="STANDARD", turn_s=60,
        )  # fmt: skip
        ctx = OpContext(
            services=self._shop, record=record, client=client, clock=OpClock(loop_time=0, limit_s=600),
            resources=self._holdings,
        )  # fmt: skip
        return await ClozeSearch(op=self.op, ctx=ctx, scene=scene(), rejected=rejected).run(board)

    async def crash(self, cause: RootCause) -> None:
        """This op is over, and another one takes its place."""
        record = Recorder(self._ledger, op_id=self.op.id)
        await record.note(OpEnded(to=OpOutcome.POSTMORTEM, root_cause=cause))
        self.op = self.op.model_copy(update={"id": f"{self.op.id}-next"})
        self._holdings = OpResources()


def answers(prefix: str, suffix: str) -> list[str]:
    """The line as a whole, or nothing."""
    if not prefix.endswith("    "):
        return []
    if "subtotal = a" not in prefix:
        return ["subtotal = a - b"]
    return ["return subtotal - b", "return subtotal - abs(b)"]


def hash_of(proposal: Proposal) -> str:
    assert proposal.candidate is not None, proposal.reason
    return diff_hash(proposal.candidate)


def asked(model: Infilling) -> list[InfillRequest]:
    return list(model.requests)


async def test_a_refused_candidate_is_not_asked_for_or_tested_again(ledger: Ledger, clock: ManualClock) -> None:
    model = Infilling(answers)
    searches = Searches(ledger, clock, model)
    first = Board("subtotal - b")
    refused = await searches.visit(first)
    prompts = asked(model)
    second = Board("subtotal - b", "abs(b)")
    found = await searches.visit(second, hash_of(refused))
    assert hash_of(found) != hash_of(refused)
    assert set(first.tested).isdisjoint(second.tested) and second.tested
    again = [r for r in asked(model)[len(prompts) :] if r in prompts]
    assert again == []


async def test_a_survivor_that_was_not_offered_is_offered_next(ledger: Ledger, clock: ManualClock) -> None:
    """Both were tested in the first visit; the second asks nothing and tests nothing."""

    def two(prefix: str, suffix: str) -> list[str]:
        return ["return subtotal - b"] if "subtotal = a" in prefix else ["subtotal = a - 2 * b"]

    model = Infilling(two)
    searches = Searches(ledger, clock, model, moves=False)
    board = Board("return subtotal - b", "a - 2 * b")
    refused = await searches.visit(board)
    count, tested = len(model.requests), len(board.tested)
    found = await searches.visit(board, hash_of(refused))
    assert hash_of(found) != hash_of(refused)
    assert (len(model.requests), len(board.tested)) == (count, tested)


@pytest.mark.parametrize("rejected", [False, True])
async def test_a_refused_diff_is_left_out_before_it_is_tested(
    ledger: Ledger, clock: ManualClock, rejected: bool
) -> None:
    """Also where the search begins anew: after a restart, or on another tree."""
    board = Board("subtotal - b")
    refused = hash_of(await Searches(ledger, clock, Infilling(answers)).visit(board))
    fresh = Board("subtotal - b")
    await Searches(ledger, clock, Infilling(answers)).visit(fresh, *([refused] if rejected else []))
    assert (TEXT.replace("+ b", "- b") in fresh.tested) is not rejected


@pytest.mark.parametrize("cause", [RootCause.CRASH_RECOVERED, RootCause.NO_CANDIDATE])
async def test_an_op_after_a_crash_goes_on_behind_what_was_tried_in_vain(
    ledger: Ledger, clock: ManualClock, cause: RootCause
) -> None:
    """Any other end says nothing: whoever asks again wants it tried again."""
    model = Infilling(answers)
    searches, vain = Searches(ledger, clock, model), Board("nowhere")
    assert (await searches.visit(vain)).candidate is None
    before = len(model.requests)
    await searches.crash(cause)
    again = Board("subtotal - b")
    found = await searches.visit(again)
    if cause is RootCause.CRASH_RECOVERED:
        assert found.candidate is None and len(model.requests) == before and not again.tested
    else:
        assert found.candidate is not None and again.tested


async def test_what_had_survived_when_the_crash_came_is_found_again(ledger: Ledger, clock: ManualClock) -> None:
    model = Infilling(answers)
    searches = Searches(ledger, clock, model)
    first = await searches.visit(Board("abs(b)"))
    await searches.crash(RootCause.CRASH_RECOVERED)
    assert hash_of(await searches.visit(Board("abs(b)"))) == hash_of(first)


class Diverging(Infilling):
    """Gives other texts than those that stand in the holes."""

    def __init__(self, others: Callable[[str], Sequence[str]]) -> None:
        super().__init__(lambda prefix, suffix: [])
        self._others = others
        self.stood: list[str] = []

    async def diverge(self, request: DivergeRequest) -> InfillAnswer:
        self.stood += request.texts
        found = [
            (at, other) for at, text in enumerate(request.texts) for other in self._others(text)[: request.answers]
        ]
        return InfillAnswer(infills=tuple(Infill(span=at, text=other) for at, other in found), usage=Usage())


@pytest.mark.parametrize("sampled", [True, False])
async def test_a_model_that_can_is_asked_for_what_does_not_stand_there(
    ledger: Ledger, clock: ManualClock, sampled: bool
) -> None:
    model = Diverging(lambda text: [text.replace("+ b", "- b"), text.replace("+ b", "* b")])
    searches = Searches(ledger, clock, model, moves=False, sampled=sampled)
    found = await searches.visit(Board("return subtotal - b"))
    assert (found.candidate is not None) == sampled
    assert model.stood == (["return subtotal + b", "subtotal = a"] if sampled else [])


class Weighing(Infilling):
    """Likes what has ``dear`` in it, and nothing else; adds a line before the last one."""

    def __init__(self, dear: str) -> None:
        super().__init__(lambda prefix, suffix: ["b = -b"] if "= a" in prefix and "return" in suffix else [])
        self._dear = dear

    async def weigh(self, request: WeighRequest) -> WeighAnswer:
        said = tuple(-100 if self._dear in text else -9_000 - len(text) for text in request.texts)
        return WeighAnswer(logprobs_milli=said, usage=Usage())


@pytest.mark.parametrize(("dear", "chosen"), [("subtotal - b", "subtotal - b"), ("b = -b", "    b = -b")])
async def test_what_the_model_finds_unlikely_does_not_end_the_search(
    ledger: Ledger, clock: ManualClock, dear: str, chosen: str
) -> None:
    """Both pass. The sign is tried first, and taken where the model likes it better than what stands there."""
    board = Board("subtotal - b", "b = -b")
    found = await Searches(ledger, clock, Weighing(dear)).visit(board)
    assert found.candidate is not None and chosen.encode() in (found.candidate.edits[0].after or b"")
    assert any("b = -b" in text for text in board.tested) == (dear == "b = -b")


class SlowBoard(Board):
    """Every round of tests takes a while."""

    def __init__(self, clock: ManualClock, seconds: float, *good: str) -> None:
        super().__init__(*good)
        self._clock, self._seconds = clock, seconds

    async def turned(
        self, scene: FailureContext, variants: Sequence[Variant], is_late: Callable[[], bool]
    ) -> list[frozenset[str]]:
        self._clock.advance(self._seconds)
        return await super().turned(scene, variants, is_late)


async def test_a_better_repair_is_looked_for_as_long_as_the_first_one_took(ledger: Ledger, clock: ManualClock) -> None:
    """Nothing that passes is liked by the model: where tests are slow it has to decide earlier."""
    asked = []
    for seconds in (1, 40):
        board, model = SlowBoard(clock, seconds, "subtotal - b"), Weighing("nothing")
        assert (await Searches(ledger, clock, model).visit(board)).candidate is not None
        asked.append(len(model.requests))
    assert asked[1] < asked[0], asked


def test_a_base_is_searched_where_its_change_was() -> None:
    text = "x = 1\n\n\ndef f(a):\n    b = a\n    return b\n"
    change = Variant(path=PATH, span=Span(0, 0, 5, Move.REPLACE), text="", base=text)
    assert around(change) == {PATH: frozenset({4, 5, 6})}
    top = Variant(path=PATH, span=Span(0, 0, 1, Move.REPLACE), text="", base=text)
    assert around(top) == {}
