"""Gaps out of a real ledger, on a real repository with a real router."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from ledger.events.event import CLASSES
from ledger.events.sensing import GapReported, GapSeen
from ledger.store import Ledger
from ledger.vocabulary import Draft, EntryKind, OwnerConfirms, Source, Urgency
from sensors.bus import Bus
from sensors.capability_gap import CapabilityGapSettings
from sensors.capability_gap.sensor import CapabilityGap
from sensors.intake.queue import WITHOUT_SUCCESS
from tests.repos import git
from tests.sensors.looking import Scene, scene

FILES = {"shop/cart.py": "def total(): return 0\n", "scripts/run_sql.py": "", "tests/test_cart.py": ""}
CART = "shop/cart.py"


def gap(s: Scene, **settings: object) -> CapabilityGap:
    told = CapabilityGapSettings.model_validate({"work": True, **settings})
    return CapabilityGap(ports=s.ports(), settings=told)


async def op(
    ledger: Ledger, number: int, origin: str, *, cause: str = "none", targets: Sequence[str] = (), tool: str = "",
    served: str = "", goal: str = "Do it", depth: int = 0,
) -> int:  # fmt: skip
    """What an op leaves behind; returns the place of its end."""
    name = f"op-{number}"

    def draft(kind: EntryKind, event: str, **facts: object) -> Draft:
        return CLASSES[kind, event](**facts).draft(op_id=name)

    told = [draft(EntryKind.DECISION, "op.started", origin=origin, goal=goal, depth=depth)]
    if tool:
        told.append(draft(EntryKind.VERDICT, "gate", gate=0, tool=tool, rule="policy.unknown_tool", decision="deny"))
    if served:
        told.append(draft(EntryKind.TOOL, "tool.called", tool=served, ok=True))
    state = "COMPLETE" if cause == "none" else "POSTMORTEM"
    told.append(draft(EntryKind.TRANSITION, "terminal", to=state, root_cause=cause, targets=list(targets)))
    entries = [(await ledger.append(each))[0] for each in told]
    return entries[-1].seq


async def met(s: Scene, *origins: str, first: int = 1, cause: str = "no_candidate") -> list[int]:
    """Ops about the cart that found nothing, one an origin."""
    return [
        await op(s.ledger, n, origin, cause=cause, targets=(CART,), depth=1)
        for n, origin in enumerate(origins, start=first)
    ]


async def test_a_file_that_many_kinds_of_ops_find_nothing_for_is_a_gap_with_its_evidence(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = gap(s, per_day=9)
        seqs = await met(s, "backlog", "todo_scanner")
        assert await sensor.scan_once() == () and sensor.state().line == ""
        seqs += await met(s, "github_issue", first=3)
        (signal,) = await sensor.scan_once()
        for again in (sensor, gap(s, per_day=9)):  # said once, also after a restart
            assert await again.scan_once() == ()
        assert f"file {CART} (3 ops of 3 kinds, entries {', '.join(map(str, seqs))})" in sensor.state().line
        (said,) = await s.ledger.entries(events=(GapReported,))
        assert said.causes == tuple(seqs)
    assert (signal.source, signal.urgency, signal.targets) == (Source("capability_gap"), Urgency.NORMAL, (CART,))
    assert isinstance(signal.closure, OwnerConfirms) and signal.depth == 1
    assert signal.base == git(s.repo, "rev-parse", "HEAD")
    assert f"ledger entries {', '.join(map(str, seqs))}" in signal.evidence[0].evidence


async def test_one_kind_of_goal_that_fails_again_and_again_is_none(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = gap(s)
        await met(s, *["backlog"] * 8)
        assert await sensor.scan_once() == () and sensor.state().line == ""
        assert await gap(s, least_entropy_milli=0).scan_once()


async def test_ops_that_ended_by_other_causes_or_about_gaps_are_none(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        await met(s, "backlog", "todo_scanner", "manual", cause="tests_failed")
        await met(s, *["capability_gap"] * 5, first=10)
        sensor = gap(s)
        assert await sensor.scan_once() == () and sensor.state().line == ""


async def test_an_op_that_completes_serves_the_gap_and_takes_its_signal_back(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = gap(s, per_day=9)
        await met(s, "backlog", "todo_scanner", "manual")
        (signal,) = await sensor.scan_once()
        await op(s.ledger, 4, "manual", targets=(CART,))
        assert await sensor.scan_once() == () and sensor.state().line == ""
        assert s.router.known() == ()
        assert (await s.router.by_source())["capability_gap"].keys() == {WITHOUT_SUCCESS}
        served = (await s.ledger.entries(events=(GapSeen,)))[-1]
        assert served.payload["served"] == [f"file:{CART}"] and served.causes
        await met(s, "backlog", "todo_scanner", "manual", first=5)
        (again,) = await sensor.scan_once()
        assert again.key != signal.key  # a new round


async def test_a_tool_has_a_place_only_where_a_program_has_its_name(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = gap(s)
        for number, origin in enumerate(("backlog", "todo_scanner", "manual")):
            await op(s.ledger, number, origin, tool="fly_to_moon")
        assert await sensor.scan_once() == ()
        assert "tool fly_to_moon (3 ops of 3 kinds" in sensor.state().line
        for number, origin in enumerate(("backlog", "todo_scanner", "manual"), start=3):
            await op(s.ledger, number, origin, tool="run_sql")
        (signal,) = await sensor.scan_once()
        assert signal.targets == ("scripts/run_sql.py",) and "tool run_sql" in signal.goal
        await op(s.ledger, 6, "backlog", served="run_sql")
        await sensor.scan_once()
        assert "run_sql" not in sensor.state().line and "fly_to_moon" in sensor.state().line


async def test_without_the_owners_leave_it_is_told_and_not_worked_on(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = gap(s, work=False)
        await met(s, "backlog", "todo_scanner", "manual")
        assert await sensor.scan_once() == () and CART in sensor.state().line
        assert s.sent == []


async def test_what_is_missing_on_the_machine_is_told_and_not_worked_on(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = gap(s)
        await met(s, "backlog", "todo_scanner", "manual", cause="provider_unavailable")
        assert await sensor.scan_once() == ()
        assert "missing provider_unavailable" in sensor.state().line and s.sent == []


async def test_sightings_grow_old_and_an_earlier_boot_is_made_up_for(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        await met(s, "backlog", "todo_scanner")
        await gap(s).scan_once()
        await met(s, "manual", first=3)  # while no daemon looked
        later = gap(s)
        await later.scan_once()
        assert CART in later.state().line
        s.clock.advance(timedelta(days=31).total_seconds())
        await later.scan_once()
        assert later.state().line == ""


async def test_it_looks_when_an_op_ends_and_at_no_other_time(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as s:
        sensor = gap(s, work=False)
        running = asyncio.create_task(sensor.start(Bus(clock=s.clock)))
        async with asyncio.timeout(20), s.ledger.subscribe() as entries:
            await met(s, "backlog", "todo_scanner", "manual")
            async for entry in entries:
                if entry.payload.get("event") == "gap.seen" and entry.payload["op"] == "op-3":
                    break
            while not sensor.state().line:  # noqa: ASYNC110 - the line is set behind the entry
                await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert CART in sensor.state().line
