"""Contracts in two real repositories: what is said of them, who follows whom, and what is never looked at."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from pydantic import ValidationError

from daemon.adapters.other_repositories import OtherRepositories
from daemon.settings.config import Settings
from ledger.clock import SystemClock
from ledger.vocabulary import SidesAgree, Signal
from sensors.bus import Bus, Event, Topic
from sensors.closure_checks import ClosureEvaluator, ClosurePorts
from sensors.drift import ContractPair, CrossRepoDriftSettings
from sensors.drift.sensor import CrossRepoDrift
from sensors.registry import closure_evaluator
from sensors.watch.named import Refs
from tests.repos import commit, git, host_env, make_places, make_repo, write
from tests.sensors.looking import Scene, scene
from tests.sensors.trees import Held

HERE, THERE = "api/order.json", "schema/order.json"


def said(**fields: object) -> str:
    return json.dumps({"order": {"id": 1, **fields}})


class Two:
    """Our repository, the other one, and a sensor over both."""

    def __init__(self, w: Scene, other: Path) -> None:
        self.w = w
        self.other = other
        self.followed: list[Refs] = []
        self.pair = ContractPair(here=HERE, repository=str(other), there=THERE)

    @property
    def elsewhere(self) -> OtherRepositories:
        return OtherRepositories(places=make_places(self.w.repo.parent, self.w.repo), env=host_env())

    def sensor(self, **changed: object) -> CrossRepoDrift:
        pair = ContractPair.model_validate({**self.pair.model_dump(), **changed})
        return CrossRepoDrift(
            ports=self.w.ports(elsewhere=self.elsewhere, follow=self.followed.append),
            settings=CrossRepoDriftSettings(pairs={"order": pair}, debounce_s=0, largest_bytes=10_000),
        )

    def evaluator(self, pairs: dict[str, ContractPair]) -> ClosureEvaluator:
        """As the daemon makes it of its settings."""
        drift = CrossRepoDriftSettings(pairs=pairs, largest_bytes=10_000)
        settings = Settings.model_validate({"sensors": {"cross_repo_drift": drift}})
        return closure_evaluator(settings, ClosurePorts(redact=self.w.ports().redact, elsewhere=self.elsewhere))


@asynccontextmanager
async def two(base: Path, here: str, there: str) -> AsyncIterator[Two]:
    other = make_repo(base / "other", {THERE: there, "README": "x\n"})
    async with scene(base, {HERE: here, "README": "x\n"}) as w:
        yield Two(w, other)


async def test_the_other_side_changes_and_ours_has_to_follow(tmp_path: Path) -> None:
    async with two(tmp_path, said(), said()) as t:
        sensor = t.sensor()
        assert await sensor.scan_once() == () and sensor.state().line == "order agrees"
        there = Path(os.path.realpath(t.other / ".git"))
        assert t.followed == [Refs(git_dir=str(there), common_dir=str(there))]
        at = commit(t.other, "More", {THERE: said(total="hunter2", name="x")})
        (signal,) = await sensor.scan_once()
        assert signal.closure == SidesAgree(pair="order", path=HERE) and signal.targets == (HERE,)
        assert f"{THERE} of the repository 'other' says at {at[:12]}" in signal.goal and signal.depth == 0
        assert signal.evidence[0].evidence == (
            '/order/name: here (nothing), there "x"\n/order/total: here (nothing), there "[secret]"'
        )
        assert '"name": "x"' in signal.evidence[1].evidence and "hunter2" not in signal.model_dump_json()
        assert await sensor.scan_once() == () and sensor.state().line == "order differs"
        assert await t.sensor().scan_once() == ()  # nor by another boot

        tree = Held({HERE: said(name="x", total="hunter2")})
        closures = t.evaluator({"order": t.pair})
        assert (await closures.is_closed(signal.closure, tree)).closed
        answer = await closures.is_closed(signal.closure, Held({HERE: said(name="x", total="other")}))
        assert not answer.closed and "/order/total" in answer.reason and "hunter2" not in answer.reason
        commit(t.other, "Again", {THERE: said(name="y")})  # it has moved on: what agreed with it does not any more
        assert not (await closures.is_closed(signal.closure, tree)).closed
        assert len(await sensor.scan_once()) == 1
        commit(t.other, "Never mind", {THERE: ""})
        git(t.other, "rm", "-q", THERE)
        commit(t.other, "Gone")
        answer = await closures.is_closed(signal.closure, tree)
        assert not answer.closed and answer.gone


async def test_what_a_repository_has_in_its_work_tree_or_on_a_branch_does_not_count(tmp_path: Path) -> None:
    async with two(tmp_path, said(), said()) as t:
        sensor = t.sensor()
        write(t.other, {THERE: said(more=1)})
        git(t.other, "add", "-A")
        git(t.other, "branch", "side")
        assert await sensor.scan_once() == ()


@pytest.mark.parametrize(("leads", "ours", "theirs"), [("there", 1, 1), ("here", 0, 0), ("either", 0, 1)])
async def test_who_follows_whom(tmp_path: Path, leads: str, ours: int, theirs: int) -> None:
    async with two(tmp_path, said(), said()) as t:
        sensor = t.sensor(leads=leads)
        assert await sensor.scan_once() == ()
        commit(t.w.repo, "Ours", {HERE: said(a=1)})
        assert len(await sensor.scan_once()) == ours
        assert ("the other side has to follow" in sensor.state().line) == (not ours)
        commit(t.other, "It follows", {THERE: said(a=1)})
        assert await sensor.scan_once() == () and sensor.state().line == "order agrees"
        commit(t.other, "Theirs", {THERE: said(a=1, b=2)})
        assert len(await sensor.scan_once()) == theirs
        commit(t.w.repo, "Both", {HERE: said(a=1, c=3)})
        assert len(await sensor.scan_once()) == theirs


async def test_only_the_part_that_is_named_counts(tmp_path: Path) -> None:
    async with two(tmp_path, said(), said()) as t:
        sensor = t.sensor(part="/order/id", part_there="/order/number")
        assert await sensor.scan_once() == () and "has no /order/number" in sensor.state().problem
        commit(t.other, "More", {THERE: json.dumps({"order": {"number": 1, "other": 5}})})
        assert await sensor.scan_once() == () and sensor.state().line == "order agrees"
        commit(t.other, "More", {THERE: json.dumps({"order": {"number": 2}})})
        (signal,) = await sensor.scan_once()
        assert "in its part /order/id" in signal.goal and signal.evidence[1].evidence == "2"


async def test_what_is_missing_or_too_large_is_said_and_no_reason_to_work(tmp_path: Path) -> None:
    async with two(tmp_path, said(), said()) as t:
        for changed, problem in [
            ({"repository": str(tmp_path / "nowhere")}, "is not a folder"),
            ({"repository": str(t.w.repo.parent / "ledger.sqlite3")}, "is not a folder"),
            ({"there": "no.json"}, "there is no no.json in"),
            ({"here": "no.json"}, "there is no no.json here"),
            ({"here": "README"}, "README"),
        ]:
            sensor = t.sensor(**changed)
            signals = await sensor.scan_once()
            if problem != "README":  # text and structure differ, whatever they say
                assert signals == () and problem in sensor.state().problem, (changed, sensor.state())
        commit(t.other, "Huge", {THERE: said(x="y" * 20_000)})
        assert await t.sensor().scan_once() == ()
        commit(t.other, "Broken", {THERE: "{"})
        sensor = t.sensor()
        assert await sensor.scan_once() == () and "cannot be read" in sensor.state().problem
        (t.other / THERE).unlink()
        (t.other / THERE).symlink_to("/etc/hostname")
        commit(t.other, "Link")
        sensor = t.sensor()
        assert await sensor.scan_once() == () and "there is no schema/order.json" in sensor.state().problem


async def test_hooks_and_programs_of_the_other_repository_are_never_run_and_odd_names_are_names(tmp_path: Path) -> None:
    odd = "-o [a]*? ;$(touch x).json"
    base = tmp_path / "a b;$(touch y)"
    base.mkdir()
    async with two(base, said(), said(a=1)) as t:
        commit(t.other, "Odd", {f"d/{odd}": said(odd=True)})
        trap = tmp_path / "ran"
        script = tmp_path / "trap.sh"
        script.write_text(f"#!/bin/sh\ntouch '{trap}'\n")
        script.chmod(0o755)
        for hook in ("post-checkout", "reference-transaction", "fsmonitor-watchman"):
            (t.other / ".git" / "hooks").mkdir(exist_ok=True)
            (t.other / ".git" / "hooks" / hook).symlink_to(script)
        for name in ("core.fsmonitor", "diff.external", "core.pager", "core.sshCommand", "filter.x.smudge"):
            git(t.other, "config", name, str(script))
        (t.other / ".git" / "info" / "attributes").write_text("* filter=x diff=x\n")
        (signal,) = await t.sensor(there=f"d/{odd}").scan_once()
        assert "/order/odd" in signal.evidence[0].evidence
        assert not trap.exists() and not (tmp_path / "x").exists() and not (t.other / "x").exists()


async def test_what_an_op_of_our_own_kind_wrote_there_is_one_deeper(tmp_path: Path) -> None:
    async with two(tmp_path, said(), said()) as t:
        commit(t.other, "Follow\n\nOuro-Op: op-1-cross_repo_drift\n", {THERE: said(a=1)})
        (signal,) = await t.sensor().scan_once()
        assert signal.depth == 1


async def test_a_branch_of_the_other_repository_wakes_it(tmp_path: Path) -> None:
    async with two(tmp_path, said(), said()) as t:
        sensor, bus = t.sensor(), Bus(clock=SystemClock())
        task = asyncio.create_task(sensor.start(bus))
        try:
            async with asyncio.timeout(20), t.w.ledger.subscribe() as entries:
                assert (await anext(entries)).payload["event"] == "sides_agree"
                commit(t.other, "More", {THERE: said(a=1)})
                bus.publish(Event(topic=Topic.REFS_ELSEWHERE, paths=("x",)))
                async for entry in entries:
                    if entry.payload.get("event") == "sensor_said":
                        break
        finally:
            task.cancel()
            await asyncio.wait({task})
        assert len(t.w.sent) == 1


async def test_without_a_pair_it_says_what_is_missing(tmp_path: Path) -> None:
    async with two(tmp_path, said(), said(a=1)) as t:
        ports = t.w.ports(elsewhere=t.elsewhere, follow=t.followed.append)
        sensor = CrossRepoDrift(ports=ports, settings=CrossRepoDriftSettings())
        signals: tuple[Signal, ...] = await sensor.scan_once()
        assert signals == () and sensor.state().line.startswith("unavailable: ")
        answer = await t.evaluator({}).is_closed(SidesAgree(pair="order", path=HERE), Held({HERE: said(a=1)}))
        assert not answer.closed and "no pair 'order'" in answer.reason


@pytest.mark.parametrize(
    "wrong",
    [
        {"here": "../x.json"}, {"here": "/x.json"}, {"there": "a//b"}, {"there": "-x"}, {"there": ""},
        {"repository": "other"}, {"repository": "/a/../b"}, {"leads": "me"}, {"there": "a\nb"},
    ],
)  # fmt: skip
def test_pairs_that_cannot_be(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        ContractPair.model_validate({"here": "a.json", "repository": "/r", "there": "b.json", **wrong})
    with pytest.raises(ValidationError):
        CrossRepoDriftSettings.model_validate({"pairs": {"Not a name": {}}})
