"""Laying links and listing folders in a tree that others have written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.errors import PolicyRefused
from tests.tools.sandbox.boxes import deep
from tools import contained


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "pkg/deep").mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "in").symlink_to("pkg")
    return root


def test_a_link_is_laid_where_its_folder_is_and_nothing_else_stands(tree: Path, tmp_path: Path) -> None:
    contained.lay_link(tree, "pkg/deep/v.py", Path("/wanted"))
    contained.lay_link(tree, "top.py", Path("/wanted"))
    assert os.readlink(tree / "pkg/deep/v.py") == os.readlink(tree / "top.py") == "/wanted"
    contained.lay_link(tree, "top.py", Path("/other"))
    contained.lay_link(tree, "gone/v.py", Path("/wanted"))
    assert os.readlink(tree / "top.py") == "/wanted" and not (tree / "gone").exists()
    (tree / "file").touch()
    contained.lay_link(tree, "file/v.py", Path("/wanted"))
    assert (tree / "file").is_file()


def test_no_link_is_laid_through_another(tree: Path, tmp_path: Path) -> None:
    for path in ("out/v.py", "in/v.py", "out/deep/v.py"):
        with pytest.raises(PolicyRefused, match="symbolic link"):
            contained.lay_link(tree, path, Path("/wanted"))
    assert not [*(tmp_path / "outside").iterdir()] and not (tree / "pkg/v.py").is_symlink()


def test_a_folder_is_opened_only_inside(tree: Path) -> None:
    (tree / ".git").mkdir()
    for place, want in {".": {"pkg", "out", "in", ".git"}, "pkg": {"deep"}, "./pkg/": {"deep"}, "in": {"deep"}}.items():
        with contained.open_folder(tree, place) as fd:
            assert fd is not None and set(os.listdir(fd)) == want, place
    for place in ("out", "gone", "..", "../outside", ".git", "/etc"):
        with contained.open_folder(tree, place) as fd:
            assert fd is None, place


def test_special_files_are_removed_beside_folders_deeper_than_any_path(tmp_path: Path) -> None:
    deep(tmp_path, 3000)
    os.mkfifo(tmp_path / "pipe")
    os.mkfifo(tmp_path / "0" / "pipe")
    contained.remove_special(tmp_path)
    assert not (tmp_path / "pipe").exists() and not (tmp_path / "0" / "pipe").exists()
    contained.remove_tree(tmp_path)
    contained.remove_tree(tmp_path)  # there is nothing left to do
    assert not tmp_path.exists()


LONG = ["\N{GRINNING FACE}" * 62 + ".txt", "x" * 255, "\u00e9" * 127]


@pytest.mark.parametrize("name", LONG)
def test_a_file_may_have_the_longest_name_there_is(tmp_path: Path, name: str) -> None:
    contained.write_file(tmp_path, f"a/{name}", b"1", 0o644)
    contained.write_file(tmp_path, f"a/{name}", b"2", 0o644)
    assert contained.read_file(tmp_path, f"a/{name}") == b"2" and len([*(tmp_path / "a").iterdir()]) == 1


@pytest.mark.parametrize(
    "path", ["x" * 256, "\u00e9" * 128, "d/" * 1_000 + "x", "a\ud800", "d" * 250 + "/" + "x" * 300]
)
def test_what_no_file_system_takes_is_refused_by_name(tmp_path: Path, path: str) -> None:
    for act in (contained.read_file, contained.exists, contained.size_of, contained.delete_file):
        with pytest.raises(PolicyRefused, match="too long for the name of a file"):
            act(tmp_path, path)
    with pytest.raises(PolicyRefused, match="too long for the name of a file"):
        contained.write_file(tmp_path, path, b"", 0o644)


def test_pruning_goes_as_deep_as_a_commit(tmp_path: Path) -> None:
    deep = "d/" * 900 + "f"
    contained.write_file(tmp_path, deep, b"1", 0o644)
    contained.write_file(tmp_path, "d/d/other", b"1", 0o644)
    contained.prune(tmp_path, {deep})
    assert contained.exists(tmp_path, deep) and not contained.exists(tmp_path, "d/d/other")
    contained.prune(tmp_path, set())
    assert not [*tmp_path.iterdir()]
