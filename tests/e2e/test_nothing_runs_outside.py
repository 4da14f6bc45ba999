"""A repository full of programs and modules with the names of ours: `ouro`, called in the midst of it, runs none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.world import PLUS, SHOP, own_environment
from tests.repos import commit, make_repo

OURO = Path(sys.executable).with_name("ouro")
PROGRAMS = (
    "git", "bwrap", "prlimit", "gh", "rg", "bash", "sh", "systemctl", "tesseract", "readlink", "uname", "env", "ssh",
    "ldconfig", "gcc", "pip", "less", "cat", "false", "true",
)  # fmt: skip
MODULES = (
    "sitecustomize.py", "json.py", "asyncio/__init__.py", "tools/__init__.py", "ledger/__init__.py",
    "daemon/__init__.py", "typer.py", "pydantic/__init__.py",
)  # fmt: skip
SCRIPT = '#!/bin/sh\necho "$0" >> "{canary}"\nexit 3\n'
MODULE = "try:\n    open({canary!r}, 'a').write({name!r} + chr(10))\nexcept OSError:\n    pass\n"


@dataclass(frozen=True)
class Trap:
    """``canary`` holds a line for each that ran; ``environ`` is that of an owner who has activated what lies here."""

    repo: Path
    canary: Path
    environ: Mapping[str, str]

    def ran(self) -> list[str]:
        return self.canary.read_text().split() if self.canary.exists() else []

    def ouro(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [OURO, *words], cwd=self.repo, env=self.environ, capture_output=True, text=True, check=False, timeout=300,
            stdin=subprocess.DEVNULL,
        )  # fmt: skip


def script(path: Path, canary: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(SCRIPT.format(canary=canary))
    path.chmod(0o755)


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    repo, canary = make_repo(tmp_path / "repo", {**SHOP, ".gitignore": ".venv/\n"}), tmp_path / "canary"
    own_environment(repo)
    for name in PROGRAMS:
        for folder in ("bin", ".venv/bin"):
            script(repo / folder / name, canary)
    for name in ("python3", "python"):
        script(repo / "bin" / name, canary)
    modules = {name: MODULE.format(canary=str(canary), name=name) for name in MODULES}
    commit(repo, "Take the discount off", {**modules, "shop/cart.py": PLUS})
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "bwrap").symlink_to(repo / "bin" / "bwrap")
    (tmp_path / "through").symlink_to(repo / "bin")
    for folder in ("home", "run"):
        (tmp_path / folder).mkdir(mode=0o700)
    folders = (repo / ".venv/bin", "bin", ".", "", repo / "bin", tmp_path / "links", tmp_path / "through")
    environ = {
        "PATH": ":".join((*map(str, folders), os.environ["PATH"])), "PYTHONPATH": ".", "HOME": str(tmp_path / "home"),
        "XDG_RUNTIME_DIR": str(tmp_path / "run"), "LANG": "C.UTF-8", "VIRTUAL_ENV": str(repo / ".venv"),
        "OURO_KERNEL__PROVIDER": "openai", "OURO_KERNEL__OPENAI__BASE_URL": "http://127.0.0.1:9/v1",
        "OURO_KERNEL__OPENAI__MODEL": "none",
    }  # fmt: skip
    return Trap(repo, canary, environ)


def test_nothing_of_the_repository_runs(trap: Trap) -> None:
    doctor = trap.ouro("doctor")
    assert trap.ran() == [], doctor.stdout
    assert "git version" in doctor.stdout, doctor.stdout + doctor.stderr
    assert f"{trap.repo}/.venv/bin lies in the repository" in doctor.stdout, "it says what it left out"
    for words in (("status",), ("init",), ("fix",), ("service", "status"), ("log",), ("ledger", "verify")):
        done = trap.ouro(*words)
        assert trap.ran() == [], (words, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, done.stderr
        if words == ("fix",):
            assert "test_total_with_discount" in done.stdout + done.stderr, "it has looked at the tests"


def test_the_traps_themselves_work(trap: Trap) -> None:
    """What the owner's own shell and Python would run there, as far as they are asked for it."""
    for name in PROGRAMS:
        subprocess.run([name], cwd=trap.repo, env=trap.environ, check=False)
    assert {Path(line).name for line in trap.ran()} == set(PROGRAMS)
    trap.canary.unlink()
    names = ", ".join(name.partition(".")[0].partition("/")[0] for name in MODULES)
    subprocess.run([sys.executable, "-c", f"import {names}"], cwd=trap.repo, env=trap.environ, check=False)
    assert set(trap.ran()) == set(MODULES)
