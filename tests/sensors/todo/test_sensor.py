"""Which comments are taken up, and that nothing is said twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from ledger.errors import RepositoryError
from ledger.vocabulary import MarkerAbsent, Source, Urgency
from sensors.bus import Bus, Event, Topic
from sensors.registry import closure_evaluator
from sensors.todo import TodoScannerSettings
from sensors.todo.sensor import TodoScanner
from tests.repos import commit, git, write
from tests.sensors.looking import OURS, scene
from tests.sensors.signals import START
from tests.sensors.trees import Held

A = "# TODO: make this a great deal faster\n"
B = "# FIXME(ann): the second half is never read\n"
C = "# HACK - take the lock before the file\n"


async def until(true: Callable[[], bool]) -> None:
    while not true():  # noqa: ASYNC110  # nobody tells
        await asyncio.sleep(0.01)


async def test_what_stood_there_is_not_new_and_what_a_commit_brings_is_said_once(tmp_path: Path) -> None:
    async with scene(tmp_path, {"old.py": A, "text.md": A, "vendor/x.py": A}) as s:
        sensor = TodoScanner(ports=s.ports(), settings=TodoScannerSettings(aged_days=0))
        assert await sensor.scan_once() == ()
        second = commit(s.repo, "more", {"old.py": A + B, "new.py": "x = 'TODO: no comment at all'  " + C})
        found = await sensor.scan_once()
        assert [signal.goal for signal in found] == [
            "Do what the HACK in new.py asks for: take the lock before the file",
            "Do what the FIXME in old.py asks for: the second half is never read",
        ]
        hack, fixme = found
        assert (hack.source, hack.urgency, hack.base, hack.depth) == (Source("todo_scanner"), Urgency.LOW, second, 0)
        assert isinstance(fixme.closure, MarkerAbsent) and len(fixme.closure.others) == 1
        assert "old.py:2" in fixme.evidence[0].evidence
        assert not (await closure_evaluator().is_closed(fixme.closure, Held({"old.py": A + B}))).closed
        assert (await closure_evaluator().is_closed(fixme.closure, Held({"old.py": A}))).closed
        again = TodoScanner(ports=s.ports(), settings=TodoScannerSettings(aged_days=0))
        s.goals()
        assert await again.scan_once() == () and await sensor.scan_once() == ()
        commit(s.repo, "moved", {"old.py": A + "\n" + B})
        assert await again.scan_once() == ()
        assert again.state().line.startswith("Nothing new at")


async def test_a_file_that_was_renamed_brings_nothing_new(tmp_path: Path) -> None:
    async with scene(tmp_path, {"old.py": A + B}) as s:
        sensor = TodoScanner(ports=s.ports(), settings=TodoScannerSettings(aged_days=0))
        await sensor.scan_once()
        git(s.repo, "mv", "old.py", "other.py")
        commit(s.repo, "renamed")
        assert await sensor.scan_once() == ()


async def test_an_old_repository_does_not_flood_and_nothing_is_lost(tmp_path: Path) -> None:
    files = {f"m{n}.py": f"# TODO: think about part number {word}\n" for n, word in enumerate(["one", "two", "three"])}
    async with scene(tmp_path, {"a.py": "x = 1\n"}) as s:
        settings = TodoScannerSettings(aged_days=0, per_look=1, per_day=2)
        sensor = TodoScanner(ports=s.ports(), settings=settings)
        await sensor.scan_once()
        commit(s.repo, "three at once", files)
        assert [found.targets for found in await sensor.scan_once()] == [("m0.py",)]
        assert "2 more wait for the next look" in sensor.state().line
        sensor = TodoScanner(ports=s.ports(), settings=settings)  # a restart forgets nothing of it
        assert [found.targets for found in await sensor.scan_once()] == [("m1.py",)]
        commit(s.repo, "nothing to do with it", {"a.py": "x = 2\n"})
        assert await sensor.scan_once() == ()  # the day's two are said
        s.clock.advance(timedelta(days=1, seconds=1).total_seconds())
        assert [found.targets for found in await sensor.scan_once()] == [("m2.py",)]
        assert await sensor.scan_once() == ()


async def test_more_files_than_a_look_may_read_are_read_by_the_next_ones(tmp_path: Path) -> None:
    files = {f"m{n}.py": f"# TODO: think about part number {word}\n" for n, word in enumerate(["one", "two", "three"])}
    async with scene(tmp_path, {"a.py": "x = 1\n"}) as s:
        sensor = TodoScanner(ports=s.ports(), settings=TodoScannerSettings(aged_days=0, most_files=2))
        await sensor.scan_once()
        commit(s.repo, "three at once", files)
        assert [found.targets[0] for found in await sensor.scan_once()] == ["m0.py", "m1.py"]
        assert [found.targets[0] for found in await sensor.scan_once()] == ["m2.py"]


async def test_a_marker_is_said_when_its_line_has_aged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"):
        monkeypatch.setenv(name, (START - timedelta(days=80)).isoformat())
    async with scene(tmp_path, {"old.py": A, "short.py": "# TODO: later\n"}) as s:
        sensor = TodoScanner(ports=s.ports(), settings=TodoScannerSettings(aged_days=90))
        assert await sensor.scan_once() == ()
        s.clock.advance(timedelta(days=11).total_seconds())
        (found,) = await sensor.scan_once()
        assert found.targets == ("old.py",) and "has stood there for 91 days" in found.evidence[0].claim


async def test_what_our_own_commit_brings_is_one_deeper(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": "x = 1\n"}) as s:
        s.depths["op-1"] = 1
        sensor = TodoScanner(ports=s.ports(), settings=TodoScannerSettings())
        await sensor.scan_once()
        commit(s.repo, f"ours\n\n{OURS}", {"a.py": A})
        commit(s.repo, "the owner's", {"b.py": "# TODO: the password hunter2 must go\n"})
        depths = {found.targets[0]: found.depth for found in await sensor.scan_once()}
        assert depths == {"a.py": 2, "b.py": 0}
        assert "hunter2" not in "".join(s.goals())


async def test_a_commit_that_is_gone_and_an_uncommitted_marker_are_nothing_new(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": A}) as s:
        sensor = TodoScanner(ports=s.ports(), settings=TodoScannerSettings(aged_days=0))
        await sensor.scan_once()
        write(s.repo, {"a.py": A + B})
        assert await sensor.scan_once() == ()
        git(s.repo, "commit", "-q", "-a", "--amend", "-m", "another first")
        git(s.repo, "reflog", "expire", "--expire=now", "--all")
        git(s.repo, "gc", "-q", "--prune=now")
        assert await sensor.scan_once() == ()


async def test_it_wakes_for_a_moved_head_and_says_why_it_can_do_nothing(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": "x = 1\n"}) as s:
        said: list[str] = ["no words are taken"]
        settings = TodoScannerSettings(aged_days=0, debounce_s=0.01)
        sensor = TodoScanner(ports=s.ports(lambda: said[0]), settings=settings)
        bus = Bus(clock=s.clock)
        running = asyncio.create_task(sensor.start(bus))
        try:
            async with asyncio.timeout(20):
                await until(lambda: "unavailable" in sensor.state().line)
                assert sensor.state().line == "unavailable: no words are taken"
                said[0] = ""
                bus.publish(Event(topic=Topic.REFS_MOVED))
                await until(lambda: "Nothing new" in sensor.state().line)
                commit(s.repo, "asks", {"b.py": C})
                bus.publish(Event(topic=Topic.REFS_MOVED))
                await until(lambda: bool(s.sent))
                (s.repo / ".git" / "MERGE_HEAD").write_text("")
                bus.publish(Event(topic=Topic.REFS_MOVED))
                await until(lambda: "merge" in sensor.state().problem)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        with pytest.raises(RepositoryError):
            await sensor.scan_once()
