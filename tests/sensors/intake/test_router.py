from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from ledger.clock import ManualClock, SystemClock
from ledger.errors import ControlError, LeaseLost, LedgerError
from ledger.ids import sha256_hex
from ledger.store import Ledger
from ledger.vocabulary import Draft, EntryKind, Operation, OpOutcome, RootCause, Source, Spend, Urgency, Verdict
from sensors.intake.ports import IntakePorts
from sensors.intake.priority import PriorityInputs, priority
from sensors.intake.records import ItemState
from sensors.intake.router import IntakeRouter
from sensors.intake.settings import RouterSettings
from tests.sensors.signals import Branches, admit_shallow, make_router, may_release, open_ledger, signal


@pytest.fixture
async def router(ledger: Ledger, clock: ManualClock) -> IntakeRouter:
    made = make_router(ledger, clock)
    await made.recover()
    return made


async def take(router: IntakeRouter) -> Operation:
    async with asyncio.timeout(5):
        return await router.next()


async def nothing(router: IntakeRouter) -> bool:
    try:
        async with asyncio.timeout(0.05):
            await router.next()
    except TimeoutError:
        return True
    return False


async def complete(router: IntakeRouter, op: Operation) -> None:
    await router.finish(op.id, OpOutcome.COMPLETE, cause=RootCause.NONE)


async def fail(router: IntakeRouter, op: Operation, *, retry: bool = True) -> None:
    await router.started(op.id)
    await router.finish(op.id, OpOutcome.POSTMORTEM, cause=RootCause.TESTS_FAILED, retry=retry)


def state_of(router: IntakeRouter, signal_id: str) -> ItemState | None:
    return next((line.state for line in router.snapshot().lines if line.signal_id == signal_id), None)


async def test_a_signal_becomes_an_op_and_ends(router: IntakeRouter, ledger: Ledger) -> None:
    sent = signal(targets=("calc.py",))
    receipt = await router.submit(sent)
    assert (receipt.status, receipt.signal_id) == ("queued", sent.id)
    assert not await router.idle()
    op = await take(router)
    assert [s.id for s in op.signals] == [sent.id]
    assert (op.signals[0].boot, op.attempt, op.base, op.targets) == ("boot-1", 1, "c0", ("calc.py",))
    assert op.id.startswith("op-") and op.id.endswith("-test_failure")
    await router.started(op.id)
    await complete(router, op)
    assert await router.idle()
    events = [e.payload.get("queue") for e in await ledger.entries(kinds=(EntryKind.SIGNAL,))]
    assert events == ["received_queued", "claimed", "started", "finished"]


async def test_the_priority_of_a_claim_can_be_derived_again(router: IntakeRouter, ledger: Ledger) -> None:
    await router.submit(signal(targets=("a.py",)))
    op = await take(router)
    (entry,) = await ledger.entries(op_id=op.id, kinds=(EntryKind.DECISION,))
    inputs = PriorityInputs.model_validate_json(json.dumps(entry.payload["inputs"]))
    assert priority(inputs) == entry.payload["result"]


async def test_a_source_that_was_wrong_goes_behind_one_that_was_not_also_while_it_waits(
    ledger: Ledger, clock: ManualClock
) -> None:
    records: dict[Source, tuple[int, int]] = {}
    router = make_router(ledger, clock, record=lambda source: records.get(source, (0, 0)))
    await router.recover()
    for name, source in (
        ("first", Source("todo_scanner")),
        ("second", Source("doc_staleness")),
        ("third", Source("backlog")),
    ):
        await router.submit(signal(name, source=source, urgency=Urgency.HIGH))
        clock.advance(1)
    records |= {Source("todo_scanner"): (1, 9), Source("backlog"): (0, 9)}  # what came of them meanwhile
    taken = [await take(router) for _ in range(3)]
    assert [op.goal.split()[1] for op in taken] == ["second", "third", "first"]
    entries = [e for op in taken for e in await ledger.entries(op_id=op.id, kinds=(EntryKind.DECISION,))]
    assert [(e.payload["inputs"]["hits"], e.payload["inputs"]["outcomes"]) for e in entries] == [(0, 0), (0, 9), (1, 9)]
    for entry in entries:
        inputs = PriorityInputs.model_validate_json(json.dumps(entry.payload["inputs"]))
        assert priority(inputs) == entry.payload["result"]


