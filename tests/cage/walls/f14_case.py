"""Forged commits, and a commit of the daemon, hide behind another letter case."""

from __future__ import annotations

from pathlib import Path

from daemon.record import carriers
from daemon.record.verifying import verify_commits
from ledger.errors import GitFailed
from tests.daemon.records import config_of, lived
from tests.repos import git

BACKENDS = ("landlock",)
USERS = ("anybody",)


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """Copied trailers in other letters; a branch that is asked for in other letters."""
    if not wall:

        async def none(git: object, asked: str) -> None:
            return None

        carriers.SEARCH = ("-E", "--grep=^Ouro-Ledger: ")
        carriers._in_other_case = none
    config = config_of(base)
    await lived(config)
    repo = config.places.repo
    text = git(repo, "log", "-1", "--format=%B", "HEAD")
    through = []
    for name, spelled in {"lower": text.replace("Ouro-", "ouro-"), "upper": text.replace("Ouro-", "OURO-")}.items():
        git(repo, "commit", "-q", "--allow-empty", "-m", spelled)
        made = git(repo, "rev-parse", "HEAD")
        if not any(one.commit == made and not one.ok for one in (await verify_commits(config, "HEAD")).commits):
            through.append(f"{name} trailers")
    try:
        if not (await verify_commits(config, "OURO/Review/op-B")).commits:
            through.append("a branch in other letters")
    except GitFailed:
        through.append("a branch in other letters")
    return through
