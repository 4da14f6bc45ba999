"""There is one place where programs are found and one where children are started: every other way is refused here."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("daemon", "governance", "sensors", "tools", "kernel", "ledger")
MODULES = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))

WHOLE = ("subprocess", "multiprocessing", "pty", "_posixsubprocess", "webbrowser", "pexpect", "ctypes.util", "git")
"""Modules that start processes: who imports one goes his own way. (``git`` is GitPython.)"""
NAMES = (
    *("os.system", "os.popen", "os.fork", "os.forkpty", "os.posix_spawn", "os.posix_spawnp", "os.startfile"),
    *(f"os.exec{end}" for end in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
    *(f"os.spawn{end}" for end in ("l", "le", "lp", "lpe", "v", "ve", "vp", "vpe")),
    *("asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell", "asyncio.subprocess", "shutil.which"),
    *("concurrent.futures.ProcessPoolExecutor", "distutils.spawn", "typer.launch", "typer.edit", "click.launch"),
    *("click.edit", "uuid.uuid1", "uuid.getnode", "platform.processor", "sys.executable"),
)
METHODS = ("subprocess_exec", "subprocess_shell")  # of an event loop
INSIDE = "it runs inside the sandbox, in a process of its own"
ALLOWED: dict[str, tuple[str, str]] = {
    "ledger/children.py": ("subprocess os.execv sys.executable", "it is the one that starts children"),
    "tools/git_python.py": ("git", "GitPython, whose calls go through Git's own"),
    "tools/builtin/git_log.py": ("git", "names GitPython's errors"),
    "tools/git.py": ("git", "names GitPython's type"),
    "tools/sandbox/launcher.py": ("os.fork os.execve", INSIDE),
    "tools/sandbox/attacks.py": ("os.fork", INSIDE),
    "tools/testing/pytest_plugins/_ouro_test_worker.py": ("os.fork", INSIDE),
    "tools/testing/pytest_plugins/_ouro_probe.py": ("os.fork", INSIDE),
    "tools/testing/pytest_plugins/_ouro_screen.py": ("os.fork", INSIDE),
    "tools/sandbox/probe.py": ("sys.executable", "the interpreter's real path, which code inside may start"),
    "daemon/lifecycle/doctor.py": ("sys.executable", "shows it"),
    "daemon/cli/machine.py": ("sys.executable", "the command beside it goes into the unit"),
    "daemon/lifecycle/serve.py": ("sys.executable", "becomes itself again, isolated"),
}


def ways(tree: ast.AST) -> Iterator[str]:
    """Every name in a module by which a process could be started, or a program looked up."""
    known: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            known |= {
                (one.asname or one.name.partition(".")[0]): one.name if one.asname else one.name.partition(".")[0]
                for one in node.names
            }
            yield from (found for one in node.names if (found := _whole(one.name)))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            known |= {one.asname or one.name: f"{node.module}.{one.name}" for one in node.names}
            for one in node.names:
                yield from (found for found in (_whole(f"{node.module}.{one.name}"),) if found)
                yield from (name for name in NAMES if name == f"{node.module}.{one.name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            dotted = _dotted(node, known)
            yield from (name for name in NAMES if name == dotted)
            yield from (name for name in METHODS if name == node.attr)


def _whole(module: str) -> str:
    return next((one for one in WHOLE if module == one or module.startswith(f"{one}.")), "")


def _dotted(node: ast.expr, known: dict[str, str]) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, known)}.{node.attr}"
    return known.get(node.id, node.id) if isinstance(node, ast.Name) else ""


@pytest.mark.parametrize("file", MODULES, ids=[str(file.relative_to(ROOT)) for file in MODULES])
def test_processes_are_started_in_one_place(file: Path) -> None:
    found = set(ways(ast.parse(file.read_text(encoding="utf-8"))))
    allowed, _ = ALLOWED.get(str(file.relative_to(ROOT)), ("", ""))
    assert found == set(allowed.split()), "start it with ledger.children, find it with ledger.programs"


@pytest.mark.parametrize(
    ("code", "way"),
    [
        ("import subprocess as s", "subprocess"),
        ("from subprocess import Popen", "subprocess"),
        ("from os import execv as e", "os.execv"),
        ("import os as o\no.execvp('a', ['a'])", "os.execvp"),
        ("import asyncio\nasyncio.create_subprocess_shell('x')", "asyncio.create_subprocess_shell"),
        ("async def f(loop): await loop.subprocess_exec(1)", "subprocess_exec"),
        ("def f():\n    from multiprocessing import Process", "multiprocessing"),
        ("import shutil\nshutil.which('git')", "shutil.which"),
        ("from sys import executable", "sys.executable"),
        ("import git.repo", "git"),
    ],
)
def test_other_ways_are_seen(code: str, way: str) -> None:
    assert way in set(ways(ast.parse(code)))


def test_git_is_looked_up_in_one_module() -> None:
    """So every git process has the options and the environment of ``tools.git``."""
    found = [
        str(file.relative_to(ROOT))
        for file in MODULES
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and node.args and ast.unparse(node.func).endswith("find_program")
        if isinstance(node.args[0], ast.Constant) and node.args[0].value == "git"
    ]
    assert set(found) == {"tools/git.py"}


def test_nothing_is_allowed_that_is_not_there() -> None:
    assert {str(file.relative_to(ROOT)) for file in MODULES} >= ALLOWED.keys()
    assert all(reason for _, reason in ALLOWED.values())
