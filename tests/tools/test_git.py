"""Whatever the settings of a repository say, our calls of git start git and nothing else; GitPython's are ours."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from ledger import children
from ledger.errors import GitFailed
from ledger.places import HostEnv
from ledger.programs import folder_identities
from tests.repos import IDENTITY, commit, git, host_env, make_places, make_repo
from tools import git_python
from tools.git import Git


class Partial:
    """A clone without blobs, whose missing ones are fetched from a place that only a program can reach.

    ``canary`` holds a line for each program of the settings that ran.
    """

    def __init__(self, base: Path) -> None:
        whole = make_repo(base / "whole", {"a.txt": "one\n", "b.txt": "two\n"})
        commit(whole, "second", {"a.txt": "three\n"})
        git(whole, "config", "uploadpack.allowFilter", "true")
        self.repo, self.canary = base / "partial", base / "canary"
        clone = ["git", "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{whole}", str(self.repo)]
        subprocess.run(clone, check=True, env={**os.environ, **IDENTITY})
        for key, value in {
            "remote.origin.url": "ssh://somewhere/x", "core.sshCommand": self.trap("ssh"),
            "core.gitProxy": self.trap("proxy"), "core.fsmonitor": self.trap("fsmonitor"),
            "credential.helper": f"!{self.trap('helper')}", "core.askPass": self.trap("askpass"),
            "protocol.allow": "always", "core.pager": self.trap("pager"), "pager.log": self.trap("pager"),
            "core.editor": self.trap("editor"), "diff.external": self.trap("external"),
        }.items():  # fmt: skip
            git(self.repo, "config", key, value)

    def trap(self, name: str) -> str:
        file = self.canary.with_name(f"trap-{name}")
        file.write_text(f"#!/bin/sh\necho {name} >> {self.canary}\nexit 1\n")
        file.chmod(0o755)
        return str(file)

    def through(self, url: str) -> Partial:
        git(self.repo, "config", "remote.origin.url", url)
        return self

    @property
    def ran(self) -> set[str]:
        return set(self.canary.read_text().split()) if self.canary.exists() else set()

    @property
    def ours(self) -> Git:
        return Git(make_places(self.repo.parent, self.repo), host_env(HOME=str(self.repo.parent)), timeout_s=20)


@pytest.fixture
def partial(tmp_path: Path) -> Partial:
    return Partial(tmp_path)


def stats(ours: Git) -> None:
    with ours.opened() as repo:
        for found in repo.iter_commits("HEAD"):
            found.stats.files  # noqa: B018 - asks git for blobs


CALLS: dict[str, Callable[[Git], object]] = {
    "cat-file": lambda ours: ours.run("cat-file", "-p", "HEAD:b.txt", ok=(0, 1, 128)),
    "log": lambda ours: ours.run("log", "-p", "HEAD", ok=(0, 1, 128)),
    "status": lambda ours: ours.run("status", "--porcelain", ok=(0, 1, 128)),
    "fetch": lambda ours: ours.run("fetch", "origin", ok=(0, 1, 128)),
    "GitPython": stats,
}


@pytest.mark.parametrize("url", ["ssh://somewhere/x", "git://localhost:9/x", "ext::touch canary-ext"])
@pytest.mark.parametrize("call", CALLS)
def test_nothing_is_fetched_and_no_program_is_run(partial: Partial, call: str, url: str) -> None:
    try:
        CALLS[call](partial.through(url).ours)
    except Exception as error:  # noqa: BLE001 - that an object is missing may be told in any way
        assert "missing" in str(error) or "git" in str(error).lower(), error
    assert partial.ran == set()


def test_the_traps_of_a_partial_clone_work(partial: Partial) -> None:
    """Plain git, and GitPython as it comes, which is how `git_log` once was."""
    for args in (("cat-file", "-p", "HEAD:b.txt"), ("status",)):
        subprocess.run(["git", *args], cwd=partial.repo, env={**os.environ, **IDENTITY}, check=False)
    assert {"ssh", "fsmonitor"} <= partial.ran
    partial.canary.unlink()
    from git import GitCommandError, Repo

    with Repo(partial.repo) as repo, pytest.raises(GitCommandError):
        for found in repo.iter_commits("HEAD"):
            found.stats.files  # noqa: B018
    assert "ssh" in partial.ran


def test_the_history_is_read_by_gitpython(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"a.py": "1\n"})
    commit(repo, "second", {"a.py": "2\n", "b.py": "3\n"})
    with Git(make_places(tmp_path, repo), host_env()).opened() as opened:
        newest, oldest = opened.iter_commits("HEAD")
        assert (newest.summary, sorted(newest.stats.files)) == ("second", ["a.py", "b.py"])
        assert (oldest.message, sorted(oldest.stats.files)) == ("first\n", ["a.py"])


STARTED = """
import os, sys
from pathlib import Path
started = []

