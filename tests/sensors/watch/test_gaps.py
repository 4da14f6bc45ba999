"""What happens while the watch is being set up, or has no room: nothing that matters goes by unseen."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import pytest

from ledger.clock import SystemClock
from ledger.errors import RepositoryError
from sensors.bus import Bus, Topic
from sensors.watch.backends import InotifyBackend
from sensors.watch.watcher import Watcher, WatchSettings
from tests.repos import commit, git, host_env, make_places, make_repo, write
from tests.sensors.gitdoors import GitIgnores
from tests.sensors.watch.test_watcher import FILES, QUICK, watching
from tools.git import Git

CHILD = Path(__file__).with_name("watching_child.py")
ROOT = Path(__file__).parents[3]


class Committing(GitIgnores):
    """While the watcher asks, before it watches anything, the owner commits."""

    async def ignored_folders(self) -> Collection[str]:
        if not self.asked:
            await asyncio.to_thread(commit, self._git.places.repo, "meanwhile", {"src/calc.py": "x = 2\n"})
        return await super().ignored_folders()


@pytest.mark.parametrize("backend", ["inotify", "polling"])
async def test_a_commit_while_the_watch_is_being_set_up_is_told(tmp_path: Path, backend: str) -> None:
    repo = make_repo(tmp_path / "repo", FILES)
    places = make_places(tmp_path / "ours", repo)
    settings = QUICK.model_copy(update={"backend": backend})
    watcher = Watcher(places=places, ignore=Committing(Git(places, host_env())), settings=settings)
    bus = Bus(clock=SystemClock())
    async with bus.subscribe(Topic.REFS_MOVED) as events:
        task = asyncio.create_task(watcher.run(bus))
        try:
            async with asyncio.timeout(10):
                event = (await anext(events)).event
        finally:
            task.cancel()
            await asyncio.wait({task})
    assert event.everything


class Silent(GitIgnores):
    """git does not answer while the watch is being set up."""

    async def ignored_folders(self) -> Collection[str]:
        raise RepositoryError("git does not answer.")


@pytest.mark.parametrize("backend", ["inotify", "polling"])
async def test_a_git_that_fails_at_the_start_does_not_end_the_watch(tmp_path: Path, backend: str) -> None:
    repo = make_repo(tmp_path / "repo", FILES)
    git_of = Git(make_places(tmp_path / "ours", repo), host_env())
    settings = QUICK.model_copy(update={"backend": backend})
    watcher, bus = Watcher(places=git_of.places, ignore=Silent(git_of), settings=settings), Bus(clock=SystemClock())
    async with bus.subscribe(Topic.FILES_CHANGED) as events:
        task = asyncio.create_task(watcher.run(bus))
        try:
            async with asyncio.timeout(10):
                await watcher.ready.wait()
                write(repo, {"src/calc.py": "x = 3\n"})
                assert "src/calc.py" in (await anext(events)).event.paths
        finally:
            task.cancel()
            await asyncio.wait({task})


async def test_a_start_without_a_move_tells_nothing_of_refs(tmp_path: Path) -> None:
    async with watching(tmp_path) as w:
        await w.sees_nothing(lambda: None)
        assert w.bus.published == 0


class Late(InotifyBackend):
    """In the moment in which a folder is about to be watched, a file comes into it."""

    def add(self, folder: str) -> None:
        if folder.endswith("/pkg"):
            (Path(folder) / "late.py").write_text("1\n")
        super().add(folder)


async def test_a_file_that_comes_just_before_its_folder_is_watched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sensors.watch.watcher.InotifyBackend", Late)
    async with watching(tmp_path) as w:
        event = await w.sees(Topic.FILES_CHANGED, (w.repo / "pkg").mkdir)
        assert event.paths == ("pkg/late.py",)


async def test_what_the_kernel_could_not_queue_is_told_as_everything(tmp_path: Path) -> None:
    """And folders that came unseen are watched from then on, those that went are not."""
    async with watching(tmp_path) as w:
        backend = w.watcher._backend
        assert isinstance(backend, InotifyBackend)
        write(w.repo, {"unseen/deep/a.py": "1\n"})
        await w.sees(Topic.FILES_CHANGED)
        backend.drop(f"{w.repo}/unseen")  # as if its coming had not been told
        async with asyncio.timeout(5), w.bus.subscribe(Topic.REFS_MOVED, Topic.FILES_CHANGED) as events:
            backend.on_queue_overflow()
            told = [(await anext(events)).event for _ in range(2)]
        assert [(event.topic, event.everything) for event in told] == [
            (Topic.REFS_MOVED, True), (Topic.FILES_CHANGED, True),
        ]  # fmt: skip
        assert w.watcher.counts.overflows == 1
        event = await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {"unseen/deep/a.py": "2\n"}))
        assert event.paths == ("unseen/deep/a.py",)


async def test_a_switch_between_branches_with_thousands_of_files(tmp_path: Path) -> None:
    """Each file is told of, HEAD too, and the watch stands where the folders of this branch are."""
    old = {f"old/{n % 40}/deep/{n}.py": f"x = {n}\n" for n in range(1_500)}
    new = {f"new/{n % 40}/deep/{n}.py": f"x = {n}\n" for n in range(1_500)}
    async with watching(tmp_path, files=FILES, settings=WatchSettings(debounce_s=0.1, hold_s=1.0)) as w:

        def prepare() -> None:
            commit(w.repo, "old", old)
            git(w.repo, "checkout", "-q", "-b", "other")
            git(w.repo, "rm", "-q", "-r", "old")
            commit(w.repo, "new", new)

        async def told(act: object, wanted: set[str]) -> set[Topic]:
            assert callable(act)
            seen: set[str] = set()
            topics: set[Topic] = set()
            async with asyncio.timeout(60), w.bus.subscribe(Topic.FILES_CHANGED, Topic.REFS_MOVED) as events:
                await asyncio.to_thread(act)
                while not (wanted <= seen and Topic.REFS_MOVED in topics):
                    event = (await anext(events)).event
                    topics.add(event.topic)
                    seen |= wanted if event.topic is Topic.FILES_CHANGED and event.everything else set(event.paths)
            return topics

        await told(prepare, set(new))
        await told(lambda: git(w.repo, "checkout", "-q", "main"), {*old, *new})
        assert {f"old/{n}/deep" for n in range(40)} <= w.folders()
        assert not [folder for folder in w.folders() if folder.startswith("new")]
        event = await w.sees(Topic.FILES_CHANGED, lambda: write(w.repo, {"old/7/deep/7.py": "x = 0\n"}))
        assert event.paths == ("old/7/deep/7.py",)
        await told(lambda: git(w.repo, "checkout", "-q", "-f", "other"), {*old, *new})
        assert not [folder for folder in w.folders() if folder.startswith("old")]


LIMITS = {"watches": "max_inotify_watches", "instances": "max_inotify_instances"}


@pytest.mark.parametrize(("what", "left"), [("watches", 6), ("instances", 0)])
def test_when_the_kernel_gives_no_more_the_folders_are_polled(tmp_path: Path, what: str, left: int) -> None:
    limit = f"/proc/sys/user/{LIMITS[what]}"
    apart = ["unshare", "--user", "--map-root-user"]
    try:
        subprocess.run([*apart, "test", "-w", limit], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no user namespaces here")
    make_repo(tmp_path / "repo", {**FILES, **{f"pkg/{n}/a.py": "1\n" for n in range(10)}})
    argv = [*apart, "sh", "-c", f'echo {left} > {limit} && exec "$@"', "sh", sys.executable, str(CHILD), str(tmp_path)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["polling"] and told["reason"], told
    assert told["paths"] == ["pkg/3/a.py"]
    assert done.stderr.count("polled instead") == 1
