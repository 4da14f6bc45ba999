"""Any history of submits, claims, ends, waits and crashes: nothing lost, nothing twice, one op a file."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Operation, OpOutcome, RootCause, State, Urgency
from sensors.intake.queue import rebuild
from sensors.intake.records import ItemState
from tests.sensors.signals import REPO_ID, START, make_router, signal

T = TypeVar("T")
FILES = ("a.py", "b.py", "c.py")
PATIENCE = 500
TABLES = (
    "SELECT id, key, state, closed_at, signal FROM intake_items ORDER BY id",
    "SELECT * FROM intake_leases",
    "SELECT * FROM intake_ops ORDER BY op_id",
    "SELECT * FROM intake_posture",
)
EMPTY = tuple((f"DELETE FROM {name}", ()) for name in ("intake_items", "intake_leases", "intake_ops", "intake_posture"))


class RouterMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = ManualClock(START)
        self.boot = 0
        self.accepted: set[str] = set()
        self.ops: dict[str, Operation] = {}
        self.started: set[str] = set()
        self.parked: set[str] = set()
        self.succeeded: set[str] = set()

    def do(self, step: Coroutine[Any, Any, T]) -> T:
        async def bounded() -> T:
            async with asyncio.timeout(20):
                return await step

        return self.runner.run(bounded())

    @initialize()
    def first_boot(self) -> None:
        self.open()

    def open(self) -> None:
        self.boot += 1
        path = Path(self.folder.name) / "ledger.sqlite3"
        self.ledger = self.do(Ledger.open(path, repo_id=REPO_ID, clock=self.clock))
        self.router = make_router(self.ledger, self.clock, boot=f"boot-{self.boot}")

    # --- rules ---

    @rule(
        name=st.sampled_from("uvwxyz"),
        files=st.lists(st.sampled_from(FILES), max_size=2, unique=True),
        urgency=st.sampled_from(Urgency),
        base=st.sampled_from(("c1", "c2")),
        depth=st.sampled_from((0, 0, 0, 3)),
    )
    def submit(self, name: str, files: list[str], urgency: Urgency, base: str, depth: int) -> None:
        sent = signal(name, targets=files, urgency=urgency, base=base, depth=depth)
        receipt = self.do(self.router.submit(sent))
        if receipt.status in ("queued", "parked"):
            self.accepted.add(sent.id)
        else:
            assert receipt.of in self.accepted

    @precondition(lambda self: self.router.snapshot().ready)
    @rule()
    def take(self) -> None:
        op = self.do(self.router.next())
        assert op.id not in self.ops
        busy = {s.id for other in self.ops.values() for s in other.signals}
        assert busy.isdisjoint(s.id for s in op.signals), "a signal was handed out twice"
        assert not self.succeeded.intersection(s.id for s in op.signals), "a finished signal was handed out"
        assert len({s.boot for s in op.signals}) == 1
        self.ops[op.id] = op

    @precondition(lambda self: not self.router.snapshot().ready)
    @rule()
    def nothing_to_take(self) -> None:
        async def impatient() -> bool:
            try:
                async with asyncio.timeout(0.002):
                    await self.router.next()
            except TimeoutError:
                return True
            return False

        assert self.do(impatient())

    @precondition(lambda self: self.ops)
    @rule(data=st.data())
    def start(self, data: st.DataObject) -> None:
        op_id = data.draw(st.sampled_from(sorted(self.ops)))
        if op_id not in self.parked:
            self.do(self.router.started(op_id))
            self.started.add(op_id)

    @precondition(lambda self: self.started)
    @rule(data=st.data())
    def park_or_unpark(self, data: st.DataObject) -> None:
        op_id = data.draw(st.sampled_from(sorted(self.started)))
        if op_id in self.parked:
            self.do(self.router.unpark(op_id))
            self.parked.discard(op_id)
        else:
            self.do(self.router.park(op_id))
            self.parked.add(op_id)

    @precondition(lambda self: self.ops)
    @rule(data=st.data(), path=st.sampled_from(FILES))
    def widen(self, data: st.DataObject, path: str) -> None:
        op_id = data.draw(st.sampled_from(sorted(self.ops)))
        holder = self.router.snapshot().claims.get(path)
        assert self.do(self.router.widen(op_id, (path,))) is (holder in (None, op_id))

    @precondition(lambda self: self.ops)
    @rule(
        data=st.data(),
        state=st.sampled_from((OpOutcome.COMPLETE, OpOutcome.NOOP, OpOutcome.POSTMORTEM, OpOutcome.CANCELLED)),
        retry=st.booleans(),
    )
    def finish(self, data: st.DataObject, state: State, retry: bool) -> None:
        op_id = data.draw(st.sampled_from(sorted(self.ops)))
        op = self.ops[op_id]
        self.do(self.router.finish(op_id, state, cause=RootCause.NONE, retry=retry))
        if state in (OpOutcome.COMPLETE, OpOutcome.NOOP):
            self.succeeded |= {s.id for s in op.signals}
        self.forget(op_id)

    @rule(seconds=st.sampled_from((1, 31, 301, 700)))
    def time_passes(self, seconds: int) -> None:
        self.clock.advance(seconds)
        if seconds > 300:  # every worker but those that wait for a person went silent
            silent = set(self.ops) - self.parked
            self.router.pause()
            for _ in range(PATIENCE):  # a worker so impatient that it may not come to take one back
                if not any(line.op_id in silent for line in self.router.snapshot(lines=10_000).lines):
                    break
                self.nothing_to_take()
            self.router.resume()
            for op_id in silent:
                self.forget(op_id)

    @rule(again=st.booleans())
    def crash(self, again: bool) -> None:
        self.do(self.ledger.close())
        self.open()
        report = self.do(self.router.recover())
        assert set(report.undecided) == self.started - self.parked
        assert set(report.parked) == self.parked
        for op_id in report.undecided:
            self.do(self.router.requeue(op_id) if again else self.router.quarantine(op_id))
        for op_id in set(self.ops) - self.parked:
            self.forget(op_id)

    def forget(self, op_id: str) -> None:
        self.ops.pop(op_id)
        self.started.discard(op_id)
        self.parked.discard(op_id)

    # --- what always holds ---

    @invariant()
    def one_op_a_file_and_every_target_is_claimed(self) -> None:
        if self.boot:
            claims = self.router.snapshot().claims
            assert set(claims.values()) <= set(self.ops)
            for op in self.ops.values():
                assert all(claims[path] == op.id for path in op.targets)

    @invariant()
    def nothing_is_lost(self) -> None:
        if self.boot:
            stored = dict(self.do(self.ledger.query("SELECT id, state FROM intake_items"))) if self.accepted else {}
            assert set(stored) == self.accepted
            shown = {line.signal_id: line.state.value for line in self.router.snapshot(lines=10_000).lines}
            if shown:  # not before the tables were read
                assert shown == {i: s for i, s in stored.items() if s != ItemState.DONE.value}

    def teardown(self) -> None:
        try:
            if self.boot:
                self.do(self.tables_follow_from_the_entries())
                self.do(self.ledger.close())
        finally:
            self.runner.close()
            self.folder.cleanup()

    async def tables_follow_from_the_entries(self) -> None:
        if not self.accepted:
            return
        before = [await self.ledger.query(sql) for sql in TABLES]
        statements = await rebuild(self.ledger)
        await self.ledger.append(project=[*EMPTY, *statements])
        assert [await self.ledger.query(sql) for sql in TABLES] == before
        assert (await self.ledger.verify()).ok


TestRouterMachine = RouterMachine.TestCase
TestRouterMachine.settings = settings(
    max_examples=20,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
