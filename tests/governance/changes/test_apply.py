from __future__ import annotations

import errno
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from governance.changes import folders
from governance.changes.effects import RENAME_EXCHANGE, Effects, rename2
from governance.changes.folders import components
from governance.changes.plan import plan
from governance.changes.types import Landing
from ledger.errors import ApplyConflict, ChangeError, StaleBase
from tests.governance.changes.scene import (
    FILES,
    MIXED,
    OP,
    Scene,
    candidate,
    create,
    delete,
    make_scene,
    modify,
    on_disk,
    rename,
)
from tests.repos import git, write
from tools.git import Git

ODD = {"with space.py": "s\n", "new\nline.py": "n\n", "ünï/çödé.py": "u\n", "-dash.py": "d\n", "*.py": "g\n"}


def no_rename2(folder: int, source: str, target: str, flags: int) -> None:
    raise OSError(errno.EINVAL, "this file system has no renameat2")


class Plain(Effects):
    """On a file system without renameat2."""

    def __init__(self, git: Git) -> None:
        super().__init__(git, rename2=no_rename2)


def test_all_kinds_then_back(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    before = on_disk(scene.repo)
    receipt = scene.changes.apply(OP, MIXED, scene.land(MIXED))
    after = on_disk(scene.repo)
    assert after["a.py"] == b"a = 2\n" and after["new/deep/d.py"] == b"d = 1\n" and "pkg/c.py" not in after
    assert len(after) == len(before)  # no name of ours beside them
    assert receipt.after["pkg/c.py"] is None and receipt.before["new/deep/d.py"] is None
    back = scene.changes.rollback(receipt)
    assert on_disk(scene.repo) == before
    assert set(back.restored) == {"a.py", "pkg/b.py", "new/deep/d.py", "pkg/c.py"} and back.kept == ()
    assert not (scene.repo / "new").exists()
    assert scene.changes.rollback(receipt).restored == ()
    assert scene.status() == ""
    scene.no_leftovers()


def test_a_file_that_has_become_huge_is_not_taken_into_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make_scene(tmp_path)
    receipt = scene.changes.apply(OP, MIXED, scene.land(MIXED))
    data = b"owner " * 10_000
    write(scene.repo, {"a.py": data.decode()})
    whole = folders.read_state_at(scene.repo, "a.py")
    assert whole.data == data, "the trap itself works"
    monkeypatch.setattr(folders, "LARGEST", len(data) - 1)
    assert folders.read_state_at(scene.repo, "a.py") == replace(whole, data=b"")
    assert "a.py" in scene.changes.rollback(receipt).kept
    assert on_disk(scene.repo)["a.py"] == data
    git(scene.repo, "reset", "-q", "--hard")
    write(scene.repo, {"a.py": data.decode()})
    with pytest.raises(StaleBase):
        scene.changes.apply(OP, MIXED, Landing(mode="branch", ref="refs/heads/main", reason="", base=scene.base))
    assert on_disk(scene.repo)["a.py"] == data


class SavedAtThatMoment(Plain):
    """The owner's editor renames a new file over one that is being deleted, between the link and the unlink."""

    def step(self, effect: str, target: str) -> None:
        file = self.git.places.repo / "pkg/c.py"
        if (effect, target) == ("unlink", "c.py"):
            file.with_name("saved~").write_bytes(b"owner\n")
            os.replace(file.with_name("saved~"), file)


def test_a_save_over_a_file_that_is_being_deleted_is_kept_without_renameat2(tmp_path: Path) -> None:
    scene = make_scene(tmp_path, effects=SavedAtThatMoment)
    before = on_disk(scene.repo)
    with pytest.raises(StaleBase):
        scene.changes.apply(OP, MIXED, scene.land(MIXED))
    assert on_disk(scene.repo) == before | {"pkg/c.py": b"owner\n"}
    scene.no_leftovers()


@pytest.mark.parametrize("effects", [Effects, Plain])
def test_rename_and_odd_names(tmp_path: Path, effects: type[Effects]) -> None:
    scene = make_scene(tmp_path, files=ODD, effects=effects)
    before = on_disk(scene.repo)
    what = candidate(
        *(modify(p, t, t + "x") for p, t in ODD.items() if p != "*.py"), rename("*.py", "a dir/[x].py", "g\n", "G\n")
    )
    receipt = scene.changes.apply(OP, what, scene.land(what))
    after = on_disk(scene.repo)
    assert after["new\nline.py"] == b"n\nx" and after["a dir/[x].py"] == b"G\n" and "*.py" not in after
    scene.changes.rollback(receipt)
    assert on_disk(scene.repo) == before
    scene.no_leftovers()


def test_bytes_and_modes_are_kept_as_they_are(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    raw = b"\xff\xfe\r\nx\r\n\x00"
    (scene.repo / "raw.bin").write_bytes(raw)
    tool = scene.repo / "tool.sh"
    tool.write_bytes(b"#!/bin/sh\r\n")
    tool.chmod(0o754)
    git(scene.repo, "add", "-A")
    git(scene.repo, "commit", "-q", "-m", "more")
    what = candidate(
        modify("raw.bin", raw, raw + b"\r"),
        modify("tool.sh", b"#!/bin/sh\r\n", b"#!/bin/bash\r\n"),
        create("run", b"x", mode=0o755),
        rename("tool.sh", "moved.sh", b"#!/bin/sh\r\n", b"#!/bin/sh\n"),
    )
    what = what.model_copy(update={"edits": (what.edits[0], what.edits[2], what.edits[3])})
    scene.base = scene.head()
    receipt = scene.changes.apply(OP, what, scene.land(what))
    assert (scene.repo / "raw.bin").read_bytes() == raw + b"\r"
    assert stat.S_IMODE((scene.repo / "run").stat().st_mode) == 0o755
    assert stat.S_IMODE((scene.repo / "moved.sh").stat().st_mode) == 0o754
    scene.changes.rollback(receipt)
    assert stat.S_IMODE(tool.stat().st_mode) == 0o754 and tool.read_bytes() == b"#!/bin/sh\r\n"


def test_modified_file_keeps_its_mode(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    (scene.repo / "a.py").chmod(0o755)
    git(scene.repo, "commit", "-qam", "exec")
    scene.base = scene.head()
    what = candidate(modify("a.py", FILES["a.py"], "a = 2\n"))
    scene.changes.apply(OP, what, scene.land(what))
    assert stat.S_IMODE((scene.repo / "a.py").stat().st_mode) == 0o755


def refused(scene: Scene, what: object, error: type[ChangeError]) -> ChangeError:
    before = on_disk(scene.repo)
    landing = make_landing(scene)
    with pytest.raises(error) as caught:
        scene.changes.apply(OP, what, landing)  # type: ignore[arg-type]  # candidates of the cases below
    assert on_disk(scene.repo) == before
    scene.no_leftovers()
    return caught.value


def make_landing(scene: Scene) -> Landing:
    return scene.land(candidate(modify("notes.txt", "n\n", "m\n")))


def test_stale_or_in_the_way_leaves_everything_alone(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    write(scene.repo, {"pkg/b.py": "owner\n"})
    error = refused(scene, MIXED, StaleBase)
    assert isinstance(error, StaleBase) and error.paths == ("pkg/b.py",)
    write(scene.repo, {"pkg/b.py": FILES["pkg/b.py"], "new/deep/d.py": "owner\n"})
    refused(scene, MIXED, ApplyConflict)
    (scene.repo / "a.py").unlink()
    refused(scene, candidate(modify("a.py", FILES["a.py"], "x")), StaleBase)


def test_never_through_a_link(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f.py").write_text("f\n")
    (scene.repo / "link").symlink_to(outside)
    (scene.repo / "file_link.py").symlink_to(outside / "f.py")
    for edit in (
        modify("link/f.py", "f\n", "evil\n"),
        create("link/new.py", "evil\n"),
        delete("link/f.py", "f\n"),
        modify("file_link.py", "f\n", "evil\n"),
        create("link/deep/new.py", "evil\n"),
        modify("pkg", "x", "y"),
        create("a.py/x", "y"),
    ):
        refused(scene, candidate(edit), ApplyConflict)
    assert (outside / "f.py").read_text() == "f\n" and len(list(outside.iterdir())) == 1


@pytest.mark.parametrize(
    "path", ["../x", "/etc/x", "a/../../x", "", "a//b", ".git/config", "x/.GIT/hooks/y", "a/./b", "a\0b"]
)
def test_paths_outside_are_refused(path: str) -> None:
    with pytest.raises(ApplyConflict):
        components(path)


def test_contradictory_candidates() -> None:
    with pytest.raises(ChangeError, match="twice"):
        plan(candidate(modify("a", "1", "2"), delete("a", "1")))
    bad = modify("a", "1", "2").model_copy(update={"after": None})
    with pytest.raises(ChangeError, match="no new content"):
        plan(candidate(bad))
    with pytest.raises(ChangeError, match="before"):
        plan(candidate(modify("a", "1", "2").model_copy(update={"before": None})))
    assert plan(candidate(modify("a", "same", "same"))) == ()


class SaveInBetween(Effects):
    """The owner saves at the very moment of the exchange: after the file was read, before the names are swapped."""

    def step(self, effect: str, target: str) -> None:
        if effect in ("exchange", "rename_new") and target == "b.py":
            (self.git.places.repo / "pkg/b.py").write_text("owner, just now\n")


class SaveAgain(SaveInBetween):
    """He saves once more on top of what we wrote, before it can be taken back."""

    count = 0

    def step(self, effect: str, target: str) -> None:
        if effect == "exchange" and target == "b.py" and self.count < 2:
            self.count += 1
            (self.git.places.repo / "pkg/b.py").write_text(f"owner {self.count}\n")


class DeleteRace(Effects):
    def step(self, effect: str, target: str) -> None:
        path = self.git.places.repo / "pkg/c.py"
        if effect == "rename_new" and path.exists():
            path.write_text("owner, just now\n")


class CreateRace(Effects):
    def step(self, effect: str, target: str) -> None:
        if effect == "rename_new" and target == "d.py":
            (self.git.places.repo / "new/deep/d.py").write_text("owner\n")


class Vanish(Effects):
    def step(self, effect: str, target: str) -> None:
        if effect == "exchange" and target == "b.py":
            (self.git.places.repo / "pkg/b.py").unlink(missing_ok=True)


class PlainSaveInBetween(SaveInBetween, Plain):
    """The same on a file system without renameat2."""


@pytest.mark.parametrize(
    ("effects", "path", "content"),
    [
        (SaveInBetween, "pkg/b.py", "owner, just now\n"),
        (PlainSaveInBetween, "pkg/b.py", "owner, just now\n"),
        (SaveAgain, "pkg/b.py", "owner 2\n"),
        (DeleteRace, "pkg/c.py", "owner, just now\n"),
        (CreateRace, "new/deep/d.py", "owner\n"),
        (Vanish, "pkg/b.py", None),
    ],
)
def test_a_save_at_the_moment_of_writing_wins(
    tmp_path: Path, effects: type[Effects], path: str, content: str | None
) -> None:
    scene = make_scene(tmp_path, effects=effects)
    expected = on_disk(scene.repo)
    with pytest.raises(StaleBase, match=path):
        scene.changes.apply(OP, MIXED, scene.land(MIXED))
    expected.pop(path, None)
    if content is not None:
        expected[path] = content.encode()
    assert on_disk(scene.repo) == expected
    scene.no_leftovers()


class FailAt(Effects):
    """The disk is full at effect ``at``, once."""

    at = 0
    count = 0

    def step(self, effect: str, target: str) -> None:
        self.count += 1
        if self.count == self.at:
            raise OSError(errno.ENOSPC, "No space left on device", target)


def test_an_effect_that_fails_takes_everything_back(tmp_path: Path) -> None:
    scene = make_scene(tmp_path, effects=FailAt)
    effects = scene.changes._kit.effects
    assert isinstance(effects, FailAt)
    before = on_disk(scene.repo)
    for at in range(1, 500):
        effects.at, effects.count = at, 0
        try:
            receipt = scene.changes.apply(OP, MIXED, scene.land(MIXED))
        except ChangeError:
            assert on_disk(scene.repo) == before, at
            scene.no_leftovers()
            continue
        effects.at = 0
        scene.changes.rollback(receipt)
        break
    assert at > 30
    assert on_disk(scene.repo) == before


def test_rollback_keeps_what_the_owner_changed_meanwhile(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    receipt = scene.changes.apply(OP, MIXED, scene.land(MIXED))
    write(scene.repo, {"pkg/b.py": "owner\n", "pkg/c.py": "again\n", "new/deep/d.py": "his\n"})
    back = scene.changes.rollback(receipt)
    assert set(back.kept) == {"pkg/b.py", "pkg/c.py", "new/deep/d.py"} and back.restored == ("a.py",)
    disk = on_disk(scene.repo)
    assert (disk["a.py"], disk["pkg/b.py"], disk["pkg/c.py"]) == (b"a = 1\n", b"owner\n", b"again\n")
    assert disk["new/deep/d.py"] == b"his\n"
    scene.no_leftovers()


def test_rollback_leaves_alone_what_the_owner_committed(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    receipt = scene.changes.apply(OP, MIXED, scene.land(MIXED))
    git(scene.repo, "add", "-A")
    git(scene.repo, "commit", "-q", "-m", "the owner takes it all")
    back = scene.changes.rollback(receipt)
    assert set(back.kept) == {"a.py", "pkg/b.py", "pkg/c.py", "new/deep/d.py"}
    assert scene.status() == ""
    scene.no_leftovers()


def test_rollback_where_folders_are_gone_or_became_links(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    receipt = scene.changes.apply(OP, MIXED, scene.land(MIXED))
    os.rename(scene.repo / "pkg", tmp_path / "pkg")
    (scene.repo / "pkg").symlink_to(tmp_path / "pkg")
    (scene.repo / "new/deep/d.py").unlink()
    (scene.repo / "new/deep").rmdir()
    back = scene.changes.rollback(receipt)
    assert set(back.kept) == {"pkg/b.py", "pkg/c.py"}
    assert (tmp_path / "pkg/b.py").read_text() == "b = 2\n"  # never through the link
    assert not (scene.repo / "new").exists()


def test_deleted_file_comes_back_with_its_folder(tmp_path: Path) -> None:
    scene = make_scene(tmp_path, files={"only/one.py": "1\n", "x": "x\n"})
    what = candidate(delete("only/one.py", "1\n"))
    receipt = scene.changes.apply(OP, what, scene.land(what))
    (scene.repo / "only").rmdir()
    scene.changes.rollback(receipt)
    assert (scene.repo / "only/one.py").read_text() == "1\n"


def test_review_and_dry_run_touch_nothing(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    write(scene.repo, {"a.py": "owner\n"})
    before = on_disk(scene.repo)
    landing = scene.land(MIXED)
    receipt = scene.changes.apply(OP, MIXED, landing)
    assert landing.mode == "review" and receipt.journal and on_disk(scene.repo) == before
    scene.changes.rollback(receipt)
    dry = scene.changes.apply(OP, MIXED, landing.model_copy(update={"mode": "dry-run", "ref": ""}))
    assert dry.journal == "" and dry.after["a.py"] is not None
    assert scene.changes.rollback(dry).restored == ()
    scene.no_leftovers()


def test_exchange_is_atomic_here(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        rename2(fd, "a", "b", RENAME_EXCHANGE)
        with pytest.raises(FileNotFoundError):
            rename2(fd, "a", "missing", RENAME_EXCHANGE)
    finally:
        os.close(fd)
    assert ((tmp_path / "a").read_text(), (tmp_path / "b").read_text()) == ("b", "a")
