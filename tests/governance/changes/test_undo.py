from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from governance.changes.effects import Effects
from governance.changes.types import Committed
from ledger.errors import ApplyConflict, ChangeError, GitFailed
from tests.governance.changes.scene import (
    LEDGER,
    MIXED,
    OP,
    Scene,
    candidate,
    create,
    make_scene,
    modify,
    on_disk,
)
from tests.repos import commit, git, write

LONG = "".join(f"line {n}\n" for n in range(30))


async def undo(scene: Scene, sha: str) -> Committed:
    return await scene.changes.undo(OP, sha, **LEDGER)  # type: ignore[arg-type]


async def test_undo_restores_the_tree(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    (scene.repo / "pkg/c.py").chmod(0o755)
    git(scene.repo, "commit", "-qam", "exec")
    scene.base = scene.head()
    disk = on_disk(scene.repo)
    done = await scene.run(MIXED)
    undone = await undo(scene, done.commit)
    assert undone.mode == "branch" and undone.subject == "revert: fix: make a right"
    assert git(scene.repo, "rev-parse", "HEAD^{tree}") == git(scene.repo, "rev-parse", f"{scene.base}^{{tree}}")
    assert on_disk(scene.repo) == disk and scene.status() == ""
    check = scene.changes.verify(undone.commit)
    assert check.ok and check.trailers["Ouro-Undoes"] == OP and "Ouro-Op" not in check.trailers
    with pytest.raises(ChangeError, match="Nothing of"):
        await undo(scene, done.commit)
    scene.no_leftovers()


async def test_undo_after_later_changes_elsewhere_in_the_file(tmp_path: Path) -> None:
    scene = make_scene(tmp_path, files={"f.txt": LONG})
    done = await scene.run(candidate(modify("f.txt", LONG, LONG.replace("line 3\n", "line three\n"))))
    now = (scene.repo / "f.txt").read_text().replace("line 25\n", "line twenty-five\n")
    commit(scene.repo, "later", {"f.txt": now})
    await undo(scene, done.commit)
    assert (scene.repo / "f.txt").read_text() == LONG.replace("line 25\n", "line twenty-five\n")


async def test_undo_that_overlaps_is_refused(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    done = await scene.run(candidate(modify("a.py", "a = 1\n", "a = 2\n"), create("z.py", "z\n")))
    commit(scene.repo, "later", {"a.py": "a = 3\n"})
    before = (on_disk(scene.repo), scene.head())
    with pytest.raises(ApplyConflict, match="overlap"):
        await undo(scene, done.commit)
    git(scene.repo, "rm", "-q", "a.py")
    git(scene.repo, "commit", "-qm", "gone")
    with pytest.raises(ApplyConflict, match="made or removed"):
        await undo(scene, done.commit)
    git(scene.repo, "reset", "-q", "--hard", before[1])
    assert (on_disk(scene.repo), scene.head()) == before


async def test_undo_of_a_dirty_file_goes_to_a_review_branch(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    done = await scene.run(MIXED)
    write(scene.repo, {"a.py": "owner\n"})
    before = on_disk(scene.repo)
    undone = await undo(scene, done.commit)
    assert undone.mode == "review" and undone.ref == f"refs/heads/ouro/review/undo-{OP}"
    assert on_disk(scene.repo) == before and scene.head() == done.commit


async def test_only_own_commits_in_this_branch(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    done = await scene.run(MIXED)
    with pytest.raises(ChangeError, match="not a commit of"):
        await undo(scene, scene.base)
    with pytest.raises(ChangeError, match="not a commit of"):
        await scene.changes.undo("op-other", done.commit, **LEDGER)  # type: ignore[arg-type]
    with pytest.raises(GitFailed):
        await undo(scene, "f" * 40)
    git(scene.repo, "reset", "-q", "--hard", scene.base)
    with pytest.raises(ChangeError, match="not in the branch"):
        await undo(scene, done.commit)


class BreaksAtCommit(Effects):
    broken = False

    def step(self, effect: str, target: str) -> None:
        if self.broken and effect == "write_commit":
            raise OSError(28, "No space left on device")


async def test_undo_that_fails_late_leaves_everything_as_it_was(tmp_path: Path) -> None:
    scene = make_scene(tmp_path, effects=BreaksAtCommit)
    done = await scene.run(MIXED)
    before = on_disk(scene.repo)
    effects = scene.changes._kit.effects
    assert isinstance(effects, BreaksAtCommit)
    effects.broken = True
    with pytest.raises(OSError, match="No space"):
        await undo(scene, done.commit)
    assert on_disk(scene.repo) == before and scene.head() == done.commit and scene.status() == ""
    scene.no_leftovers()


class Waits(Effects):
    """Stops at the first step of a kind until the test lets it go on."""

    at = ""

    def step(self, effect: str, target: str) -> None:
        if effect == self.at:
            self.at = ""
            REACHED.set()
            assert GO_ON.wait(10)


REACHED, GO_ON = threading.Event(), threading.Event()


async def cancelled_at(scene: Scene, step: str, commit_id: str) -> asyncio.Task[Committed]:
    """An undo that was cancelled while ``step`` was under way in its thread, and has ended."""
    effects = scene.changes._kit.effects
    assert isinstance(effects, Waits)
    REACHED.clear()
    GO_ON.clear()
    effects.at = step
    task = asyncio.create_task(undo(scene, commit_id))
    assert await asyncio.to_thread(REACHED.wait, 10)
    task.cancel()
    await asyncio.sleep(0)
    GO_ON.set()
    await asyncio.wait({task})
    return task


async def test_an_undo_that_is_cancelled_while_it_writes_takes_all_of_it_back(tmp_path: Path) -> None:
    scene = make_scene(tmp_path, effects=Waits)
    done = await scene.run(MIXED)
    before = on_disk(scene.repo)
    task = await cancelled_at(scene, "exchange", done.commit)
    assert task.cancelled()
    assert on_disk(scene.repo) == before and scene.head() == done.commit and scene.status() == ""
    scene.no_leftovers()


async def test_an_undo_that_is_cancelled_at_its_commit_is_done_and_says_so(tmp_path: Path) -> None:
    scene = make_scene(tmp_path, effects=Waits)
    done = await scene.run(MIXED)
    task = await cancelled_at(scene, "write_commit", done.commit)
    assert task.result().commit == scene.head() != done.commit
    assert scene.status() == "" and scene.show("HEAD", "a.py") == "a = 1"
    scene.no_leftovers()
