"""A partial clone that lacks objects, with a program to fetch them by: ``git_log`` asked GitPython, which asked git."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ledger.errors import ToolError
from tests.repos import IDENTITY, commit, git, host_env, make_places, make_repo
from tools.builtin.git_log import GitLogArguments, _log_rows
from tools.git import Git

BACKENDS = ("landlock",)  # nothing comes to a sandbox
SETTINGS = ("core.sshCommand", "core.fsmonitor", "core.gitProxy", "credential.helper", "core.askPass", "diff.external")
URLS = ("ssh://somewhere/x", "git://localhost:9/x")


@contextmanager
def _as_it_comes(self: Git) -> Iterator[Any]:
    from git import Repo

    with Repo(self.places.repo) as opened:
        yield opened


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


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    canary = base / "canary"
    repo = await asyncio.to_thread(_cloned, base, canary)
    if not wall:
        Git.opened = _as_it_comes
    for url in URLS:
        git(repo, "config", "remote.origin.url", url)
        asked = GitLogArguments(path="", limit=10)
        with suppress(ToolError):
            _log_rows(Git(make_places(base, repo), host_env(HOME=str(base))), "HEAD", asked, lambda path: True)
    return sorted({*canary.read_text().split()}) if canary.exists() else []