def note(event, found):
    if event == "subprocess.Popen":
        started.append((str(found[0]), "GIT_CONFIG_NOSYSTEM" not in (found[3] or ())))

sys.addaudithook(note)
from tests.repos import host_env, make_places
from tools.git import Git
with Git(make_places(Path(sys.argv[1]), Path(sys.argv[2])), host_env()).opened() as opened:
    seen = [found.summary for found in opened.iter_commits("HEAD")]
print(seen, [name for name, plain in started if plain], [n for n in os.environ if n.startswith("GIT_PYTHON")])
"""


def test_gitpython_starts_no_git_with_the_environment_of_this_process(tmp_path: Path) -> None:
    """Its import would ask git for a version: there it is given a program that cannot be started."""
    repo = make_repo(tmp_path / "repo", {"a.py": "1\n"})
    argv = [sys.executable, "-c", STARTED, str(tmp_path), str(repo)]
    done = subprocess.run(argv, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "['first'] ['/dev/null'] []\n"


def test_gitpython_in_a_linked_work_tree(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"a.py": "1\n"})
    git(repo, "worktree", "add", "-q", str(tmp_path / "second"))
    commit(tmp_path / "second", "there", {"b.py": "2\n"})
    places = make_places(tmp_path, repo)
    there = type(places)(
        **{name: getattr(places, name) for name in places.__slots__}
        | {"repo": tmp_path / "second", "git_dir": repo / ".git/worktrees/second"}
    )
    with Git(there, host_env()).opened() as opened:
        assert [found.summary for found in opened.iter_commits("HEAD")] == ["there", "first"]


def test_gitpython_waits_for_nothing(tmp_path: Path) -> None:
    """An object that is a pipe: git hangs in it, and is ended with the time."""
    repo = make_repo(tmp_path / "repo")
    head = git(repo, "rev-parse", "HEAD")
    file = repo / ".git/objects" / head[:2] / head[2:]
    file.unlink()
    os.mkfifo(file)
    ours = Git(make_places(tmp_path, repo), host_env(), timeout_s=1)
    from git import GitCommandError

    with pytest.raises(GitCommandError), ours.opened() as opened:
        next(iter(opened.iter_commits(head)))
    assert threading.active_count() == 1


def test_a_git_folder_in_a_git_folder_is_not_followed(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    os.mkfifo(repo / ".git/.git")
    with pytest.raises(GitFailed, match="where none belongs"), Git(make_places(tmp_path, repo), host_env()).opened():
        pass


def test_nothing_stands_in_for_another_object(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"a.py": "good\n"})
    first = git(repo, "rev-parse", "HEAD")
    second = commit(repo, "second", {"a.py": "bad\n"})
    ours = Git(make_places(tmp_path, repo), host_env())
    git(repo, "replace", second, first)
    assert git(repo, "show", "-s", "--format=%s", second) == "first", "the trap itself works"
    assert ours.run("show", "-s", "--format=%s", second).text == "second"
    git(repo, "replace", "-d", second)
    (repo / ".git/info").mkdir(exist_ok=True)
    (repo / ".git/info/grafts").write_text(f"{second}\n")
    assert git(repo, "rev-list", "--count", second) == "1", "the trap itself works"
    assert ours.run("rev-list", "--count", second).text == "2"


def test_a_path_is_a_name(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"a.py": "1\n", ":/x": "2\n", "b*": "3\n", "bc": "4\n"})
    ours = Git(make_places(tmp_path, repo), host_env())
    assert ours.run("ls-files", "-z", "--", ":/").fields == (":/x",)
    assert ours.run("ls-files", "-z", "--", "b*", ":(exclude)a.py").fields == ("b*",)
    assert len(git(repo, "ls-files", "--", ":/").split("\n")) == 4, "the trap itself works"


def test_a_dirty_submodule_is_not_looked_into(tmp_path: Path) -> None:
    part, repo = make_repo(tmp_path / "part", {"a.txt": "1\n"}), make_repo(tmp_path / "repo")
    git(repo, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(part), "part")
    commit(repo, "with a part")
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    trap.chmod(0o755)
    git(repo / "part", "config", "core.fsmonitor", str(trap))
    for key, value in (
        ("diff.submodule", "diff"),
        ("status.submoduleSummary", "true"),
        ("diff.ignoreSubmodules", "none"),
    ):
        git(repo, "config", key, value)
    ours = Git(make_places(tmp_path, repo), host_env())
    for words in (("status",), ("diff",), ("diff", "HEAD"), ("status", "--porcelain")):
        ours.run(*words)
        assert not (tmp_path / "ran").exists(), words
    git(repo, "status")
    assert (tmp_path / "ran").exists(), "the trap itself works"


def test_git_is_not_taken_from_the_repository(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"bin/git": f"#!/bin/sh\ntouch {tmp_path}/ran\n"})
    (repo / "bin/git").chmod(0o755)
    path = f"{repo}/bin:{os.environ['PATH']}"
    env = HostEnv(variables={"PATH": path}, path=path, repository=folder_identities([repo]))
    assert Git(make_places(tmp_path, repo), env).run("rev-parse", "--is-inside-work-tree").text == "true"
    assert not (tmp_path / "ran").exists()
    alone = HostEnv(variables={}, path=f"{repo}/bin", repository=folder_identities([repo]))
    with pytest.raises(GitFailed, match="lies in the repository") as refused:
        Git(make_places(tmp_path, repo), alone).run("status")
    assert refused.value.remedy


def test_too_many_words_are_a_plain_error(tmp_path: Path) -> None:
    ours = Git(make_places(tmp_path, make_repo(tmp_path / "repo")), host_env())
    with pytest.raises(GitFailed, match="cannot be started"):
        ours.run("log", "--", "x" * 3_000_000)
    with pytest.raises(GitFailed, match="cannot be started"):
        ours.run("log", "--", "a\0b")


def test_what_git_says_of_a_tree_that_holds_itself_many_times_is_bounded(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"a.py": "x = 1\n"})
    tree = git(repo, "rev-parse", "HEAD^{tree}")
    ours = Git(make_places(tmp_path / "ours", repo), host_env())
    for _ in range(4):  # some hundred bytes of objects name ten thousand files
        rows = "".join(f"040000 tree {tree}\t{'d' * 200}{n}\n" for n in range(10))
        tree = ours.run("mktree", stdin=rows.encode()).text
    with pytest.raises(GitFailed, match="was ended: it said more than 1000000 bytes"):
        ours.run("ls-tree", "-r", "-z", tree, most_bytes=1_000_000)
    assert len(ours.run("ls-tree", "-r", "-z", tree).fields) == 10_000, "the trap itself works"


def test_a_commit_that_is_packed_small_is_not_read_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = make_repo(tmp_path / "repo", {"a.py": "x = 1\n"})
    head = git(repo, "rev-parse", "HEAD")
    data = subprocess.run(["git", "cat-file", "commit", head], cwd=repo, capture_output=True, check=True).stdout
    ours = Git(make_places(tmp_path / "ours", repo), host_env())
    big = ours.run("hash-object", "-t", "commit", "-w", "--stdin", stdin=data + b"a line\n" * 500_000).text

    def subjects() -> list[str]:
        with ours.opened() as opened:
            return [str(found.summary) for found in opened.iter_commits(big, max_count=1)]

    assert len(subjects()) == 1, "the trap itself works"
    monkeypatch.setattr(git_python, "BOUNDED", {"GIT_ALLOC_LIMIT": "1m"})
    with pytest.raises(Exception, match="over limit"):
        subjects()


def test_what_gitpython_asks_for_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = make_repo(tmp_path / "repo", {f"{n}.py": "x = 1\n" for n in range(200)})
    ours = Git(make_places(tmp_path / "ours", repo), host_env())
    with ours.opened() as opened:
        assert len(opened.head.commit.stats.files) == 200
    monkeypatch.setattr(git_python, "hear", functools.partial(children.hear, most_bytes=1_000))
    with ours.opened() as opened, pytest.raises(GitFailed, match="said more than 1000 bytes"):
        assert opened.head.commit.stats.files


def test_settings_that_lie_in_the_tree_are_bounded(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    git(repo, "config", "include.path", "../shared")
    (repo / "shared").write_text(f"[x]\n{''.join(f'key{n} = {n}' + chr(10) for n in range(100_000))}")
    with pytest.raises(GitFailed, match="it said more than 4194304 bytes"):
        Git(make_places(tmp_path / "ours", repo), host_env()).run("rev-parse", "HEAD")


def test_the_order_of_a_difference_is_nobodys_to_name(tmp_path: Path) -> None:
    """A repository's own file for it could be a pipe."""
    repo = make_repo(tmp_path / "repo", {"a": "1\n", "b": "1\n"})
    (tmp_path / "order").write_text("b\n")
    git(repo, "config", "diff.orderFile", str(tmp_path / "order"))
    commit(repo, "second", {"a": "2\n", "b": "2\n"})
    assert git(repo, "diff", "--name-only", "HEAD^", "HEAD").split() == ["b", "a"]
    ours = Git(make_places(tmp_path / "ours", repo), host_env())
    assert ours.run("diff", "--name-only", "HEAD^", "HEAD").text.split() == ["a", "b"]