async def test_the_best_runs_first_and_age_lifts(router: IntakeRouter, clock: ManualClock) -> None:
    await router.submit(signal("old", urgency=Urgency.HIGH))
    clock.advance(100)
    await router.submit(signal("urgent", urgency=Urgency.CRITICAL))
    clock.advance(900)
    await router.submit(signal("late", urgency=Urgency.CRITICAL))
    order = [(await take(router)).goal for _ in range(3)]
    # "late" is two points better than "old", which waited 1000 s: eight points
    assert order == ["Make urgent pass.", "Make old pass.", "Make late pass."]


async def test_a_file_belongs_to_one_op_and_what_waited_is_planned_afresh(router: IntakeRouter) -> None:
    await router.submit(signal("one", targets=("a.py",)))
    first = await take(router)
    await router.submit(signal("two", targets=("a.py", "b.py"), base="c1"))
    await router.submit(signal("three", targets=("c.py",)))
    third = await take(router)
    assert third.goal == "Make three pass."
    assert await nothing(router)
    waiting = next(line for line in router.snapshot().lines if line.goal == "Make two pass.")
    assert waiting.waits_for == first.id
    await complete(router, first)
    second = await take(router)
    assert (second.goal, second.base) == ("Make two pass.", "c1")


async def test_a_waiting_worker_is_woken_by_a_release(router: IntakeRouter) -> None:
    await router.submit(signal("one", targets=("a.py",)))
    first = await take(router)
    await router.submit(signal("two", targets=("a.py",)))
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiting = group.create_task(router.next())
        await asyncio.sleep(0.02)
        assert not waiting.done()
        await complete(router, first)
    assert waiting.result().goal == "Make two pass."


async def test_the_op_is_planned_on_head(ledger: Ledger, clock: ManualClock) -> None:
    async def head() -> str | None:
        return "c7"

    router = IntakeRouter(
        ledger=ledger,
        clock=clock,
        boot="b",
        settings=RouterSettings(),
        ports=IntakePorts(admit=admit_shallow, may_release=may_release, head=head),
    )
    await router.submit(signal("plain"))
    assert (await take(router)).base == "c7"
    await router.submit(signal("eager", snapshot="s1", base="c0"))
    eager = await take(router)
    assert (eager.base, eager.tree) == ("c0", "s1")


async def test_signals_on_one_file_become_one_op_and_all_end_with_it(router: IntakeRouter, clock: ManualClock) -> None:
    low = signal("low", targets=("a.py",), urgency=Urgency.LOW)
    normal = signal("normal", targets=("a.py", "b.py"), urgency=Urgency.NORMAL)
    await router.submit(low)
    assert await nothing(router)
    clock.advance(10)
    await router.submit(normal)
    clock.advance(20)
    router.resume()
    op = await take(router)
    assert {s.id for s in op.signals} == {low.id, normal.id}
    assert op.urgency is Urgency.NORMAL
    assert state_of(router, normal.id) is ItemState.CLAIMED
    await fail(router, op)
    assert state_of(router, low.id) is state_of(router, normal.id) is ItemState.QUEUED
    again = await take(router)
    assert again.attempt == 2 and len(again.signals) == 2


async def test_a_critical_signal_takes_the_waiting_ones_along(router: IntakeRouter) -> None:
    await router.submit(signal("low", targets=("a.py",), urgency=Urgency.LOW))
    await router.submit(signal("now", targets=("a.py",), urgency=Urgency.CRITICAL))
    op = await take(router)
    assert (len(op.signals), op.urgency) == (2, Urgency.CRITICAL)


async def test_the_coalescing_wait_ends_by_itself(ledger: Ledger) -> None:
    clock = SystemClock()
    router = make_router(ledger, clock, settings=RouterSettings(coalesce_s=0.1))
    await router.recover()
    before = clock.monotonic()
    await router.submit(signal("low", targets=("a.py",), urgency=Urgency.LOW))
    await take(router)
    assert clock.monotonic() - before >= 0.09


async def test_an_op_does_not_take_a_companion_whose_other_file_is_held(router: IntakeRouter) -> None:
    await router.submit(signal("holder", targets=("b.py",)))
    await take(router)
    await router.submit(signal("wide", targets=("a.py", "b.py")))
    await router.submit(signal("narrow", targets=("a.py",)))
    op = await take(router)
    assert op.goal == "Make narrow pass."
    assert router.snapshot().claims["b.py"] != op.id


