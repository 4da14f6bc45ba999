"""A task whose repository has a ``daemon/``, and a git folder with a program in its settings: a trial imported it."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from daemon.evaluation import trial
from daemon.evaluation.tasks import read_tasks
from ledger.errors import OuroError
from tests.repos import git, make_repo, write

BACKENDS = ("landlock",)  # what runs, runs before there is a sandbox
MODULES = ("daemon/__init__.py", "tools/__init__.py", "json.py", "asyncio.py")
TRAP = "open({canary!r}, 'a').write({name!r} + chr(10))\n"
SETTINGS = ("core.fsmonitor", "core.sshCommand", "core.hooksPath")


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    canary, task = base / "canary", base / "tasks" / "one"
    repo = make_repo(task / "repo", {name: TRAP.format(canary=str(canary), name=name) for name in MODULES})
    write(repo, {"test_a.py": "def test_a():\n    assert False\n"})
    write(task, {"task.json": '{"red": ["test_a.py::test_a"]}'})
    trap = base / "hooks/pre-commit"
    write(base, {"hooks/pre-commit": f"#!/bin/sh\necho settings >> {canary}\n"})
    trap.chmod(0o755)
    git(repo, "config", "core.fsmonitor", str(trap))
    git(repo, "config", "core.hooksPath", str(trap.parent))
    if not wall:
        trial.COMMAND = (sys.executable, *trial.COMMAND[2:])
    environ = {
        **os.environ,
        "OURO_KERNEL__PROVIDER": "openai",
        "OURO_KERNEL__OPENAI__BASE_URL": "http://127.0.0.1:9/v1",
    }
    with suppress(OuroError):  # whether it can be judged here is another question
        await trial.attempt(read_tasks(base / "tasks")[0], label="x", cap_s=60, environ=environ)
    return sorted({*canary.read_text().split()}) if canary.exists() else []
