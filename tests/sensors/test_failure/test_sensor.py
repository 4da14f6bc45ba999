"""The TestFailure sensor on real repositories: real git, real pytest in a child, the real ledger and router."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ledger.clock import SystemClock
from ledger.places import Places
from ledger.store import Ledger
from ledger.vocabulary import EntryKind, RunStatus, Signal, TestRun, TestsPass, Urgency
from sensors.bus import Bus, Event, Topic
from sensors.intake.records import Receipt
from sensors.intake.router import IntakeRouter
from sensors.registry import closure_evaluator
from sensors.test_failure import TestFailureSettings
from sensors.test_failure.sensor import TestFailure
from sensors.watch.watcher import Watcher, WatchSettings
from tests.repos import commit, git, host_env, make_places, make_repo, write
from tests.sensors.gitdoors import GitIgnores
from tests.sensors.ports import sensor_ports
from tests.sensors.pytestdoor import PlainDoor, PytestDoor
from tests.sensors.signals import make_router, open_ledger
from tests.sensors.trees import Held
from tools.git import Git
from tools.repository import Repository

CALC = "def add(a, b):\n    return a + b\n\n\ndef div(a, b):\n    return a / b\n"
TESTS = """from calc import add, div

def test_add():
    assert add(1, 2) == 3

def test_div():
    assert div(4, 2) == 2