async def test_widening_is_all_or_nothing_and_released_at_the_end(router: IntakeRouter) -> None:
    await router.submit(signal("one", targets=("a.py",)))
    await router.submit(signal("two", targets=("b.py",)))
    one, two = await take(router), await take(router)
    assert not await router.widen(one.id, ("c.py", "b.py"))
    assert "c.py" not in router.snapshot().claims
    assert await router.widen(one.id, ("c.py", "a.py"))
    assert router.snapshot().claims["c.py"] == one.id
    assert not await router.widen(two.id, ("c.py",))
    await complete(router, one)
    assert router.snapshot().claims == {"b.py": two.id}


async def test_duplicates_are_told_so_even_at_the_same_moment(router: IntakeRouter) -> None:
    receipts = await asyncio.gather(*(router.submit(signal("same")) for _ in range(5)))
    assert sorted(r.status for r in receipts) == ["duplicate"] * 4 + ["queued"]
    first = next(r for r in receipts if r.status == "queued")
    assert {r.of for r in receipts if r.of} == {first.signal_id}


async def test_dedup_survives_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "ledger.sqlite3"
    async with open_ledger(path, clock) as ledger:
        router = make_router(ledger, clock)
        await router.submit(signal("done"))
        await router.submit(signal("active"))
        for _ in range(2):
            op = await take(router)
            await router.started(op.id)
            if op.goal == "Make done pass.":
                await complete(router, op)
    clock.advance(60)
    async with open_ledger(path, clock) as ledger:
        router = make_router(ledger, clock, boot="boot-2")
        report = await router.recover()
        assert len(report.undecided) == 1
        assert (await router.submit(signal("done"))).status == "suppressed"
        assert (await router.submit(signal("active"))).status == "duplicate"
        assert (await router.submit(signal("done", base="c1"))).status == "queued"


async def test_three_failed_attempts_are_the_end(router: IntakeRouter) -> None:
    sent = signal()
    await router.submit(sent)
    for attempt in (1, 2, 3):
        op = await take(router)
        assert op.attempt == attempt
        await fail(router, op)
    assert await nothing(router)
    (line,) = router.snapshot().lines
    assert line.state is ItemState.DEAD
    assert [h.split()[1:] for h in line.history] == [["POSTMORTEM", "tests_failed"]] * 3
    assert (await router.submit(signal())).status == "suppressed"
    await router.release(sent.id)
    assert (await take(router)).attempt == 1


async def test_a_condition_that_keeps_failing_at_new_commits_is_given_up_too(router: IntakeRouter) -> None:
    for base in ("c1", "c2", "c3"):
        assert (await router.submit(signal(base=base))).status == "queued"
        await fail(router, await take(router), retry=False)
    assert (await router.submit(signal(base="c4"))).status == "suppressed"


async def test_a_condition_reported_at_a_newer_commit_is_not_lost_when_the_op_fails(router: IntakeRouter) -> None:
    await router.submit(signal(base="c1"))
    op = await take(router)
    await router.started(op.id)
    assert (await router.submit(signal(base="c2"))).status == "duplicate"
    assert router.hindered == 0
    await router.finish(op.id, OpOutcome.POSTMORTEM, cause=RootCause.STALE_BASE)
    assert router.hindered == 1
    again = await take(router)
    assert (again.base, again.attempt) == ("c2", 2)
    await fail(router, again, retry=False)
    assert await router.idle()


async def test_a_persons_no_is_not_an_attempt(router: IntakeRouter) -> None:
    sent = signal()
    await router.submit(sent)
    op = await take(router)
    await router.finish(op.id, OpOutcome.CANCELLED, cause=RootCause.CANCELLED_BY_OWNER)
    assert state_of(router, sent.id) is None
    assert (await router.submit(signal())).status == "suppressed"


