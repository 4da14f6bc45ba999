"""An ordinary user, where the tests run as root: a folder of his, and Python as he may run it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOMEBODY = 12345


@pytest.fixture
def theirs() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ob-"))
    os.chown(folder, SOMEBODY, SOMEBODY)
    yield folder
    shutil.rmtree(folder)


def python_for_somebody() -> str:
    """An interpreter that an ordinary user may run with our packages."""
    own = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for program in (sys.executable, shutil.which(own, path=os.defpath)):
        if program is None:
            continue
        try:
            done = subprocess.run(
                [program, "-c", "import pydantic, pytest"], env=environ_for_somebody(), cwd="/", capture_output=True,
                user=SOMEBODY, group=SOMEBODY, extra_groups=[], check=False,
            )  # fmt: skip
        except PermissionError:
            continue
        if done.returncode == 0:
            return program
    pytest.skip("no interpreter here that an ordinary user may run")


def environ_for_somebody() -> dict[str, str]:
    packages = sysconfig.get_paths()["purelib"]
    return {"PATH": os.defpath, "PYTHONPATH": f"{ROOT}:{packages}", "PYTHONDONTWRITEBYTECODE": "1", "HOME": "/"}
