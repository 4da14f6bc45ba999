"""Real git repositories for the tests."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ledger.ids import sha256_hex
from ledger.places import HostEnv, Places

IDENTITY = {
    "GIT_AUTHOR_NAME": "Owner",
    "GIT_AUTHOR_EMAIL": "owner@example.org",
    "GIT_COMMITTER_NAME": "Owner",
    "GIT_COMMITTER_EMAIL": "owner@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}


def host_env(**more: str) -> HostEnv:
    path = os.environ["PATH"]
    return HostEnv(variables={"PATH": path, "LANG": "C.UTF-8", "HOME": "/nonexistent", **more}, path=path)


def git(repo: Path, *args: str, stdin: str | None = None) -> str:
    """Plain git as the owner would call it; returns stripped stdout, raises on failure."""
    done = subprocess.run(
        ["git", *args],
        cwd=repo,
        input=stdin,
        text=True,
        capture_output=True,
        check=False,
        env={**os.environ, **IDENTITY},
    )
    if done.returncode:
        raise AssertionError(f"git {args} -> {done.returncode}: {done.stderr}")
    return done.stdout.strip()


def write(repo: Path, files: Mapping[str, str]) -> None:
    for name, text in files.items():
        path = repo / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def commit(repo: Path, message: str = "change", files: Mapping[str, str] | None = None) -> str:
    """Write ``files``, commit everything, return the commit."""
    write(repo, files or {})
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "--allow-empty", "-m", message)
    return git(repo, "rev-parse", "HEAD")


def make_repo(path: Path, files: Mapping[str, str] | None = None) -> Path:
    """A fresh repository on branch ``main`` with one commit."""
    path.mkdir(parents=True, exist_ok=True)
    git(path, "init", "-q", "-b", "main")
    git(path, "config", "user.name", "Owner")
    git(path, "config", "user.email", "owner@example.org")
    commit(path, "first", files or {"README.md": "hello\n"})
    return path


def make_places(base: Path, repo: Path) -> Places:
    """Places of ``repo`` with every folder of ours below ``base``, made 0700."""
    common = Path(os.path.realpath(repo / ".git"))
    places = Places(
        repo=Path(os.path.realpath(repo)),
        git_dir=common,
        common_dir=common,
        repo_id=sha256_hex(str(common))[:12],
        state=base / "state",
        cache=base / "cache",
        config=base / "config",
        runtime=base / "run",
        home=base / "home",
    )
    ours = (places.state, places.cache, places.config, places.runtime, places.home)
    for folder in (*ours, places.journal, places.keys, places.spool):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return places