async def test_work_on_a_review_branch_suppresses_its_key_until_the_branch_is_gone(
    tmp_path: Path, clock: ManualClock
) -> None:
    branches = Branches("ouro/review/1")
    async with open_ledger(tmp_path / "ledger.sqlite3", clock) as ledger:
        router = make_router(ledger, clock, branches=branches)
        sent = signal()
        await router.submit(sent)
        op = await take(router)
        await router.finish(op.id, OpOutcome.COMPLETE, cause=RootCause.NONE, branch="ouro/review/1")
        assert state_of(router, sent.id) is ItemState.AWAITING_MERGE
        assert await router.idle()
        clock.advance(10**6)
        assert (await router.submit(signal(base="c5"))).status == "suppressed"
    async with open_ledger(tmp_path / "ledger.sqlite3", clock) as ledger:
        router = make_router(ledger, clock, boot="boot-2", branches=branches)
        await router.recover()
        assert state_of(router, sent.id) is ItemState.AWAITING_MERGE
        branches.names.clear()
        assert (await router.submit(signal(base="c5"))).status == "queued"
        assert state_of(router, sent.id) is None


async def test_a_deleted_branch_is_found_without_a_new_signal(ledger: Ledger, clock: ManualClock) -> None:
    branches = Branches("b")
    router = make_router(ledger, clock, branches=branches)
    await router.submit(signal())
    await router.finish((await take(router)).id, OpOutcome.COMPLETE, cause=RootCause.NONE, branch="b")
    assert await router.check_branches() == ()
    branches.names.clear()
    assert len(await router.check_branches()) == 1
    (entry,) = await ledger.entries(kinds=(EntryKind.SIGNAL,), newest_first=True, limit=1)
    assert entry.payload["queue"] == "branch_gone"


async def test_what_is_not_admitted_is_parked_until_a_person_releases_it(router: IntakeRouter) -> None:
    deep = signal(depth=3)
    receipt = await router.submit(deep)
    assert (receipt.status, receipt.reason) == ("parked", "depth 3 is over 2 (gate19.recursion)")
    assert await nothing(router)
    assert await router.idle()
    await router.release(deep.id)
    assert (await take(router)).signals[0].id == deep.id


async def test_an_op_that_waits_for_a_person_keeps_its_files_over_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "ledger.sqlite3"
    async with open_ledger(path, clock) as ledger:
        router = make_router(ledger, clock)
        await router.submit(signal("one", targets=("a.py",)))
        op = await take(router)
        await router.started(op.id)
        await router.widen(op.id, ("b.py",))
        await router.park(op.id)
        clock.advance(10**5)
        await router.submit(signal("two", targets=("b.py",)))
        assert await nothing(router)
    async with open_ledger(path, clock) as ledger:
        router = make_router(ledger, clock, boot="boot-2")
        report = await router.recover()
        assert report.parked == (op.id,)
        assert await nothing(router)
        await router.unpark(op.id)
        await complete(router, op)
        assert (await take(router)).goal == "Make two pass."


async def test_a_lease_of_an_op_that_never_started_runs_out_and_it_is_queued_again(
    router: IntakeRouter, clock: ManualClock
) -> None:
    await router.submit(signal(targets=("a.py",)))
    lost = await take(router)
    clock.advance(200)
    await router.renew(lost.id)
    clock.advance(200)
    assert await nothing(router)
    clock.advance(101)
    router.resume()
    again = await take(router)
    assert again.id != lost.id and again.attempt == 1
    with pytest.raises(LeaseLost):
        await router.started(lost.id)
    with pytest.raises(LeaseLost):
        await router.finish(lost.id, OpOutcome.COMPLETE, cause=RootCause.NONE)


async def test_a_started_op_without_a_sign_of_life_is_quarantined_and_its_late_worker_is_heard(
    router: IntakeRouter, clock: ManualClock
) -> None:
    sent = signal(targets=("a.py",))
    await router.submit(sent)
    op = await take(router)
    await router.started(op.id)
    clock.advance(301)
    assert await nothing(router)
    assert state_of(router, sent.id) is ItemState.QUARANTINED
    assert router.snapshot().claims == {}
    with pytest.raises(LeaseLost):
        await router.renew(op.id)
    await complete(router, op)
    assert state_of(router, sent.id) is None


async def test_a_signal_that_is_claimed_again_and_again_and_never_started_is_dead(
    ledger: Ledger, clock: ManualClock
) -> None:
    router = make_router(ledger, clock, settings=RouterSettings(max_claims=2))
    sent = signal()
    await router.submit(sent)
    for _ in range(2):
        await take(router)
        clock.advance(301)
    assert await nothing(router)
    assert state_of(router, sent.id) is ItemState.DEAD


