"""Hooks that stand in the repository's settings (git 2.54 and newer): ``core.hooksPath`` does not switch them off."""

from __future__ import annotations

import re
from pathlib import Path

from tests.cage.walls import Unable
from tests.repos import git, host_env, make_places, make_repo
from tools import drivers
from tools.git import Git

BACKENDS = ("landlock",)  # nothing comes to a sandbox
FIRST = (2, 54)
EVENTS = ("reference-transaction", "post-index-change", "pre-commit")


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    repo, canary = make_repo(base / "repo", {"a.txt": "1\n"}), base / "canary"
    version = re.findall(r"\d+", git(repo, "--version"))
    if tuple(map(int, version[:2])) < FIRST:
        raise Unable(f"git {'.'.join(version)} has no hooks in settings ({FIRST[0]}.{FIRST[1]} has): NOT tried")
    git(repo, "config", "hook.evil.one.command", f"echo evil >> {canary}; true")
    for event in EVENTS:
        git(repo, "config", "--add", "hook.evil.one.event", event)
    canary.unlink(missing_ok=True)
    if not wall:
        drivers.HOOK = re.compile("(?!)")
    ours = Git(make_places(base, repo), host_env(HOME=str(base)))
    head = ours.run("rev-parse", "HEAD").text
    ours.run("update-ref", "refs/heads/other", head)
    (repo / "a.txt").touch()
    ours.run("update-index", "--refresh")
    return sorted({*canary.read_text().split()}) if canary.exists() else []
