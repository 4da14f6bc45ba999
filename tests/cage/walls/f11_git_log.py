"""A partial clone that lacks objects, with a program to fetch them by: the history that ``git_log`` reads is git's."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

from ledger.errors import GitFailed
from tests.repos import IDENTITY, commit, git, host_env, make_places, make_repo
from tools.git import Git

BACKENDS = ("landlock",)  # nothing comes to a sandbox
SETTINGS = ("core.sshCommand", "core.fsmonitor", "core.gitProxy", "credential.helper", "core.askPass", "diff.external")
URLS = ("ssh://somewhere/x", "git://localhost:9/x")
LOG = ("log", "--numstat", "HEAD")


def _cloned(base: Path, canary: Path) -> Path:
    whole = make_repo(base / "whole", {"a.txt": "one\n"})
    commit(whole, "second", {"a.txt": "two\n"})
    git(whole, "config", "uploadpack.allowFilter", "true")
    repo = base / "repo"
    clone = ("git", "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{whole}", str(repo))
    subprocess.run(clone, check=True, env={**os.environ, **IDENTITY})
    for name in SETTINGS:
        trap = base / name
        trap.write_text(f"#!/bin/sh\necho {name} >> {canary}\nexit 1\n")
        trap.chmod(0o755)
        git(repo, "config", name, str(trap))
    git(repo, "config", "protocol.allow", "always")
    return repo


def _read(repo: Path, base: Path, *, wall: bool) -> None:
    """The history with the numbers of changed lines, for which git needs the missing objects."""
    if not wall:
        subprocess.run(["git", *LOG], cwd=repo, env={**os.environ, **IDENTITY}, check=False, capture_output=True)
        return
    try:
        Git(make_places(base, repo), host_env(HOME=str(base))).run(*LOG)
    except GitFailed as error:
        assert "missing" in error.stderr or "could not fetch" in error.stderr, error.stderr


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    canary = base / "canary"
    repo = await asyncio.to_thread(_cloned, base, canary)
    for url in URLS:
        git(repo, "config", "remote.origin.url", url)
        await asyncio.to_thread(_read, repo, base, wall=wall)
    return sorted({*canary.read_text().split()}) if canary.exists() else []
