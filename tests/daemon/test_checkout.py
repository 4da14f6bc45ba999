"""What belongs to a repository is read from the disk; what is odd there is refused in a sentence, and soon."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from daemon.settings.checkout import POINTER_BYTES, checkout_of
from daemon.settings.places import beside, environment_for, host_env, places_for
from ledger.errors import RepositoryError
from tests.repos import commit, git, make_repo

NOBODYS = Path("/nonexistent")


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "run").mkdir(mode=0o700)
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "XDG_RUNTIME_DIR": str(tmp_path / "run")}


def test_a_repository_and_its_git_folder(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"a/b/c.py": ""})
    found = checkout_of(repo / "a/b", home=NOBODYS)
    assert found.top == repo and set(found.folders) == {repo, repo / ".git"}
    assert checkout_of(repo / ".git/objects", home=NOBODYS).top is None, "a git folder is no work tree"
    assert repo / ".git" in checkout_of(repo / ".git/objects", home=NOBODYS).folders
    assert checkout_of(tmp_path, home=NOBODYS).folders == ()


def test_every_work_tree_belongs_to_it(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    git(repo, "worktree", "add", "-q", str(tmp_path / "second"))
    git(repo, "worktree", "add", "-q", str(tmp_path / "third"))
    for start in ("repo", "second"):
        found = checkout_of(tmp_path / start, home=NOBODYS)
        assert found.top == tmp_path / start
        assert {repo, repo / ".git", tmp_path / "second", tmp_path / "third"} <= set(found.folders)


def test_a_work_tree_counts_only_where_it_says_so_itself(tmp_path: Path) -> None:
    """Else a git folder could say that all programs of the machine are its own."""
    repo = make_repo(tmp_path / "repo")
    (repo / ".git/worktrees/x").mkdir(parents=True)
    (repo / ".git/worktrees/x/gitdir").write_text("/usr/bin/.git\n")
    assert Path("/usr/bin") not in checkout_of(repo, home=NOBODYS).folders


def test_what_lies_around_a_submodule_belongs_to_it(tmp_path: Path) -> None:
    part = make_repo(tmp_path / "part")
    whole = make_repo(tmp_path / "whole")
    git(whole, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(part), "part")
    commit(whole, "with a part")
    found = checkout_of(whole / "part", home=NOBODYS)
    assert found.top == whole / "part" and whole in found.folders


def test_an_owner_who_keeps_his_home_in_git_may_have_programs_there(tmp_path: Path) -> None:
    home = make_repo(tmp_path / "home")
    repo = make_repo(home / "src/repo")
    assert home not in checkout_of(repo, home=home).folders
    assert checkout_of(home, home=home).top == home


@pytest.mark.parametrize("kind", ["pipe", "endless", "nul", "huge", "text", "empty", "binary"])
def test_a_git_file_that_is_none(tmp_path: Path, environ: dict[str, str], kind: str) -> None:
    (repo := tmp_path / "repo").mkdir()
    file = repo / ".git"
    if kind == "pipe":
        os.mkfifo(file)
    elif kind == "endless":
        file.symlink_to("/dev/zero")
    else:
        file.write_bytes(
            {
                "nul": b"gitdir: /tmp/\0/x\n", "huge": b"gitdir: " + b"x" * POINTER_BYTES, "text": b"gitdir\n",
                "empty": b"", "binary": os.urandom(100),
            }[kind]
        )  # fmt: skip
    with pytest.raises(RepositoryError) as refused:
        places_for(repo, environ)
    assert str(file) in refused.value.message and refused.value.remedy and refused.value.message.endswith(".")


@pytest.mark.parametrize("name", ["commondir", "gitdir"])
def test_a_pipe_in_a_git_folder_is_not_waited_for(tmp_path: Path, name: str) -> None:
    repo = make_repo(tmp_path / "repo")
    git(repo, "worktree", "add", "-q", str(tmp_path / "second"))
    own = repo / ".git/worktrees/second"
    (own / name).unlink()
    os.mkfifo(own / name)
    with pytest.raises(RepositoryError, match=f"{name} is a named pipe"):
        checkout_of(tmp_path / "second", home=NOBODYS)


def test_settings_cannot_make_another_folder_the_work_tree(tmp_path: Path, environ: dict[str, str]) -> None:
    """It would be copied, and shown to the tests that run in it."""
    private = tmp_path / "private"
    private.mkdir()
    (private / "secret").write_text("x")
    repo = make_repo(private / "src/repo")
    git(repo, "config", "core.worktree", str(private))
    assert git(repo, "rev-parse", "--show-toplevel") == str(private), "the trap itself works"
    with pytest.raises(RepositoryError, match="names another folder as its work tree") as refused:
        places_for(repo, environ)
    assert "core.worktree" in refused.value.remedy


def test_a_submodule_names_its_own_folder_and_may(tmp_path: Path, environ: dict[str, str]) -> None:
    part, whole = make_repo(tmp_path / "part"), make_repo(tmp_path / "whole")
    git(whole, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(part), "part")
    assert places_for(whole / "part", environ).repo == whole / "part"


def test_children_are_given_nothing_that_brings_code_from_the_repository(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"lib/x": "", "bin/x": ""})
    environ = {
        "PATH": f"{repo}/bin::.:/usr/bin", "LD_LIBRARY_PATH": f":{repo}/lib:/usr/lib", "PYTHONPATH": ".", "HOME": "/x",
        "PYTHONHOME": str(repo), "LD_PRELOAD": "./x.so", "BASH_ENV": "x", "PERL5LIB": "x", "NODE_OPTIONS": "x",
    }  # fmt: skip
    env = environment_for(repo, environ)
    assert dict(env.variables) == {"PATH": "/usr/bin", "LD_LIBRARY_PATH": "/usr/lib", "HOME": "/x"}
    assert dict(env.left_out) == {f"{repo}/bin": "lies in the repository", "": "is empty", ".": "is relative"}
    assert "LD_LIBRARY_PATH" not in host_env({"LD_LIBRARY_PATH": "."}, ()).variables, "an empty one is this folder"
    assert host_env({"PATH": f"{repo}/bin"}, [repo]).path, "an empty one would be this folder, too"


def test_another_repository_is_kept_out_as_well(tmp_path: Path) -> None:
    one, other = make_repo(tmp_path / "one", {"bin/x": ""}), make_repo(tmp_path / "other", {"bin/x": ""})
    env = host_env({"PATH": f"{one}/bin:{other}/bin:/usr/bin"}, [one])
    assert env.path == f"{other}/bin:/usr/bin"
    assert beside(env, [other]).path == beside(env, [other]).variables["PATH"] == "/usr/bin"


@pytest.mark.parametrize(
    "name",
    [
        *("config", "HEAD", "index", "packed-refs", "shallow", "info/exclude", "info/attributes", "logs/HEAD"),
        *("objects/info/alternates", "refs/heads/main", "logs/refs/heads/main", "refs/ouroboros"),
    ],
)
def test_where_git_would_read_without_end(tmp_path: Path, environ: dict[str, str], name: str) -> None:
    repo = make_repo(tmp_path / "repo")
    place = repo / ".git" / name
    place.unlink(missing_ok=True)
    place.symlink_to("/dev/null")
    assert checkout_of(repo, home=NOBODYS).top == repo, "nobody waits there"
    place.unlink()
    os.mkfifo(place)
    with pytest.raises(RepositoryError, match=f"{name} is a named pipe"):
        places_for(repo, environ)
    place.unlink()
    place.symlink_to("/dev/zero")
    with pytest.raises(RepositoryError, match=f"{name} is a device"):
        places_for(repo, environ)


def test_settings_are_bounded(tmp_path: Path, environ: dict[str, str]) -> None:
    repo = make_repo(tmp_path / "repo")
    with (repo / ".git/config").open("a") as file:
        file.write("# nothing\n" * 200_000)
    with pytest.raises(RepositoryError, match="more than the 1048576 that are read"):
        places_for(repo, environ)