async def test_a_cancelled_worker_leaves_nothing_claimed(router: IntakeRouter) -> None:
    sent = signal(targets=("a.py",))
    await router.submit(sent)
    worker = asyncio.create_task(router.next())
    await asyncio.sleep(0)  # it stands in the middle of the claim
    worker.cancel()
    with pytest.raises(asyncio.CancelledError):
        await worker
    assert state_of(router, sent.id) is ItemState.QUEUED
    assert router.snapshot().claims == {}
    assert (await take(router)).signals[0].id == sent.id


async def test_many_workers_never_get_the_same_signal(router: IntakeRouter) -> None:
    sent = [signal(f"n{n}", targets=(f"{n}.py",)) for n in range(9)]
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        workers = [group.create_task(router.next()) for _ in sent]
        await asyncio.sleep(0)
        for each in sent:
            await router.submit(each)
    assert sorted(s.id for w in workers for s in w.result().signals) == sorted(s.id for s in sent)


async def test_who_may_not_be_released_keeps_its_files_and_is_asked_again(ledger: Ledger, clock: ManualClock) -> None:
    asked: list[float] = []

    def alive_at_first(silent_s: float, limit_s: float) -> Verdict:
        asked.append(silent_s)
        return may_release(0 if len(asked) == 1 else silent_s, limit_s)

    router = IntakeRouter(
        ledger=ledger,
        clock=clock,
        boot="b",
        settings=RouterSettings(),
        ports=IntakePorts(admit=admit_shallow, may_release=alive_at_first),
    )
    await router.recover()
    await router.submit(signal("a", targets=("a.py",)))
    first = await take(router)
    clock.advance(301)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.2):
            await router.next()
    assert asked == [301.0] and router.snapshot().claims == {"a.py": first.id}
    clock.advance(301)
    again = await take(router)
    assert asked == [301.0, 301.0] and again.id != first.id and router.snapshot().claims == {"a.py": again.id}


async def test_many_workers_take_an_expired_op_back_once(
    router: IntakeRouter, ledger: Ledger, clock: ManualClock
) -> None:
    await router.submit(signal("a", targets=("a.py",)))
    await take(router)
    clock.advance(301)
    workers = [asyncio.create_task(router.next()) for _ in range(3)]
    await asyncio.wait(workers, timeout=0.3)
    done = [worker for worker in workers if worker.done()]
    for worker in set(workers) - set(done):
        worker.cancel()
    await asyncio.wait(workers)
    (again,) = done
    assert router.snapshot().claims == {"a.py": again.result().id}
    events = [e.payload["queue"] for e in await ledger.entries(kinds=(EntryKind.SIGNAL,))]
    assert events == ["received_queued", "claimed", "lease_expired", "claimed"]


@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_a_report_in_the_moment_in_which_an_op_fails_is_not_lost(router: IntakeRouter, turns: int) -> None:
    await router.submit(signal(base="c1"))
    op = await take(router)
    await router.started(op.id)
    ending = asyncio.create_task(router.finish(op.id, OpOutcome.POSTMORTEM, cause=RootCause.TESTS_FAILED))
    for _ in range(turns):  # its end is about to be written, being written, or written
        await asyncio.sleep(0)
    await router.submit(signal(base="c2"))
    await ending
    assert (await take(router)).base == "c2"


async def test_waiting_until_idle(router: IntakeRouter) -> None:
    await router.submit(signal("a"))
    op = await take(router)
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        idle = group.create_task(router.until_idle())
        await asyncio.sleep(0.02)
        assert not idle.done()
        await router.started(op.id)
        await router.park(op.id)


async def test_pausing_holds_work_back_but_takes_signals(router: IntakeRouter) -> None:
    router.pause()
    await router.submit(signal())
    assert await nothing(router)
    assert router.snapshot().paused and len(router.snapshot().ready) == 1
    router.resume()
    await take(router)


async def test_sixteen_are_ready_and_the_rest_stays_queued(router: IntakeRouter) -> None:
    for number in range(20):
        await router.submit(signal(f"n{number}", targets=(f"{number}.py",)))
    snapshot = router.snapshot()
    assert len(snapshot.ready) == 16
    assert snapshot.counts["queued"] == 20
    await router.submit(signal("now", urgency=Urgency.CRITICAL, source=Source.MANUAL))
    assert router.snapshot().ready[0] == (await take(router)).signals[0].id


