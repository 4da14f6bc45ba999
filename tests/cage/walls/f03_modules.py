"""Modules of the repository with the names of ours, an owner with PYTHONPATH=. in it: the command ``ouro`` itself."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

from tests.cage.walls import Unable
from tests.repos import make_repo

BACKENDS = ("landlock",)  # nothing comes to a sandbox
NAMES = ("sitecustomize.py", "json.py", "daemon/__init__.py", "tools/__init__.py", "ledger/__init__.py")
TRAP = "open({canary!r}, 'a').write({name!r} + chr(10))\n"
UNISOLATED = (sys.executable, "-c", "from daemon.cli import main; main()")


def _run(argv: tuple[str, ...], repo: Path, environ: dict[str, str]) -> None:
    subprocess.run(argv, cwd=repo, env=environ, capture_output=True, check=False, timeout=200)


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    command = Path(sys.executable).with_name("ouro")
    if not command.is_file():
        raise Unable(f"the command `ouro` is not beside {sys.executable}: this attack on it is NOT tried")
    canary = base / "canary"
    repo = make_repo(base / "repo", {name: TRAP.format(canary=str(canary), name=name) for name in NAMES})
    environ = {"PATH": "/usr/bin:/bin", "PYTHONPATH": ".", "HOME": str(base), "LANG": "C.UTF-8"}
    start = (str(command),) if wall else UNISOLATED
    for word in ("status", "doctor"):
        await asyncio.to_thread(_run, (*start, word), repo, environ)
    return sorted({*canary.read_text().split()}) if canary.exists() else []
