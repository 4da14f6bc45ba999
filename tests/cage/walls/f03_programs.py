"""An activated environment of the repository, with its own git, bwrap and prlimit: ``ouro doctor`` ran them all."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from daemon.lifecycle.doctor import examine
from ledger import programs
from tests.repos import commit, make_repo

BEFORE_THE_SANDBOX = True
NAMES = ("git", "bwrap", "prlimit", "rg", "gh", "python3", "systemctl")
TRAP = '#!/bin/sh\necho "${{0##*/}}" >> {canary}\nexec {real} "$@"\n'


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    canary, repo = base / "canary", make_repo(base / "repo", {"test_a.py": "def test_a():\n    pass\n"})
    for folder in (".venv/bin", "bin"):
        (repo / folder).mkdir(parents=True)
        for name in NAMES:
            trap = repo / folder / name
            trap.write_text(TRAP.format(canary=canary, real=shutil.which(name) or "/bin/false"))
            trap.chmod(0o755)
    commit(repo, "Tools that everybody needs")
    (base / "link").symlink_to(repo / "bin")
    (base / "tools").mkdir()
    for name in NAMES:
        (base / "tools" / name).symlink_to(repo / "bin" / name)
    (base / "run").mkdir(mode=0o700)
    folders = (base / "tools", base / "link", repo / ".venv/bin", "bin", ".", "")
    environ = {
        "PATH": ":".join((*map(str, folders), os.environ["PATH"])), "HOME": str(base),
        "XDG_RUNTIME_DIR": str(base / "run"), "OURO_SANDBOX__BACKEND": backend,
    }  # fmt: skip
    os.chdir(repo)
    if not wall:
        programs._path_problem = lambda path, repository: ""
        programs._folder_problem = lambda folder, repository: ""
    await examine(repo, environ)
    return sorted({*canary.read_text().split()}) if canary.exists() else []