async def test_a_snapshot_counts_all_and_describes_some_active_first(router: IntakeRouter) -> None:
    for number in range(20):
        await router.submit(signal(f"n{number}", targets=(f"{number}.py",)))
    op = await take(router)
    snapshot = router.snapshot(lines=18)
    assert (snapshot.counts["queued"], snapshot.counts["claimed"], len(snapshot.lines)) == (19, 1, 18)
    assert snapshot.lines[0].op_id == op.id
    assert set(snapshot.ready) <= {line.signal_id for line in snapshot.lines}


async def test_dropping(router: IntakeRouter) -> None:
    kept, dropped = signal("kept"), signal("dropped")
    await router.submit(kept)
    await router.submit(dropped)
    await router.drop(dropped.id, "not wanted")
    op = await take(router)
    with pytest.raises(ControlError, match="works on this signal"):
        await router.drop(kept.id, "too late")
    with pytest.raises(ControlError, match="No waiting signal"):
        await router.drop(dropped.id, "twice")
    assert op.signals[0].id == kept.id


async def test_a_ledger_that_refuses_leaves_the_queue_as_it_was(tmp_path: Path, clock: ManualClock) -> None:
    ledger = await Ledger.open(tmp_path / "ledger.sqlite3", repo_id="0123456789ab", clock=clock)
    router = make_router(ledger, clock)
    sent = signal(targets=("a.py",))
    await router.submit(sent)
    await ledger.close()
    with pytest.raises(LedgerError):
        await router.submit(signal("other"))
    with pytest.raises(LedgerError):
        await take(router)
    assert state_of(router, sent.id) is ItemState.QUEUED
    assert router.snapshot().claims == {}
    assert len(router.snapshot().lines) == 1


async def test_old_ends_leave_the_table_and_the_chain_still_verifies(tmp_path: Path, clock: ManualClock) -> None:
    path = tmp_path / "ledger.sqlite3"
    async with open_ledger(path, clock) as ledger:
        router = make_router(ledger, clock)
        await router.submit(signal())
        await complete(router, await take(router))
    clock.advance(31 * 86_400)
    async with open_ledger(path, clock) as ledger:
        await make_router(ledger, clock).recover()
        assert await ledger.query("SELECT count(*) FROM intake_items") == [(0,)]
        assert (await ledger.verify()).ok


async def test_the_key_of_a_signal_is_what_is_compared(router: IntakeRouter) -> None:
    await router.submit(signal("a"))
    other = signal("b").model_copy(update={"key": sha256_hex("a")})
    assert (await router.submit(other)).status == "duplicate"


async def test_a_stop_of_the_daemon_is_no_attempt(router: IntakeRouter) -> None:
    sent = signal(targets=("calc.py",))
    await router.submit(sent)
    for _ in range(5):
        op = await take(router)
        await router.started(op.id)
        await router.finish(op.id, OpOutcome.POSTMORTEM, cause=RootCause.CRASH_RECOVERED, retry=True)
        (line,) = router.snapshot().lines
        assert (line.state, line.attempts) == (ItemState.QUEUED, 0)


async def test_a_kill_is_an_attempt(router: IntakeRouter) -> None:
    await router.submit(signal(targets=("calc.py",)))
    for attempt in (1, 2, 3):
        op = await take(router)
        await router.started(op.id)
        await router.requeue(op.id)
        (line,) = router.snapshot().lines
        assert line.attempts == attempt
    assert line.state is ItemState.DEAD


async def test_every_step_of_an_op_carries_what_it_has_cost(router: IntakeRouter, ledger: Ledger) -> None:
    await router.submit(signal(targets=("calc.py",)))
    op = await take(router)
    await router.started(op.id)
    cost = Spend(usd_micro=7, tokens_in=11, calls=1, working_ms=13)
    await ledger.append(Draft(kind=EntryKind.CALL, op_id=op.id, payload={"event": "call.ended"}, spend=cost))
    await router.park(op.id)
    await router.unpark(op.id)
    assert await router.widen(op.id, ("other.py",))
    await router.finish(op.id, OpOutcome.COMPLETE, cause=RootCause.NONE)
    steps = [e for e in await ledger.entries(op_id=op.id, kinds=(EntryKind.SIGNAL, EntryKind.LEASE)) if e.seq > 4]
    assert [e.payload["queue"] for e in steps] == ["parked", "unparked", "widened", "finished"]
    assert {e.spend for e in steps} == {cost}
