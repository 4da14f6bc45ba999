"""The watcher on real repositories, with real inotify and real git."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from ledger.clock import SystemClock
from ledger.places import Places
from sensors.bus import Bus, Event, Topic
from sensors.watch.backends import Backend, InotifyBackend, PollingBackend
from sensors.watch.named import Named
from sensors.watch.watcher import Watcher, WatchSettings
from tests.repos import commit, git, host_env, make_places, make_repo, write
from tests.sensors.gitdoors import GitIgnores
from tools.git import Git

QUICK = WatchSettings(debounce_s=0.05, hold_s=0.5, poll_s=0.05)
FILES = {"src/calc.py": "x = 1\n", "tests/test_calc.py": "\n", ".gitignore": "build/\n*.log\n"}


@dataclass
class Watched:
    repo: Path
    places: Places
    watcher: Watcher
    bus: Bus
    ignores: GitIgnores

    async def sees(self, topic: Topic, act: object = None, *, within_s: float = 5.0) -> Event:
        """The next event of a topic; ``act`` is called once we listen."""
        async with asyncio.timeout(within_s), self.bus.subscribe(topic) as events:
            if callable(act):
                await asyncio.to_thread(act)
            return (await anext(events)).event

    async def sees_nothing(self, act: object, *topics: Topic, for_s: float = 0.4) -> None:
        async with self.bus.subscribe(*(topics or tuple(Topic))) as events:
            assert callable(act)
            await asyncio.to_thread(act)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(for_s):
                    pytest.fail(f"an event that should not be: {await anext(events)}")

    def folders(self) -> set[str]:
        assert self.watcher._backend is not None
        return {
            str(Path(f).relative_to(self.repo)) for f in self.watcher._backend.folders if f.startswith(str(self.repo))
        }


@asynccontextmanager
async def watching(
    base: Path,
    *,
    files: dict[str, str] | None = None,
    settings: WatchSettings = QUICK,
    worktree: bool = False,
    named: Named | None = None,
) -> AsyncIterator[Watched]:
    repo = make_repo(base / "repo", FILES if files is None else files)
    places = make_places(base / "ours", repo)
    if worktree:
        git(repo, "worktree", "add", "-q", "-b", "side", str(base / "side"))
        places = replace(places, repo=base / "side", git_dir=places.common_dir / "worktrees" / "side")
    ignores = GitIgnores(Git(places, host_env()))
    watcher = Watcher(places=places, ignore=ignores, settings=settings, named=named)
    bus = Bus(clock=SystemClock())
    task = asyncio.create_task(watcher.run(bus))
    try:
        async with asyncio.timeout(10):
            await watcher.ready.wait()
        yield Watched(places.repo, places, watcher, bus, ignores)
        assert not task.done(), "the watcher ended by itself"
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_a_saved_file(tmp_path: Path) -> None:
    async with watching(tmp_path) as w:
        event = await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {"src/calc.py": "x = 2\n"}))
        assert event.paths == ("src/calc.py",)


async def test_the_same_contents_again_are_no_change(tmp_path: Path) -> None:
    async with watching(tmp_path) as w:
        await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {"src/calc.py": "x = 2\n"}))
        await w.sees_nothing(lambda: write(w.repo, {"src/calc.py": "x = 2\n"}))
        assert w.watcher.counts.unchanged >= 1
        event = await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {"src/calc.py": "x = 1\n"}))
        assert event.paths == ("src/calc.py",)


async def test_an_editor_that_saves_by_renaming(tmp_path: Path) -> None:
    def save() -> None:
        (w.repo / "src/.calc.py.swp").write_text("x = 3\n")
        (w.repo / "src/.calc.py.swp").rename(w.repo / "src/calc.py")

    async with watching(tmp_path) as w:
        event = await w.sees(Topic.FILES_CHANGED, save)
        assert "src/calc.py" in event.paths


async def test_reading_is_no_change(tmp_path: Path) -> None:
    async with watching(tmp_path) as w:
        await w.sees_nothing(lambda: (w.repo / "src/calc.py").read_text())
        await w.sees_nothing(lambda: git(w.repo, "status"))


async def test_a_commit_moves_a_ref(tmp_path: Path) -> None:
    async with watching(tmp_path) as w:
        event = await w.sees(Topic.REFS_MOVED, lambda: commit(w.repo, "change", {"src/calc.py": "x = 2\n"}))
        assert any(path.endswith("refs/heads/main") for path in event.paths)


async def test_switching_the_branch_moves_head(tmp_path: Path) -> None:
    async with watching(tmp_path) as w:
        await w.sees(Topic.REFS_MOVED, lambda: git(w.repo, "branch", "feature/one"))
        event = await w.sees(Topic.REFS_MOVED, lambda: git(w.repo, "checkout", "-q", "feature/one"))
        assert any(path.endswith("/HEAD") for path in event.paths)


async def test_a_branch_in_a_folder_that_is_new(tmp_path: Path) -> None:
    async with watching(tmp_path) as w:
        event = await w.sees(Topic.REFS_MOVED, lambda: git(w.repo, "branch", "a/b/c"))
        assert any(path.endswith("refs/heads/a/b/c") for path in event.paths)
        event = await w.sees(Topic.REFS_MOVED, lambda: git(w.repo, "branch", "-D", "a/b/c"))
        assert any(path.endswith("refs/heads/a/b/c") for path in event.paths)


async def test_packed_refs_and_the_marks_of_a_merge(tmp_path: Path) -> None:
    async with watching(tmp_path) as w:
        event = await w.sees(Topic.REFS_MOVED, lambda: git(w.repo, "pack-refs", "--all"))
        assert any(path.endswith("packed-refs") for path in event.paths)
        mark = w.places.git_dir / "MERGE_HEAD"
        event = await w.sees(Topic.REFS_MOVED, lambda: mark.write_text("0" * 40))
        assert any(path.endswith("MERGE_HEAD") for path in event.paths)
        await w.sees(Topic.REFS_MOVED, mark.unlink)


async def test_a_linked_worktree_sees_its_own_head_and_the_common_branches(tmp_path: Path) -> None:
    async with watching(tmp_path, worktree=True) as w:
        event = await w.sees(Topic.REFS_MOVED, lambda: commit(w.repo, "change", {"src/calc.py": "x = 2\n"}))
        assert any(path.endswith("refs/heads/side") for path in event.paths)
        event = await w.sees(Topic.REFS_MOVED, lambda: git(w.repo, "checkout", "-q", "--detach"))
        assert any(path.endswith("worktrees/side/HEAD") for path in event.paths)
        event = await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {"src/calc.py": "x = 9\n"}))
        assert event.paths == ("src/calc.py",)


async def test_git_objects_and_the_index_tell_nothing(tmp_path: Path) -> None:
    async with watching(tmp_path) as w:
        (w.repo / "src/calc.py").write_text("x = 2\n")
        await w.sees(Topic.FILES_CHANGED)
        await w.sees_nothing(lambda: git(w.repo, "add", "-A"))
        assert not any("objects" in folder for folder in w.folders())


async def test_ignored_trees_are_not_watched(tmp_path: Path) -> None:
    def build() -> None:
        write(w.repo, {f"build/{n}/deep/file.o": "1" for n in range(20)})
        write(w.repo, {"trace.log": "1", "node_modules/x/y.js": "1", "env/pyvenv.cfg": "", "env/lib/a.py": ""})

    async with watching(tmp_path) as w:
        await w.sees_nothing(lambda: write(w.repo, {"trace.log": "2", "build/one.o": "1"}), Topic.FILES_CHANGED)
        await w.sees_nothing(build, Topic.FILES_CHANGED)
        assert w.folders() == {".", "src", "tests", ".git", ".git/refs/heads"}


async def test_ignored_trees_that_are_there_already_are_not_watched(tmp_path: Path) -> None:
    files = {**FILES, "clone/.git/HEAD": "", "clone/a.py": ""}
    repo = tmp_path / "repo"
    write(repo, {f"build/{n}/file.o": "1" for n in range(5)})
    async with watching(tmp_path, files={k: v for k, v in files.items() if "clone" not in k}) as w:
        assert not any(folder.startswith("build") for folder in w.folders())
        assert w.ignores.asked == 1
        await w.sees_nothing(lambda: write(w.repo, {"build/1/file.o": "2"}))


async def test_a_changed_gitignore_is_followed_both_ways(tmp_path: Path) -> None:
    async with watching(tmp_path) as w:
        write(w.repo, {"out/made.txt": "1"})
        await w.sees(Topic.FILES_CHANGED)
        assert "out" in w.folders()
        await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {".gitignore": "out/\n"}))
        assert "out" not in w.folders()
        write(w.repo, {"build/now.txt": "1"})
        await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {".gitignore": "other/\n"}))
        assert {"out", "build"} <= w.folders()


async def test_folders_that_come_are_watched_and_their_files_told(tmp_path: Path) -> None:
    async with watching(tmp_path) as w:
        event = await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {"pkg/sub/mod.py": "1\n"}))
        assert event.paths == ("pkg/sub/mod.py",)
        assert {"pkg", "pkg/sub"} <= w.folders()
        event = await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {"pkg/sub/mod.py": "2\n"}))
        assert event.paths == ("pkg/sub/mod.py",)


async def test_folders_that_go_or_move_are_followed(tmp_path: Path) -> None:
    async with watching(tmp_path) as w:
        await w.sees(Topic.FILES_CHANGED, lambda: (w.repo / "src").rename(w.repo / "lib"))
        assert "lib" in w.folders() and "src" not in w.folders()
        event = await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {"lib/calc.py": "x = 5\n"}))
        assert event.paths == ("lib/calc.py",)
        (w.repo / "lib/calc.py").unlink()
        event = await w.sees(Topic.FILES_CHANGED, (w.repo / "lib").rmdir)
        assert "lib/calc.py" in event.paths
        assert "lib" not in w.folders()


async def test_a_report_in_the_spool(tmp_path: Path) -> None:
    def drop() -> None:
        (w.places.spool / ".1-2").write_text("{}")
        (w.places.spool / ".1-2").rename(w.places.spool / "1-2.json")

    async with watching(tmp_path) as w:
        event = await w.sees(Topic.TESTS_REPORTED, drop)
        assert event.paths == (str(w.places.spool / "1-2.json"),)
        await w.sees_nothing((w.places.spool / "1-2.json").unlink)


async def test_a_storm_is_few_looks_and_loses_nothing_that_matters(tmp_path: Path) -> None:
    def storm() -> None:
        for number in range(1000):
            (w.repo / "src" / f"{number % 50}.py").write_text(str(number))
        commit(w.repo, "after the storm")

    async with watching(tmp_path, settings=WatchSettings(debounce_s=0.1, hold_s=1.0)) as w:
        await w.sees(Topic.REFS_MOVED, storm, within_s=20)
        assert w.watcher.counts.looks < 20


async def test_more_than_can_be_listed_is_told_as_everything(tmp_path: Path) -> None:
    async with watching(tmp_path, settings=QUICK.model_copy(update={"batch_limit": 5})) as w:
        event = await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {f"src/{n}.py": "1" for n in range(30)}))
        assert event.everything


async def test_a_steady_stream_does_not_postpone_the_look_for_ever(tmp_path: Path) -> None:
    async with watching(tmp_path, settings=WatchSettings(debounce_s=0.2, hold_s=0.5)) as w:
        seen = asyncio.create_task(w.sees(Topic.FILES_CHANGED))
        await asyncio.sleep(0)
        for number in range(60):
            write(w.repo, {"src/calc.py": str(number)})
            await asyncio.sleep(0.02)
            if seen.done():
                break
        assert (await seen).paths == ("src/calc.py",)
        assert number < 59


async def test_out_of_watches_means_polling_with_one_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = QUICK.model_copy(update={"max_folders": 2})
    with caplog.at_level(logging.WARNING):
        async with watching(tmp_path, settings=settings) as w:
            assert w.watcher.counts.polling
            assert "more than 2 folders" in w.watcher.counts.reason
            event = await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {"src/calc.py": "x = 2\n"}))
            assert event.paths == ("src/calc.py",)
            await w.sees(Topic.REFS_MOVED, lambda: commit(w.repo, "change"))
            await w.sees_nothing(lambda: write(w.repo, {"build/a.o": "1"}), Topic.FILES_CHANGED)
            event = await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {"new/deep/file.py": "1"}))
            assert "new/deep/file.py" in event.paths
    assert len([r for r in caplog.records if "polled instead" in r.message]) == 1


async def test_running_out_later_falls_back_too(tmp_path: Path) -> None:
    async with watching(tmp_path, settings=QUICK.model_copy(update={"max_folders": 6})) as w:
        assert not w.watcher.counts.polling
        event = await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {f"more/{n}/x.py": "1" for n in range(10)}))
        assert event.everything  # what changed between the two ways of watching was not seen
        assert w.watcher.counts.polling
        event = await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {"more/3/x.py": "2"}))
        assert "more/3/x.py" in event.paths


def deeper_than_a_path(folder: Path) -> str:
    """A folder below ``folder`` whose path no call takes."""
    at = os.open(folder, os.O_RDONLY)
    name = "d" * 200
    for _ in range(25):
        os.mkdir(name, dir_fd=at)
        below = os.open(name, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    return f"{folder}/" + "/".join([name] * 25)


@pytest.mark.parametrize("backend", ["inotify", "polling"])
async def test_a_folder_deeper_than_a_path_reaches_ends_no_watcher(tmp_path: Path, backend: str) -> None:
    deep = deeper_than_a_path(tmp_path)
    seen: asyncio.Queue[str] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def notice(path: str, _: bool) -> None:
        loop.call_soon_threadsafe(seen.put_nowait, path)

    watching: Backend = (
        InotifyBackend(notify=notice, overflow=lambda: None, limit=1_000)
        if backend == "inotify"
        else PollingBackend(notify=notice, skip=lambda _: False, interval_s=0.05)
    )
    try:
        for folder in (str(tmp_path), deep):
            await asyncio.to_thread(watching.add, folder)
        (tmp_path / "new").write_text("x")
        async with asyncio.timeout(10):
            while await seen.get() != str(tmp_path / "new"):
                pass
    finally:
        await asyncio.to_thread(watching.stop)
        await asyncio.to_thread(subprocess.run, ["rm", "-rf", f"{tmp_path}/{'d' * 200}"], check=True)
