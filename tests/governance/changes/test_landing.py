from __future__ import annotations

import os
from pathlib import Path

import pytest

from governance.changes.landing import UNDER_WAY, LandingFacts, decide
from governance.changes.settings import ChangeSettings
from ledger.errors import RepositoryBusy
from tests.governance.changes.scene import FILES, MIXED, OP, candidate, create, make_scene, modify, rename
from tests.repos import commit, git, write

SAFE = LandingFacts(mode="branch", op_id=OP, base="b", tree="b", head="b", head_ref="refs/heads/main")
REVIEW = f"refs/heads/ouro/review/{OP}"
ONE = candidate(modify("a.py", FILES["a.py"], "a = 2\n"))


@pytest.mark.parametrize(
    ("facts", "mode", "word"),
    [
        ({}, "branch", "clean"),
        ({"head": "c"}, "branch", "moved on without"),
        ({"mode": "review"}, "review", "setting"),
        ({"mode": "dry-run", "head_ref": None}, "dry-run", "diff"),
        ({"tree": "s"}, "review", "snapshot"),
        ({"head_ref": None}, "review", "detached"),
        ({"head": None}, "review", "does not contain"),
        ({"head": "c", "forward": False}, "review", "does not contain"),
        ({"head": "c", "touched": ("a",)}, "review", "changed a"),
        ({"in_the_way": ("a", "b", "c", "d")}, "review", "a, b, c and 1 more"),
        ({"converted": ("a",)}, "review", "takes a for unchanged"),
    ],
)
def test_table(facts: dict[str, object], mode: str, word: str) -> None:
    landing = decide(SAFE.model_copy(update=facts))
    assert landing.mode == mode
    assert word in landing.reason
    assert landing.ref == {"branch": "refs/heads/main", "review": REVIEW, "dry-run": ""}[mode]
    assert landing.base == facts.get("tree", "b")


def test_clean_repository_lands_on_its_branch(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    assert scene.land(MIXED).mode == "branch"
    assert scene.land(MIXED).ref == "refs/heads/main"


def test_other_dirty_files_do_not_matter(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    write(scene.repo, {"other.txt": "dirty\n", "untracked": "u\n"})
    assert scene.land(ONE).mode == "branch"


@pytest.mark.parametrize("how", ["dirty", "staged", "added", "removed", "link", "in the way", "ignored"])
def test_owners_work_in_the_files_means_review(tmp_path: Path, how: str) -> None:
    scene = make_scene(tmp_path)
    what = ONE
    path = scene.repo / "a.py"
    if how in ("dirty", "staged"):
        write(scene.repo, {"a.py": "a = 3\n"})
    if how == "staged":
        git(scene.repo, "add", "a.py")
        path.write_text(FILES["a.py"])  # the disk says nothing, the index does
    if how == "removed":
        path.unlink()
    if how == "link":
        path.unlink()
        path.symlink_to("other.txt")
    if how in ("added", "in the way", "ignored"):
        write(scene.repo, {"z.py": "owner\n"})
        what = candidate(create("z.py", "ours\n"))
    if how == "added":
        git(scene.repo, "add", "-N", "z.py")
    if how == "ignored":
        write(scene.repo, {".git/info/exclude": "z.py\n"})
    landing = scene.land(what)
    assert landing.mode == "review"
    assert what.paths[0] in landing.reason


@pytest.mark.parametrize("how", ["autocrlf", "eol=crlf", "assume-unchanged", "skip-worktree"])
async def test_bytes_that_git_calls_unchanged_but_a_checkout_would_not_have_go_to_review(
    tmp_path: Path, how: str
) -> None:
    """Planning again would read the same bytes again; the checkout stays, and the work lies on a review branch."""
    scene = make_scene(tmp_path)
    read, here = FILES["a.py"], FILES["a.py"]
    if how == "autocrlf":
        git(scene.repo, "config", "core.autocrlf", "true")
        read = "a = 1\r\n"  # so does a checkout write it
    elif how == "eol=crlf":
        commit(scene.repo, "Attributes", {".gitattributes": "*.py text eol=crlf\n"})
        scene.base, read = scene.head(), "a = 1\r\n"
    else:
        git(scene.repo, "update-index", f"--{how}", "a.py")
        here = "a = 7  # the owner's own\n"
        write(scene.repo, {"a.py": here})
    what = candidate(modify("a.py", read, read.replace("1", "2")))
    done = await scene.run(what)
    assert done.mode == "review"
    assert "takes a.py for unchanged" in done.note
    assert scene.show(done.commit, "a.py") == "a = 2"
    assert (scene.repo / "a.py").read_bytes() == here.encode()
    scene.no_leftovers()


def test_an_untracked_folder_over_the_path_is_no_obstacle_but_a_linked_one_is(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    write(scene.repo, {"d/x": ""})
    os.symlink("/tmp", scene.repo / "l")
    assert scene.land(candidate(create("d/y", "y"))).mode == "branch"
    assert scene.land(candidate(create("l/y", "y"))).mode == "review"


def test_rename_looks_at_both_names(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    moved = candidate(rename("a.py", "z.py", FILES["a.py"], "a = 2\n"))
    assert scene.land(moved).mode == "branch"
    write(scene.repo, {"z.py": "owner\n"})
    assert "z.py" in scene.land(moved).reason


def test_head_that_moved_forward(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    commit(scene.repo, "elsewhere", {"other.txt": "x\n"})
    assert scene.land(ONE).mode == "branch"
    commit(scene.repo, "here", {"a.py": "a = 9\n"})
    assert "changed a.py" in scene.land(ONE).reason


def test_head_elsewhere_or_detached(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    newer = commit(scene.repo, "newer", {"other.txt": "x\n"})
    git(scene.repo, "reset", "-q", "--hard", scene.base)
    assert "does not contain" in scene.land(ONE, base=newer).reason
    git(scene.repo, "checkout", "-q", "--detach")
    assert "detached" in scene.land(ONE).reason


def test_snapshot_and_settings(tmp_path: Path) -> None:
    scene = make_scene(tmp_path, settings=ChangeSettings(mode="review"))
    assert scene.land(ONE).mode == "review"
    newer = commit(scene.repo, "snap", {"other.txt": "x\n"})
    landing = scene.land(ONE, snapshot=newer)
    assert (landing.mode, landing.base) == ("review", newer)


def test_a_real_merge_conflict_is_a_busy_repository(tmp_path: Path) -> None:
    scene = make_scene(tmp_path)
    git(scene.repo, "checkout", "-q", "-b", "side")
    commit(scene.repo, "side", {"other.txt": "side\n"})
    git(scene.repo, "checkout", "-q", "main")
    commit(scene.repo, "main", {"other.txt": "main\n"})
    with pytest.raises(AssertionError):
        git(scene.repo, "merge", "side")
    with pytest.raises(RepositoryBusy, match="merge"):
        scene.land(ONE)


@pytest.mark.parametrize("name", sorted(UNDER_WAY))
def test_every_foreign_state_is_busy(tmp_path: Path, name: str) -> None:
    scene = make_scene(tmp_path)
    (scene.places.git_dir / name).mkdir()
    with pytest.raises(RepositoryBusy):
        scene.land(ONE)
