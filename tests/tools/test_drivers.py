"""Programs that a repository's own settings name are not run by our calls of git; the owner's filters are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import GitFailed
from tests.repos import commit, git, host_env, make_places, make_repo
from tools.drivers import overrides
from tools.git import Git
from tools.workspace import Workspaces, WorkspaceSettings

UPPER = "tr a-z A-Z"


def filtered(base: Path, name: str) -> Path:
    repo = make_repo(base / "repo", {"a.txt": "text\n"})
    commit(repo, "attributes", {".gitattributes": f"*.txt filter={name}\n"})
    return repo


async def copied(base: Path, repo: Path, git_of_ours: Git) -> str:
    """The file as it comes into a workspace: through the filter, where one is run."""
    spaces = Workspaces(git_of_ours, git_of_ours.places, WorkspaceSettings(memory_folder=""))
    workspace = await spaces.acquire("op", git(repo, "rev-parse", "HEAD"))
    return (workspace.root / "a.txt").read_text()


def local(repo: Path, home: Path, key: str, value: str) -> None:
    git(repo, "config", key, value)


def included(repo: Path, home: Path, key: str, value: str) -> None:
    git(repo, "config", "--file", str(repo / "more.config"), key, value)
    git(repo, "config", "include.path", "../more.config")


def of_worktree(repo: Path, home: Path, key: str, value: str) -> None:
    git(repo, "config", "extensions.worktreeConfig", "true")
    git(repo, "config", "--worktree", key, value)


def on_branch(repo: Path, home: Path, key: str, value: str) -> None:
    git(repo, "config", "--file", str(repo / "branch.config"), key, value)
    git(repo, "config", "includeIf.onbranch:main.path", "../branch.config")


def owners(repo: Path, home: Path, key: str, value: str) -> None:
    git(repo, "config", "--file", str(home / ".gitconfig"), key, value)


Setter = Callable[[Path, Path, str, str], None]


@pytest.mark.parametrize(
    ("write", "name"),
    [(local, "evil"), (local, "a=b"), (included, "evil"), (of_worktree, "evil"), (on_branch, "evil")],
)
async def test_a_filter_of_the_repository_is_not_run(tmp_path: Path, write: Setter, name: str) -> None:
    repo = filtered(tmp_path, name)
    places = make_places(tmp_path, repo)
    for key in ("smudge", "process"):
        write(repo, places.home, f"filter.{name}.{key}", f"touch {tmp_path}/ran; {UPPER}")
    write(repo, places.home, f"filter.{name}.required", "true")
    assert await copied(tmp_path, repo, Git(places, host_env(HOME=str(places.home)))) == "text\n"
    assert not (tmp_path / "ran").exists()


async def test_a_filter_of_the_owners_is_run_also_where_the_repository_names_another(tmp_path: Path) -> None:
    repo = filtered(tmp_path, "good")
    places = make_places(tmp_path, repo)
    owners(repo, places.home, "filter.good.smudge", UPPER)
    assert await copied(tmp_path, repo, Git(places, host_env(HOME=str(places.home)))) == "TEXT\n"
    local(repo, places.home, "filter.good.smudge", f"touch {tmp_path}/ran; cat")
    assert await copied(tmp_path, repo, Git(places, host_env(HOME=str(places.home)))) == "TEXT\n"
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("late", [local, included, on_branch])
async def test_a_filter_that_is_named_later_is_not_run_either(tmp_path: Path, late: Setter) -> None:
    """The same object of ours goes on calling git while settings change: a file of them, one that they include."""
    repo = filtered(tmp_path, "evil")
    places = make_places(tmp_path, repo)
    late(repo, places.home, "user.name", "somebody")
    ours = Git(places, host_env(HOME=str(places.home)))
    assert await copied(tmp_path, repo, ours) == "text\n"
    late(repo, places.home, "filter.evil.smudge", f"touch {tmp_path}/ran; {UPPER}")
    assert await copied(tmp_path, repo, ours) == "text\n" and not (tmp_path / "ran").exists()


def test_nothing_is_fetched_for_a_missing_object(tmp_path: Path) -> None:
    """In a partial clone git would start the program that the repository names for it."""
    repo = make_repo(tmp_path / "repo")
    for key, value in {
        "extensions.partialClone": "origin", "remote.origin.promisor": "true", "core.repositoryFormatVersion": "1",
        "remote.origin.url": str(repo), "remote.origin.uploadpack": f"touch {tmp_path}/ran; git-upload-pack",
        "protocol.file.allow": "always",
    }.items():  # fmt: skip
        git(repo, "config", key, value)
    ours = Git(make_places(tmp_path, repo), host_env())
    ours.run("cat-file", "-p", "0123456789012345678901234567890123456789", ok=(0, 1, 128))
    assert not (tmp_path / "ran").exists()


def test_a_signature_in_the_log_starts_no_checker(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    signed = (git(repo, "cat-file", "commit", "HEAD") + "\n").replace(
        "\n\n", "\ngpgsig -----BEGIN PGP SIGNATURE-----\n x\n -----END PGP SIGNATURE-----\n\n", 1
    )
    made = git(repo, "hash-object", "-t", "commit", "-w", "--stdin", stdin=signed)
    git(repo, "config", "log.showSignature", "true")
    (tmp_path / "checker").write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    (tmp_path / "checker").chmod(0o755)
    git(repo, "config", "gpg.program", str(tmp_path / "checker"))
    Git(make_places(tmp_path, repo), host_env()).run("log", "-1", made)
    assert not (tmp_path / "ran").exists()
    git(repo, "log", "-1", made)
    assert (tmp_path / "ran").exists(), "the trap itself works"


def test_an_error_of_blame_quotes_no_file_of_the_settings(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo", {"a.py": "x = 1\n"})
    (tmp_path / "secret").write_text("a secret of the owner's\n")
    git(repo, "config", "blame.ignoreRevsFile", str(tmp_path / "secret"))
    with pytest.raises(GitFailed) as failed:
        Git(make_places(tmp_path, repo), host_env()).run("blame", "a.py")
    assert "a secret" not in f"{failed.value} {failed.value.stderr}"


@given(
    st.lists(st.tuples(st.sampled_from(["local", "global", "worktree", "system"]), st.text(), st.text()), max_size=6)
)
def test_whatever_is_listed_only_programs_get_a_value_of_ours(rows: list[tuple[str, str, str]]) -> None:
    listed = "".join(f"{scope}\0file:x\0{key}\n{value}\0" for scope, key, value in rows)
    found = overrides(listed.encode("utf-8", errors="surrogatepass"))
    assert all(word.startswith("--config-env=") for word in found.argv)
    assert len(found.argv) == len(found.env)


def listed(*rows: tuple[str, str, str]) -> bytes:
    return "".join(f"{scope}\0file:/x\0{key}\n{value}\0" for scope, key, value in rows).encode()


def settings_of(rows: bytes) -> dict[str, str]:
    found = overrides(rows)
    words = (word.removeprefix("--config-env=").rpartition("=") for word in found.argv)
    return {key: found.env[variable] for key, _, variable in words}


@pytest.mark.parametrize("scope", ["local", "worktree", "global", "system"])
def test_hooks_that_stand_in_settings_are_switched_off_whoever_named_them(scope: str) -> None:
    rows = listed((scope, "hook.evil.one.command", "touch x"), (scope, "hook.evil.one.event", "reference-transaction"))
    assert settings_of(rows) == {"hook.evil.one.enabled": "false", "hook.evil.one.event": ""}
    assert settings_of(listed((scope, "hook.pre-commit.enabled", "true"))) == {"hook.pre-commit.enabled": "false"}, (
        "an event is switched off as a whole; it has no events of its own, and git refuses such a setting"
    )


def test_the_file_of_attributes_is_the_owners_to_name() -> None:
    evil = ("local", "core.attributesfile", "/dev/zero")
    assert settings_of(listed(evil)) == {"core.attributesfile": ""}
    assert settings_of(listed(("global", "core.attributesfile", "~/a"), evil)) == {"core.attributesfile": "~/a"}
    assert overrides(listed(evil)).refused == (), "it is no program"
