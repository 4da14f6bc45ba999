"""Who wrote what lies at a path."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.places import Places
from tests.repos import commit, git, host_env, make_places, make_repo, write
from tools.git import Git
from tools.testing.environment.ownership import Origin

NAMES = ("plain", ":", ":(attr:x)", ":!x", "-c", "new\nline", "*", "[a]", "é", "tab\there", os.fsdecode(b"\xff\xfe"))


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path / "ours", make_repo(tmp_path / "repo", {".gitignore": ".venv\n", "a/b.py": ""}))


def origin(places: Places) -> Origin:
    return Origin(Git(places, host_env()))


@pytest.mark.parametrize("name", NAMES)
def test_one_tracked_file_below_is_enough_whatever_the_name(places: Places, name: str) -> None:
    folder = places.repo / name
    (folder / "lib").mkdir(parents=True)
    (folder / "lib/own").touch()
    assert origin(places).carries(folder) is None
    (folder / "lib/zz.pth").touch()
    git(places.repo, "--literal-pathspecs", "add", "-f", "--", f"{name}/lib/zz.pth")
    why = origin(places).carries(folder)
    assert why is not None and "zz.pth" in why and "\n" not in why
    assert origin(places).carries(folder / "lib/own") is None


def test_a_tracked_link_decides_and_the_owners_own_does_not(places: Places, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    link = places.repo / ".venv"
    link.symlink_to(outside)
    assert origin(places).carries(link) is None
    git(places.repo, "add", "-f", ".venv")
    assert origin(places).carries(link) == "'.venv' is a file of the repository"
    git(places.repo, "rm", "-q", "--cached", ".venv")
    (places.repo / "hop").symlink_to(outside)
    git(places.repo, "add", "hop")
    link.unlink()
    link.symlink_to("hop")
    assert origin(places).carries(link) == "'hop' is a file of the repository"
    assert origin(places).carries_link(link / "deeper") == "'hop' is a file of the repository"


def test_the_owners_link_into_tracked_content(places: Places) -> None:
    (places.repo / ".venv").symlink_to("a")
    assert origin(places).carries(places.repo / ".venv") == "the repository carries 'a/b.py'"


def test_a_submodule_at_above_and_below_and_what_one_leaves(places: Places) -> None:
    sub = make_repo(places.repo / "sub", {"env/bin/python": ""})
    git(places.repo, "add", "sub")
    assert origin(places).carries(sub / "env") == "'sub' is a submodule of the repository"
    assert origin(places).carries(sub) == "'sub' is a submodule of the repository"
    git(places.repo, "rm", "-q", "-f", "--cached", "sub")
    assert origin(places).carries(sub / "env") == "'sub' is another repository inside this one"
    inner = make_repo(places.repo / "outer/inner")
    git(places.repo, "add", "outer/inner")
    assert origin(places).carries(inner.parent) == "the repository carries 'outer/inner'"


def test_a_name_in_another_case_or_spelling_is_the_same(places: Places) -> None:
    write(places.repo, {".VENV/lib/x.pth": "", "ENV\u00c9/x": ""})
    git(places.repo, "add", "-f", ".VENV", "ENV\u00c9")
    assert origin(places).carries(places.repo / ".venv") == "the repository carries '.VENV/lib/x.pth'"
    assert origin(places).carries(places.repo / "enve\u0301") is not None


def test_another_work_tree_of_the_repository_is_the_repository(places: Places, tmp_path: Path) -> None:
    git(places.repo, "worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    (tmp_path / "other/env").mkdir()
    (places.repo / ".venv").symlink_to(tmp_path / "other/env")
    assert origin(places).carries(places.repo / ".venv") is None
    assert origin(places).holds(tmp_path / "other/env/bin/python")
    write(tmp_path / "other", {"env/zz.pth": ""})
    git(tmp_path / "other", "add", "env/zz.pth")
    assert origin(places).carries(places.repo / ".venv") == "the repository carries 'env/zz.pth'"
    added = Places(**{
        **{name: getattr(places, name) for name in Places.__dataclass_fields__},
        "repo": tmp_path / "other", "git_dir": places.common_dir / "worktrees/other",
    })  # fmt: skip
    write(places.repo, {"mine/zz.pth": ""})
    commit(places.repo)
    assert origin(added).carries(places.repo / "mine") == "the repository carries 'mine/zz.pth'"


def test_holds_whatever_is_in_or_reached_through_a_work_tree(places: Places, tmp_path: Path) -> None:
    (places.repo / "python").symlink_to("/usr/bin/python3")
    (tmp_path / "link").symlink_to(places.repo / "python")
    (tmp_path / "circle").symlink_to("circle")
    found = origin(places)
    for path in (places.repo / "a", places.repo / "gone/x", tmp_path / "link", tmp_path / "circle", places.repo):
        assert found.holds(path), path
    assert not found.holds(Path("/usr/bin/python3")) and not found.holds(tmp_path / "repository/x")


def test_a_name_in_a_sentence_is_neither_endless_nor_in_control(places: Places) -> None:
    write(places.repo, {f"e/{'x' * 200}/\x1b[31m{'y' * 200}": ""})
    git(places.repo, "add", "e")
    why = origin(places).carries(places.repo / "e")
    assert why is not None and "\x1b" not in why and len(why) < 300