"""
FILES = {"calc.py": CALC, "test_calc.py": TESTS, "conftest.py": ""}
IMPORTS = {"test_a.py": "import nothing_like_this\n", "test_b.py": "def test_b(): pass\n"}
BROKEN = CALC.replace("a + b", "a - b")
RAISING = CALC.replace("return a / b", "raise ValueError('no ' + str(b))")


@dataclass
class World:
    repo: Path
    places: Places
    door: PytestDoor
    ledger: Ledger
    router: IntakeRouter
    sensor: TestFailure
    bus: Bus
    sent: list[Signal] = field(default_factory=list)
    hindered: int = 0

    def rebuild(self, *, settings: TestFailureSettings | None = None, depths: dict[str, int] | None = None) -> None:
        """A new sensor on the same ledger, as after a restart."""

        async def depth_of(op_id: str) -> int:
            return (depths or {}).get(op_id, 0)

        async def emit(signal: Signal) -> Receipt:
            self.sent.append(signal)
            return await self.router.submit(signal)

        self.sensor = TestFailure(
            ports=sensor_ports(
                repository=Repository(Git(self.places, host_env())),
                emit=emit,
                ledger=self.ledger,
                clock=SystemClock(),
                depth_of=depth_of,
                tests=self.door,
                spool=self.places.spool,
                redact=lambda text: text.replace("hunter2", "<secret>"),
                hindered=lambda: self.hindered,
            ),
            settings=settings or TestFailureSettings(debounce_s=0.05),
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.sensor.start(self.bus))
        try:
            yield
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def until(self, words: str) -> None:
        """Wait for a line in status."""
        async with asyncio.timeout(20):
            while words not in self.sensor.state().line or self.sensor.state().running:  # noqa: ASYNC110  # status is what a person polls
                await asyncio.sleep(0.01)


@asynccontextmanager
async def world(
    base: Path,
    files: dict[str, str] | None = None,
    *,
    settings: TestFailureSettings | None = None,
    door_type: type[PytestDoor] = PlainDoor,
) -> AsyncIterator[World]:
    repo = make_repo(base / "repo", files or FILES)
    places = make_places(base / "ours", repo)
    door = door_type(Git(places, host_env()), base / "door")
    async with open_ledger(places.ledger, SystemClock()) as ledger:
        router = make_router(ledger, SystemClock())
        made = World(repo, places, door, ledger, router, None, Bus(clock=SystemClock()))  # type: ignore[arg-type]  # rebuild() makes it
        made.rebuild(settings=settings)
        yield made


async def test_green_is_remembered_and_costs_one_run(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        assert await w.sensor.scan_once() == ()
        assert w.sensor.state().line.startswith("Green at ") and "2 tests" in w.sensor.state().line
        w.rebuild()
        assert await w.sensor.scan_once() == ()
        assert len(w.door.asked) == 1
        assert await w.sensor.scan_once(force=True) == ()
        assert len(w.door.asked) == 2


async def test_a_broken_commit_after_a_green_one_is_one_critical_signal(tmp_path: Path) -> None:
    async with world(tmp_path, door_type=PytestDoor) as w:
        await w.sensor.scan_once()
        head = commit(w.repo, "break", {"calc.py": BROKEN})
        (found,) = await w.sensor.scan_once()
        assert found.closure == TestsPass(ids=("test_calc.py::test_add",))
        assert found.targets == ("test_calc.py",)  # the deepest frame is where the assertion stands
        assert (found.urgency, found.base, found.depth, found.snapshot) == (Urgency.CRITICAL, head, 0, None)
        assert found.goal.startswith("Make test_calc.py::test_add pass (AssertionError: assert -1 == 3")
        assert found.evidence[0].source == "pytest" and "assert -1 == 3" in found.evidence[0].evidence
        # the whole suite, then what was red once more; the parent was known
        assert [ids for _, ids in w.door.asked[1:]] == [None, ("test_calc.py::test_add",)]
        assert w.sensor.state().line.startswith("Red at ")
        assert (await w.router.submit(found)).status == "duplicate"


async def test_the_target_is_the_file_of_the_deepest_frame(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.sensor.scan_once()
        commit(w.repo, "raise", {"calc.py": RAISING})
        (found,) = await w.sensor.scan_once()
        assert found.targets == ("calc.py",)
        assert "ValueError" in found.goal


async def test_each_cause_is_one_signal(tmp_path: Path) -> None:
    more = TESTS + "\ndef test_add_again():\n    assert add(2, 2) == 4\n\ndef test_raise():\n    div(1, 1)\n"
    async with world(tmp_path, {**FILES, "test_calc.py": more}) as w:
        await w.sensor.scan_once()
        commit(w.repo, "break", {"calc.py": RAISING.replace("a + b", "a - b")})
        found = await w.sensor.scan_once()
        assert {f.targets: f.closure.ids for f in found if isinstance(f.closure, TestsPass)} == {
            ("test_calc.py",): ("test_calc.py::test_add", "test_calc.py::test_add_again"),
            ("calc.py",): ("test_calc.py::test_div", "test_calc.py::test_raise"),
        }
        assert len({f.key for f in found}) == 2


async def test_a_test_that_fails_once_gives_no_signal(tmp_path: Path) -> None:
    flaky = (
        "import pathlib\nMARK = pathlib.Path({mark!r})\n\n\ndef test_flaky():\n"
        "    seen = MARK.exists()\n    MARK.touch()\n    assert seen\n"
    ).format(mark=str(tmp_path / "seen"))
    async with world(tmp_path, {"test_flaky.py": flaky}, door_type=PytestDoor) as w:
        assert await w.sensor.scan_once() == ()
        assert len(w.door.asked) == 2
        assert "test_flaky.py::test_flaky failed once and passed when run again" in w.sensor.state().line


async def test_an_unknown_parent_is_run_for_those_tests_only(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        first = git(w.repo, "rev-parse", "HEAD")
        commit(w.repo, "break", {"calc.py": BROKEN})
        (found,) = await w.sensor.scan_once()
        assert found.urgency is Urgency.CRITICAL
        assert w.door.asked[-1] == (first, ("test_calc.py::test_add",))


async def test_what_was_red_before_is_high_not_critical(tmp_path: Path) -> None:
    async with world(tmp_path, {**FILES, "calc.py": BROKEN}) as w:
        (at_root,) = await w.sensor.scan_once()
        assert at_root.urgency is Urgency.HIGH
        commit(w.repo, "unrelated", {"README.md": "x\n"})
        (again,) = await w.sensor.scan_once()
        assert again.urgency is Urgency.HIGH
        assert again.key == at_root.key


async def test_our_own_commit_counts_one_deeper(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        w.rebuild(depths={"op-1-test_failure": 1})
        await w.sensor.scan_once()
        commit(w.repo, "ours\n\nOuro-Op: op-1-test_failure", {"calc.py": BROKEN})
        (found,) = await w.sensor.scan_once()
        assert found.depth == 2


async def test_secrets_in_messages_are_taken_out(tmp_path: Path) -> None:
    async with world(tmp_path, {"test_a.py": "def test_a():\n    raise RuntimeError('password hunter2')\n"}) as w:
        (found,) = await w.sensor.scan_once()
        assert "hunter2" not in found.model_dump_json() and "<secret>" in found.goal


async def test_a_file_that_cannot_be_imported_is_its_own_cause(tmp_path: Path) -> None:
    async with world(tmp_path, IMPORTS, door_type=PytestDoor) as w:
        (found,) = await w.sensor.scan_once()
        assert found.closure == TestsPass(ids=("test_a.py",))
        assert found.targets == ("test_a.py",)


class NoAnswer(PytestDoor):
    """A runner that cannot say."""

    status = RunStatus.TIMEOUT

    async def run(self, commit: str, ids: Sequence[str] | None = None) -> TestRun:
        self.asked.append((commit, None))
        return TestRun(status=self.status, reason="they hang")


async def test_no_answer_is_a_line_and_an_entry_and_is_asked_again(tmp_path: Path) -> None:
    async with world(tmp_path, {**FILES, "calc.py": BROKEN}) as w:
        w.door = NoAnswer(Git(w.places, host_env()), tmp_path / "door2")
        w.rebuild()
        lines = []
        for status in (RunStatus.TIMEOUT, RunStatus.INFRA, RunStatus.INCONCLUSIVE):
            NoAnswer.status = status
            assert await w.sensor.scan_once() == ()
            lines.append(w.sensor.state().line.split(" at ")[0])
        assert lines == ["The tests did not end in time", "The tests could not be run", "The tests gave no answer"]
        runs = [e.payload for e in await w.ledger.entries(kinds=(EntryKind.RUN,))]
        assert [r["status"] for r in runs] == ["timeout", "infra", "inconclusive"]


async def test_red_only_in_uncommitted_edits_is_a_note(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        await w.sensor.scan_once()
        write(w.repo, {"calc.py": BROKEN})
        (w.places.spool / "1-1.json").write_text(json.dumps({"kind": "pytest", "red": ["test_calc.py::test_add"]}))
        assert await w.sensor.scan_once() == ()
        assert w.sensor.state().note == "red only in uncommitted edits: test_calc.py::test_add"
        assert len(w.door.asked) == 1
        assert list(w.places.spool.iterdir()) == []
        git(w.repo, "checkout", "-q", "calc.py")
        await w.sensor.scan_once()
        assert w.sensor.state().note == ""


async def test_a_torn_report_is_only_a_wake_up(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        (w.places.spool / "1.json").write_text('{"red": ["a')
        (w.places.spool / "2.json").write_text("[" * 100_000)
        (w.places.spool / "3.json").symlink_to("/etc/hostname")
        await w.sensor.scan_once()
        assert w.sensor.state().note == ""
        assert list(w.places.spool.iterdir()) == []


async def test_eager_looks_at_a_snapshot_and_leaves_everything_as_it_is(tmp_path: Path) -> None:
    async with world(tmp_path, settings=TestFailureSettings(eager=True, debounce_s=0.05)) as w:
        head = git(w.repo, "rev-parse", "HEAD")
        assert await w.sensor.scan_once() == ()
        write(w.repo, {"calc.py": BROKEN})
        status = git(w.repo, "status", "--porcelain")
        (found,) = await w.sensor.scan_once()
        assert found.base == head and found.snapshot not in (None, head)
        assert found.urgency is Urgency.CRITICAL
        assert git(w.repo, "show", f"{found.snapshot}:calc.py") == BROKEN.strip()
        assert git(w.repo, "status", "--porcelain") == status
        assert git(w.repo, "rev-parse", "HEAD") == head
        assert await w.sensor.scan_once() == ()


async def test_eager_does_not_repeat_what_is_red_at_head(tmp_path: Path) -> None:
    settings = TestFailureSettings(eager=True, debounce_s=0.05)
    async with world(tmp_path, {**FILES, "calc.py": BROKEN}, settings=settings) as w:
        assert len(await w.sensor.scan_once()) == 1
        write(w.repo, {"notes.txt": "x"})
        assert await w.sensor.scan_once() == ()


async def test_a_merge_under_way_is_said_and_nothing_is_run(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        (w.places.git_dir / "MERGE_HEAD").write_text(git(w.repo, "rev-parse", "HEAD") + "\n")
        async with w.running():
            await w.until("merge is under way")
        assert w.door.asked == []


async def test_what_was_given_up_is_looked_at_again_at_the_next_event(tmp_path: Path) -> None:
    async with world(tmp_path, {**FILES, "calc.py": BROKEN}) as w, w.running():
        await w.until("Red at ")
        w.hindered += 1
        w.bus.publish(Event(topic=Topic.REFS_MOVED))
        async with asyncio.timeout(20):
            while len(w.sent) < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        assert w.sent[0].key == w.sent[1].key


async def test_a_commit_wakes_it_and_a_report_too(tmp_path: Path) -> None:
    async with world(tmp_path) as w, w.running():
        await w.until("Green at ")
        commit(w.repo, "break", {"calc.py": BROKEN})
        w.bus.publish(Event(topic=Topic.REFS_MOVED))
        await w.until("Red at ")
        assert len(w.sent) == 1
        commit(w.repo, "mend", {"calc.py": CALC})
        w.bus.publish(Event(topic=Topic.TESTS_REPORTED))
        await w.until("Green at ")
        assert not await w.router.idle()


async def test_what_a_run_waits_for_is_made_ready_while_it_is_quiet_and_only_where_a_run_will_be(
    tmp_path: Path,
) -> None:
    async with world(tmp_path) as w, w.running():
        await w.until("Green at ")
        first = git(w.repo, "rev-parse", "HEAD")
        head = commit(w.repo, "break", {"calc.py": BROKEN})
        w.bus.publish(Event(topic=Topic.REFS_MOVED))
        await w.until("Red at ")
        w.bus.publish(Event(topic=Topic.REFS_MOVED))  # nothing has moved: nothing is run
        async with asyncio.timeout(20):
            while w.door.readied.count(None) < 3:  # noqa: ASYNC110  # a test door tells nobody
                await asyncio.sleep(0.01)
        assert w.door.readied == [first, None, head, None, None]
        assert [tree for tree, _ in w.door.asked] == [first, head, head]


async def test_a_build_elsewhere_that_failed_is_a_reason_to_look_once_and_is_not_believed(tmp_path: Path) -> None:
    async with world(tmp_path) as w, w.running():
        await w.until("Green at ")
        head = git(w.repo, "rev-parse", "HEAD")
        w.bus.publish(Event(topic=Topic.BUILD_FAILED, text=head))
        async with asyncio.timeout(20):
            while len(w.door.asked) < 2:  # noqa: ASYNC110  # a test door tells nobody
                await asyncio.sleep(0.01)
        await w.until("Green at ")
        for commit_told in (head, "f" * 40):  # again, and of a commit that is not here
            w.bus.publish(Event(topic=Topic.BUILD_FAILED, text=commit_told))
            await asyncio.sleep(0.2)  # longer than the debounce
        new = commit(w.repo, "more", {"more.py": "x = 1\n"})
        w.bus.publish(Event(topic=Topic.REFS_MOVED))
        await w.until(f"Green at {new[:12]}")
        assert w.door.asked == [(head, None), (head, None), (new, None)] and w.sent == []


async def test_saved_files_wake_it_only_when_asked_for(tmp_path: Path) -> None:
    async with world(tmp_path) as w, w.running():
        await w.until("Green at ")
        write(w.repo, {"calc.py": BROKEN})
        w.bus.publish(Event(topic=Topic.FILES_CHANGED, paths=("calc.py",)))
        await asyncio.sleep(0.3)
        assert len(w.door.asked) == 1


async def test_a_moved_head_cancels_the_run_and_starts_another(tmp_path: Path) -> None:
    slow = "import time\n\ndef test_slow():\n    time.sleep(20)\n"
    async with world(tmp_path, {"test_slow.py": slow}) as w, w.running():
        async with asyncio.timeout(10):
            await w.door.started.wait()
        head = commit(w.repo, "quicker", {"test_slow.py": "def test_slow(): pass\n"})
        w.bus.publish(Event(topic=Topic.REFS_MOVED))
        await w.until(f"Green at {head[:12]}")
        assert w.door.cancelled == 1
        assert [tree for tree, _ in w.door.asked][-1] == head


async def test_a_wake_up_without_a_move_lets_the_run_end(tmp_path: Path) -> None:
    async with world(tmp_path) as w, w.running():
        async with asyncio.timeout(10):
            await w.door.started.wait()
        w.bus.publish(Event(topic=Topic.REFS_MOVED))
        await w.until("Green at ")
        assert (w.door.cancelled, len(w.door.asked)) == (0, 1)


async def test_from_a_real_commit_through_the_watcher_to_the_queue(tmp_path: Path) -> None:
    async with world(tmp_path, door_type=PytestDoor) as w:
        git_access = Git(w.places, host_env())
        watcher = Watcher(
            places=w.places, ignore=GitIgnores(git_access), settings=WatchSettings(debounce_s=0.05, hold_s=0.5)
        )
        task = asyncio.create_task(watcher.run(w.bus))
        try:
            async with asyncio.timeout(10):
                await watcher.ready.wait()
            async with w.running():
                await w.until("Green at ")
                await asyncio.to_thread(commit, w.repo, "break", {"calc.py": BROKEN})
                async with asyncio.timeout(20):
                    op = await w.router.next()
        finally:
            task.cancel()
            await asyncio.wait({task})
        assert op.test_ids == ("test_calc.py::test_add",)


async def test_the_closure_is_asked_on_a_tree(tmp_path: Path) -> None:
    async with world(tmp_path) as w:
        good = git(w.repo, "rev-parse", "HEAD")
        bad = commit(w.repo, "break", {"calc.py": BROKEN})
        (found,) = await w.sensor.scan_once()
        evaluator = closure_evaluator()
        assert not (await evaluator.is_closed(found.closure, Held(run=lambda ids: w.door.run(bad, ids)))).closed
        assert (await evaluator.is_closed(found.closure, Held(run=lambda ids: w.door.run(good, ids)))).closed
