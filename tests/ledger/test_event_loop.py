"""Where every watch of epoll(7) that the kernel gives this user is taken: what code in the sandbox can do to him."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

from tests.repos import host_env, make_repo

TAKEN = """
import errno, sys
from tools.sandbox.calls import NUMBERS
from tools.sandbox.launcher import Libc
from tools.sandbox.seccomp import Rule, program
NUMBERS["epoll_ctl"] = (233, 21)
libc = Libc()
libc.prctl(38, 1)
libc.prctl_filter(program((Rule(errno.ENOSPC, ("epoll_ctl",)),)))
"""
TRAP = """
import asyncio
try:
    asyncio.run(asyncio.sleep(0))
except OSError as error:
    sys.exit(error.errno)
"""
OURO = """
from daemon.cli import main
sys.argv[0] = "ouro"
sys.exit(main())
"""


def python(base: Path, code: str, *words: str) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    env = {**host_env(HOME=str(base), XDG_RUNTIME_DIR=str(base)).variables, "PYTHONPATH": str(root)}
    return subprocess.run([sys.executable, "-c", code, *words], env=env, capture_output=True, text=True, check=False)


def test_a_command_needs_none(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "repo")
    tmp_path.chmod(0o700)
    assert python(tmp_path, TAKEN + TRAP).returncode == errno.ENOSPC
    words = ("--repo", str(repo), "ledger", "verify")
    free, taken = python(tmp_path, f"import sys{OURO}", *words), python(tmp_path, TAKEN + OURO, *words)
    assert (taken.returncode, taken.stdout, taken.stderr) == (free.returncode, free.stdout, free.stderr)
    assert "space" not in taken.stderr


def test_nobody_else_begins_a_loop_or_takes_what_python_takes() -> None:
    root = Path(__file__).parents[2]
    rooms = ("daemon", "governance", "sensors", "tools", "kernel", "ledger")
    for file in (file for room in rooms for file in (root / room).rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        assert not any(name in text for name in ("asyncio.run(", "DefaultSelector", "EpollSelector", ".epoll(")), file
