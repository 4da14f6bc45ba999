"""Git over trees that untrusted code wrote: nothing below is looked into, no filter is run, answers are right."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import GitFailed
from tests.repos import commit, git, host_env, make_places, make_repo
from tools import contained
from tools.git import Git
from tools.private_index import PrivateIndex
from tools.untrusted_tree import VERBS, list_programs, parse_programs
from tools.workspace import Workspace, Workspaces, WorkspaceSettings


def owners_filter(base: Path, repo: Path, clean: str = "tr A-Z a-z", smudge: str = "tr a-z A-Z") -> Git:
    """Git of an owner whose own settings have the filter ``up``."""
    places = make_places(base, repo)
    for key, program in (("clean", clean), ("smudge", smudge), ("required", "true")):
        git(repo, "config", "--file", str(places.home / ".gitconfig"), f"filter.up.{key}", program)
    return Git(places, host_env(HOME=str(places.home)))


async def workspace(ours: Git) -> Workspace:
    spaces = Workspaces(ours, ours.places, WorkspaceSettings(memory_folder=""))
    return await spaces.acquire("op", ours.run("rev-parse", "HEAD").text)


def nested(folder: Path) -> None:
    """A repository with one commit."""
    make_repo(folder, {"inner.py": "x = 1\n"})


async def test_a_filtered_file_keeps_the_form_that_its_filter_made_without_running_it_again(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"a.up": "text\n", "b.py": "b = 1\n", ".gitattributes": "*.up filter=up\n"})
    count = tmp_path / "count"
    ours = owners_filter(tmp_path, repo, *(f"echo x >> {count}; tr {how}" for how in ("A-Z a-z", "a-z A-Z")))
    ws = await workspace(ours)
    ran = count.read_text()
    assert (ws.root / "a.up").read_text() == "TEXT\n"
    os.utime(ws.root / "a.up")
    (ws.root / "b.py").write_text("b = 2\n")
    assert await ws.changed() == ("b.py",)
    assert b"a.up" not in await ws.diff()
    (ws.root / "a.up").write_text("OTHER\n")
    assert await ws.changed() == ("a.up", "b.py")
    assert b"-TEXT" in await ws.diff()
    await ws.reset()
    assert (ws.root / "a.up").read_text() == "TEXT\n" and await ws.changed() == ()
    assert await ws.tree() == git(repo, "rev-parse", "HEAD^{tree}")
    assert count.read_text() == ran, "nothing but the first copy runs it"


async def test_a_filter_finds_nothing_of_the_repository_where_it_is_started(tmp_path: Path) -> None:
    """A program of the repository's beside the file would be what ``sh tools/up.sh`` starts."""
    files = {"a.up": "text\n", ".gitattributes": "*.up filter=up\n", "tools/up.sh": f"touch {tmp_path}/ran; cat\n"}
    repo = make_repo(tmp_path / "repo", files)
    ours = owners_filter(tmp_path, repo, clean="cat", smudge="sh tools/up.sh")
    with pytest.raises(GitFailed):  # required, and the program is not there
        await workspace(ours)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("place", ["pkg", "a.py", "new", "new/deep"])
async def test_a_nested_repository_is_no_submodule(tmp_path: Path, place: str) -> None:
    repo = make_repo(tmp_path / "repo", {"a.py": "a = 1\n", "pkg/b.py": "b = 1\n"})
    ws = await workspace(Git(make_places(tmp_path, repo), host_env()))
    target = ws.root / place
    if target.is_file():
        target.unlink()
    nested(target)
    await ws.changed()
    tree = await ws.tree()
    assert "160000" not in git(repo, "ls-tree", "-r", tree)
    await ws.diff()
    await ws.reset()
    assert await ws.tree() == git(repo, "rev-parse", "HEAD^{tree}")


async def test_a_submodule_of_the_commit_stays_in_the_tree_and_out_of_the_copy(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"a.py": "a = 1\n"})
    git(repo, "update-index", "--add", "--cacheinfo", f"160000,{git(repo, 'rev-parse', 'HEAD')},sub")
    git(repo, "commit", "-q", "-m", "submodule")
    ws = await workspace(Git(make_places(tmp_path, repo), host_env()))
    assert await ws.tree() == git(repo, "rev-parse", "HEAD^{tree}")
    (ws.root / "sub").mkdir(exist_ok=True)
    (ws.root / "sub/file.py").write_text("x = 1\n")
    assert await ws.changed() == ("sub/file.py",)
    await ws.reset()
    assert await ws.changed() == ()


async def test_a_pipe_in_the_place_of_a_file_holds_nobody(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"a.py": "a = 1\n", ".gitattributes": "*.py text\n"})
    ws = await workspace(Git(make_places(tmp_path, repo), host_env(), timeout_s=10))
    (ws.root / ".gitattributes").unlink()
    os.mkfifo(ws.root / ".gitattributes")
    (ws.root / "a.py").write_text("a = 2\n")
    await ws.reset()
    assert await ws.changed() == ()
    os.mkfifo(ws.root / "pipe")
    contained.remove_special(ws.root)
    assert {path.name for path in ws.root.iterdir()} == {"a.py", ".gitattributes"}


def test_an_error_names_the_command_and_not_the_settings(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"a.up": "x\n"})
    ours = owners_filter(tmp_path, repo)
    index = PrivateIndex(git=ours, root=repo, index=tmp_path / "index", programs=list_programs(ours))
    with pytest.raises(GitFailed) as failed:
        index.load("no-such-commit")
    assert failed.value.message.startswith("`git read-tree` over") and "config-env" not in failed.value.message


def test_a_command_that_nobody_judged_is_not_run(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    index = PrivateIndex(git=Git(make_places(tmp_path, repo), host_env()), root=repo, index=tmp_path / "index")
    with pytest.raises(KeyError):
        index.run("gc")
    assert "gc" not in VERBS


def test_the_filters_in_use_are_those_with_a_program(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"a.up": "x\n", "b.no": "x\n", "c": "x\n"})
    ours = owners_filter(tmp_path, repo)
    git(repo, "config", "filter.mine.clean", "cat")  # the repository's own settings name it: not in use
    commit(repo, "attributes", {".gitattributes": "*.up filter=up\n*.no filter=mine\nc filter\n"})
    found = list_programs(ours)
    assert found.filters == {"up"} and "filter.mine.clean" in found.keys
    index = PrivateIndex(git=ours, root=repo, index=tmp_path / "index", programs=found)
    assert index.filtered(["a.up", "b.no", "c"]) == {"a.up": "up"}


@given(st.lists(st.tuples(st.text(min_size=1, alphabet="ab.=\n"), st.sampled_from(["clean", "smudge"]), st.text())))
def test_whatever_is_listed_each_program_gets_no_value(rows: list[tuple[str, str, str]]) -> None:
    found = parse_programs(f"filter.{name}.{key}\n{value}" for name, key, value in rows)
    assert all(word.startswith("--config-env=filter.") for word in found.argv)
    assert len(found.argv) == len(found.keys)
