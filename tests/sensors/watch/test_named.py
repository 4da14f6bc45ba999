"""Places beside the source that the owner names, and branches of other repositories: with inotify, and polled."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from sensors.bus import Topic
from sensors.watch.named import Named, Refs
from sensors.watch.watcher import WatchSettings
from tests.repos import commit, git, make_repo, write
from tests.sensors.watch.test_watcher import QUICK, Watched, watching

POLLED = QUICK.model_copy(update={"backend": "polling"})
WAYS = [QUICK, POLLED]


def place(base: Path, *parts: str) -> str:
    return str(Path(os.path.realpath(base)).joinpath(*parts))


async def told(w: Watched, path: str, *acts: Callable[[], None]) -> set[str]:
    """What is told until ``path`` is, once the acts were done: one writing may be told twice, no other file at all."""
    async with asyncio.timeout(20), w.bus.subscribe(Topic.NAMED_CHANGED, Topic.FILES_CHANGED) as events:
        for act in acts:
            await asyncio.to_thread(act)
        found: set[str] = set()
        while path not in found:
            found.update((await anext(events)).event.paths)
        return found


def writing(base: Path, name: str) -> Callable[[], None]:
    return lambda: write(base, {name: "{}"})


@pytest.mark.parametrize("settings", WAYS, ids=["inotify", "polling"])
async def test_a_named_file_is_seen_where_git_ignores_it_and_outside(tmp_path: Path, settings: WatchSettings) -> None:
    inside, outside = place(tmp_path, "repo", "build", "deep", "b.json"), place(tmp_path, "far", "b.json")
    (tmp_path / "far").mkdir()
    async with watching(tmp_path, settings=settings, named=Named(files=frozenset({inside, outside}))) as w:
        others = [writing(tmp_path, f"{folder}/c.json") for folder in ("far", "far/deep", "repo/build/deep")]
        assert await told(w, inside, *others, writing(w.repo, "build/deep/b.json")) == {inside}
        assert await told(w, outside, *others, writing(tmp_path, "far/b.json")) <= {inside, outside}
        if settings is QUICK:  # what is written again as it was is a report all the same; a poll sees times only
            await w.sees_nothing(lambda: None)
            assert await told(w, outside, writing(tmp_path, "far/b.json")) == {outside}


async def test_the_watch_follows_a_folder_that_goes_and_comes_back(tmp_path: Path) -> None:
    frames = place(tmp_path, "far", "off", "frames")
    async with watching(tmp_path, named=Named(folders=((frames, (".png",)),))) as w:
        for _ in range(2):
            acts = (writing(tmp_path, f"far/off/frames/{name}") for name in ("a.txt", "a.PNG"))
            assert await told(w, f"{frames}/a.PNG", *acts) == {f"{frames}/a.PNG"}
            await asyncio.to_thread(shutil.rmtree, tmp_path / "far")


async def test_what_is_named_in_the_open_is_no_source(tmp_path: Path) -> None:
    result = place(tmp_path, "repo", "speed.json")
    async with watching(tmp_path, named=Named(files=frozenset({result}))) as w:
        assert await told(w, result, writing(w.repo, "speed.json")) == {result}
        assert await told(w, "src/new.py", writing(w.repo, "src/new.py")) <= {result, "src/new.py"}


@pytest.mark.parametrize("settings", WAYS, ids=["inotify", "polling"])
async def test_branches_of_another_repository(tmp_path: Path, settings: WatchSettings) -> None:
    other = make_repo(tmp_path / "other")
    refs = Refs(git_dir=place(other, ".git"), common_dir=place(other, ".git"))
    async with watching(tmp_path, settings=settings) as w:
        async with asyncio.timeout(5), w.bus.subscribe(Topic.REFS_ELSEWHERE) as events:
            w.watcher.follow(refs)  # told once it is watched: it may have moved since it was read
            assert (await anext(events)).event.paths == (f"{refs.git_dir}/HEAD",)
        event = await w.sees(Topic.REFS_ELSEWHERE, lambda: commit(other, files={"a.txt": "a\n"}))
        assert f"{refs.common_dir}/refs/heads/main" in event.paths
        await w.sees_nothing(lambda: write(other, {"a.txt": "b\n"}))
        if settings is QUICK:
            git(other, "checkout", "-q", "-b", "deep/er")
            await w.sees(Topic.REFS_ELSEWHERE, lambda: commit(other, files={"a.txt": "c\n"}))
        await w.sees(Topic.REFS_MOVED, lambda: commit(w.repo, files={"x.txt": "a\n"}))


def test_what_a_name_leads_through() -> None:
    named = Named(files=frozenset({"/a/b/c.json"}), folders=(("/d", (".png",)),))
    assert named.places == ("/a/b", "/d")
    assert [named.leads(f) for f in ("/a", "/a/b", "/a/b/c.json", "/d", "/d/e", "/")] == [
        True,
        True,
        False,
        True,
        False,
        False,
    ]
    assert [named.tells(f) for f in ("/a/b/c.json", "/d/x.PNG", "/d/x.jpg", "/d/e/x.png")] == [True, True, False, False]
    assert replace(named) == named
