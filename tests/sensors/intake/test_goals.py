"""Declared goals: what serves one, what it moves, what stands of it in the ledger, and all that it never touches."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection, Mapping
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.record.replay import replay
from ledger.clock import ManualClock
from ledger.errors import GitFailed
from ledger.store import Ledger
from ledger.vocabulary import EntryKind, Operation, OpOutcome, RootCause, Source, Urgency
from sensors.intake.declared_goals import DeclaredGoals
from sensors.intake.goals import PATH, BadGoals, DeclaredGoal, GoalFacts, Goals, alignment, goals_of
from sensors.intake.ports import IntakePorts
from sensors.intake.router import IntakeRouter
from sensors.intake.settings import RouterSettings
from tests.sensors.signals import START, admit_shallow, make_router, may_release, signal

TODAY = START.date()
GOAL = f"""
[[goal]]
text = "A faster cart"
paths = ["shop/cart/", "lib/*.py"]
words = ["discount", "hunter2"]
until = {TODAY.isoformat()}
"""


def facts(*targets: str, text: str = "Make it pass", outside: bool = False, day: date = TODAY) -> GoalFacts:
    return GoalFacts(targets=targets, text=text, outside=outside, day=day)


@pytest.mark.parametrize(
    ("of", "why"),
    [
        (facts("shop/cart/total.py"), "A faster cart: its path covers shop/cart/total.py"),
        (facts("a.py", "shop/cart"), "A faster cart: its path covers shop/cart"),
        (facts("lib/deep/down.py"), "A faster cart: its path covers lib/deep/down.py"),
        (facts("a.py", text="Say what DISCOUNT() does"), "A faster cart: the signal says 'discount'"),
        (facts("shop/cartoon.py"), ""),
        (facts("a.py", text="All discounts"), ""),
        (facts("a.py", text="discount", outside=True), ""),  # whoever writes an issue may not order the owner's queue
        (facts("shop/cart/a.py", outside=True), "A faster cart: its path covers shop/cart/a.py"),
        (facts("shop/cart/a.py", day=TODAY + timedelta(days=1)), ""),
        (facts(), ""),
    ],
)
def test_what_serves_a_goal(of: GoalFacts, why: str) -> None:
    found = alignment(goals_of(GOAL.encode()), of)
    assert (found.why, found.points) == (why, 2 if why else 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[[goal]]\ntext = 'x'\n", "it names neither paths nor words"),
        ("[[goal]]\ntext = 'x'\npaths = ['../up']\n", "not a path inside"),
        ("[[goal]]\ntext = 'x'\nwords = ['a']\n", "at least 2"),
        ("[[goal]]\ntext = 'x'\nwords = ['ab']\npriority = -9\n", "goal.0.priority"),
        ("[[goal]]\ntext = 'x'\nwords = ['ab']\nuntil = 'soon'\n", "goal.0.until"),
        ("[limits]\nper_hour = 9000\n", "limits"),
        ("goal = 3\n", "goal"),
        ("[[goal]]\ntext =\n", "not valid TOML"),
        ("[[goal]]\ntext = 'x'\nwords = ['ab']\n" * 21, "at most 20"),
        ("x = " + "[" * 5_000, "nested deeper"),
        ("x = " + "9" * 5_000, "more than 300 digits"),
        ("a." * 30_000 + "a = 1", "more than 16 dotted parts"),
        ("x = 1979-13-99", "not valid TOML"),
        ("# " + "x" * 70_000, "larger than"),
    ],
)
def test_what_is_no_file_of_goals(text: str, words: str) -> None:
    with pytest.raises(BadGoals, match=words):
        goals_of(text.encode())


def test_secrets_do_not_come_in() -> None:
    read = goals_of(GOAL.encode(), lambda text: text.replace("hunter2", "[secret]"))
    assert read.goal[0].words == ("discount", "[secret]")


words_of = st.text("abc ._-é", min_size=2, max_size=6)


@given(
    words=st.lists(words_of, min_size=1, max_size=3), text=st.text("abc ._-é", max_size=30), outside=st.booleans(),
    points=st.lists(words_of.filter(lambda path: path != ".."), max_size=3),
)  # fmt: skip
def test_a_goal_gives_two_points_or_none_and_says_why(
    words: list[str], text: str, outside: bool, points: list[str]
) -> None:
    goals = Goals(goal=(DeclaredGoal(text="g", words=tuple(words), paths=tuple(points)),))
    found = alignment(goals, facts("a/b.py", text=text, outside=outside))
    assert (found.points, bool(found.why)) in ((0, False), (2, True))


# --- in the queue ---


class Commits:
    """Commits that hold a file of goals; ``torn``: git fails."""

    def __init__(self, **held: str) -> None:
        self.held = held
        self.reads: list[str] = []
        self.head: str | None = next(iter(held), None)

    async def read_many(self, commit: str, paths: Collection[str]) -> Mapping[str, bytes]:
        self.reads.append(commit)
        if commit == "torn":
            raise GitFailed("git is torn.", argv=("git",), code=1, stderr="")
        return {PATH: self.held[commit].encode()} if self.held[commit] else {}

    async def at(self) -> str | None:
        return self.head


def router_of(ledger: Ledger, clock: ManualClock, commits: Commits) -> IntakeRouter:
    return IntakeRouter(
        ledger=ledger,
        clock=clock,
        boot="boot-1",
        settings=RouterSettings(coalesce_s=0),
        ports=IntakePorts(admit=admit_shallow, may_release=may_release, head=commits.at, committed_files=commits),
    )


async def done(router: IntakeRouter, count: int) -> list[Operation]:
    found = []
    for _ in range(count):
        op = await router.next()
        await router.started(op.id)
        await router.finish(op.id, OpOutcome.COMPLETE, cause=RootCause.NONE)
        found.append(op)
    return found


async def fill(router: IntakeRouter) -> None:
    for name in ("a", "shop/cart/b", "c"):
        await router.submit(signal(name, source=Source("backlog"), urgency=Urgency.NORMAL, targets=(f"{name}.py",)))


async def test_what_serves_a_goal_comes_first_and_replay_knows_why(ledger: Ledger, clock: ManualClock) -> None:
    router = router_of(ledger, clock, Commits(c0=GOAL))
    await fill(router)
    ops = await done(router, 3)
    assert [op.targets[0] for op in ops] == ["shop/cart/b.py", "a.py", "c.py"]
    decided = [e.payload for e in await ledger.entries(kinds=(EntryKind.DECISION,)) if "result" in e.payload]
    decided = [row for row in decided if row.get("decision") == "priority"]
    assert [row["inputs"]["alignment"] for row in decided] == [2, 0, 0]
    assert decided[0]["alignment"]["why"] == "A faster cart: its path covers shop/cart/b.py"
    assert Goals.model_validate_json(await ledger.get_blob(decided[0]["alignment"]["goals"])) == goals_of(GOAL.encode())
    report = await replay(ledger, op_id=ops[0].id)
    assert (report.decisions, report.differences) == (2, ())


async def test_an_alignment_that_does_not_follow_is_found_out(ledger: Ledger, clock: ManualClock) -> None:
    router = router_of(ledger, clock, Commits(c0=GOAL))
    await fill(router)
    told = router.goals.fields_for
    better = {"points": 2, "why": "because"}

    def lying(of: object) -> object:
        found = told(of)  # type: ignore[arg-type]
        assert found is not None
        return type(found)(points=2, blob=found.blob, fields={**found.fields, "why": better["why"]})

    router.goals.fields_for = lying  # type: ignore[method-assign,assignment]
    await done(router, 3)
    report = await replay(ledger, op_id=None)
    assert len(report.differences) == 3


async def test_goals_reorder_and_change_nothing_else(ledger: Ledger, clock: ManualClock) -> None:
    """The same signals with and without goals: the same ops, under the same caps, in another order."""
    with_goals = router_of(ledger, clock, Commits(c0=GOAL))
    await fill(with_goals)
    rulings = with_goals.governor.rulings()
    held = {str(lane): rulings(lane) for lane in with_goals.governor.waiting}
    first = await done(with_goals, 3)
    clock.advance(100_000)
    plain = make_router(ledger, clock, settings=RouterSettings(coalesce_s=0))
    await fill(plain)
    rulings = plain.governor.rulings()
    second = await done(plain, 3)
    assert [op.targets for op in first] != [op.targets for op in second]
    own = {"id", "created_at", "base", "signals"}  # told by the clock and by HEAD

    def seen(ops: list[Operation]) -> list[str]:
        return sorted(op.model_dump_json(exclude=own) for op in ops)

    assert seen(first) == seen(second)
    assert {op.signals[0].key for op in first} == {op.signals[0].key for op in second}
    assert {name: ruling.free for name, ruling in held.items()} == dict.fromkeys(held, True)


async def test_another_head_or_day_orders_what_waits_anew(ledger: Ledger, clock: ManualClock) -> None:
    commits = Commits(c0="", c1=GOAL, c2="nonsense", torn="")
    router = router_of(ledger, clock, commits)
    await fill(router)
    await router.read_goals()

    def first() -> str:
        best = router.snapshot().ready[0]
        return next(line.goal for line in router.snapshot().lines if line.signal_id == best)

    assert first() == "Make a pass."
    commits.head = "c1"
    await router.read_goals()
    assert first() == "Make shop/cart/b pass."
    await router.read_goals()
    assert commits.reads == ["c0", "c1"]
    clock.advance(24 * 3_600)
    await router.read_goals()
    assert first() == "Make a pass."
    commits.head = "c2"
    await router.read_goals()
    assert router.goals.problem.startswith(f"{PATH} is ignored: it is not valid TOML")
    assert first() == "Make a pass."
    commits.head = "torn"
    await router.read_goals()
    assert router.goals.problem == f"{PATH} cannot be read: git is torn."
    commits.head = "c0"
    await router.read_goals()
    assert router.goals.problem == ""


async def test_the_event_loop_goes_on_while_goals_are_read() -> None:
    class Files:
        async def read_many(self, commit: str, paths: Collection[str]) -> Mapping[str, bytes]:
            return {PATH: b"x = [[1], [2], [3]]\n" * 3_000}

    def slow(text: str) -> str:
        met.wait(5)  # set by a turn of the loop
        return text

    met = threading.Event()
    declared = DeclaredGoals(files=Files(), clock=ManualClock(START), redact=slow)
    looking = asyncio.create_task(declared.refresh("c0"))
    await asyncio.sleep(0.05)
    alive = not looking.done()
    met.set()
    await looking
    assert alive and "is ignored" in declared.problem
