from __future__ import annotations

from pathlib import Path

import pytest

from governance.changes.effects import Effects
from ledger.errors import ChangeError
from tests.governance.changes.scene import LEDGER, MIXED, OP, TEXT, Scene, make_changes, make_scene, on_disk
from tests.repos import commit, git, write


class Killed(BaseException):
    """Nothing catches it: what is on disk then is what a kill leaves."""


class DiesAfter(Effects):
    """Ends right before the effect that follows ``last``."""

    last = "move_ref"
    seen = False

    def step(self, effect: str, target: str) -> None:
        if self.seen:
            raise Killed
        self.seen = effect == self.last


class DiesBefore(Effects):
    def step(self, effect: str, target: str) -> None:
        if effect == "move_ref":
            raise Killed


async def cut(tmp_path: Path, effects: type[Effects]) -> Scene:
    scene = make_scene(tmp_path)
    _, scene.changes = make_changes(scene.places, effects=effects)
    with pytest.raises(Killed):
        await scene.run(MIXED)
    _, scene.changes = make_changes(scene.places)
    return scene


async def test_ref_moved_is_finished(tmp_path: Path) -> None:
    scene = await cut(tmp_path, DiesAfter)
    (recovered,) = scene.changes.recover()
    assert (recovered.op_id, recovered.outcome, recovered.commit) == (OP, "committed", scene.head())
    assert scene.status() == "" and scene.head() != scene.base
    assert scene.changes.recover() == ()
    scene.no_leftovers()


async def test_ref_not_moved_is_taken_back(tmp_path: Path) -> None:
    scene = await cut(tmp_path, DiesBefore)
    (scene.places.cache / "hooks/left/tree").mkdir(parents=True)
    (recovered,) = scene.changes.recover()
    assert recovered.outcome == "rolled_back" and set(recovered.restored) == set(MIXED.paths)
    assert scene.status() == "" and scene.head() == scene.base
    scene.no_leftovers()


async def test_owner_committed_on_top_before_the_boot(tmp_path: Path) -> None:
    scene = await cut(tmp_path, DiesAfter)
    write(scene.repo, {"other.txt": "later\n"})
    git(scene.repo, "commit", "-qm", "later", "other.txt")
    assert [r.outcome for r in scene.changes.recover()] == ["committed"]
    assert scene.status() == ""


async def test_owner_reset_the_branch_before_the_boot(tmp_path: Path) -> None:
    scene = await cut(tmp_path, DiesAfter)
    git(scene.repo, "reset", "-q", "--hard", scene.base)
    assert [r.outcome for r in scene.changes.recover()] == ["rolled_back"]
    assert scene.status() == "" and scene.head() == scene.base


async def test_owner_went_to_another_branch_before_the_boot(tmp_path: Path) -> None:
    scene = await cut(tmp_path, DiesAfter)
    git(scene.repo, "branch", "elsewhere", scene.base)
    git(scene.repo, "symbolic-ref", "HEAD", "refs/heads/elsewhere")
    before = git(scene.repo, "ls-files", "-s")
    assert [r.outcome for r in scene.changes.recover()] == ["committed"]
    assert git(scene.repo, "ls-files", "-s") == before
    assert scene.status() == "" and (scene.repo / "a.py").read_text() == "a = 1\n"


async def test_owner_changed_a_file_before_the_boot(tmp_path: Path) -> None:
    scene = await cut(tmp_path, DiesBefore)
    write(scene.repo, {"a.py": "owner\n"})
    (recovered,) = scene.changes.recover()
    assert recovered.outcome == "owner_kept" and recovered.kept == ("a.py",) and "a.py" in recovered.detail
    assert on_disk(scene.repo)["pkg/b.py"] == b"b = 1\n" and scene.status() == "M a.py"


async def test_rollback_after_the_ref_moved_finishes_instead(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    receipt = scene.changes.apply(OP, MIXED, scene.land(MIXED))
    prepared = await scene.changes.prepare(receipt, MIXED, TEXT)
    _, breaking = make_changes(scene.places, effects=DiesAfter)
    with pytest.raises(Killed):
        breaking.commit(receipt, prepared, TEXT, **LEDGER)  # type: ignore[arg-type]
    back = scene.changes.rollback(receipt)
    assert back.commit == scene.head() and back.restored == () and scene.status() == ""


async def test_journal_that_cannot_be_read_is_left_alone(tmp_path: Path) -> None:
    scene = await cut(tmp_path, DiesBefore)
    (folder,) = scene.places.journal.iterdir()
    record = (folder / "record.json").read_text()
    (folder / "record.json").write_text(record.replace("journal.1", "journal.9"))
    disk = on_disk(scene.repo)
    (recovered,) = scene.changes.recover()
    assert recovered.outcome == "owner_kept" and "cannot be read" in recovered.detail
    assert on_disk(scene.repo) == disk and (folder / "0.before").exists()
    (folder / "record.json").write_text(record)
    assert [r.outcome for r in scene.changes.recover()] == ["rolled_back"]


async def test_closed_change_cannot_be_committed(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    receipt = scene.changes.apply(OP, MIXED, scene.land(MIXED))
    prepared = await scene.changes.prepare(receipt, MIXED, TEXT)
    scene.changes.rollback(receipt)
    with pytest.raises(ChangeError, match="not open any more"):
        scene.changes.commit(receipt, prepared, TEXT, **LEDGER)  # type: ignore[arg-type]
    with pytest.raises(ChangeError, match="not open any more"):
        await scene.changes.prepare(receipt, MIXED, TEXT)
    assert scene.head() == scene.base


async def test_op_that_is_tried_again_after_recovery(tmp_path: Path) -> None:
    scene = await cut(tmp_path, DiesBefore)
    scene.changes.recover()
    commit(scene.repo, "meanwhile", {"other.txt": "x\n"})
    assert (await scene.run(MIXED)).mode == "branch"
