"""Python installations of the owner's, in the places where version managers put them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"


def make_installation(folder: Path) -> Path:
    """A working Python of its own below ``folder``: a copy of this one, without what no test here needs."""
    lib = folder / "lib" / VERSION
    unneeded = ("*-packages", "__pycache__", "test", "tests", "idlelib", "ensurepip", "tkinter", "lib2to3", "config-*")
    shutil.copytree(Path(os.__file__).parent, lib, ignore=shutil.ignore_patterns(*unneeded), symlinks=False)
    (lib / "site-packages").mkdir()
    (folder / "bin").mkdir()
    shutil.copy(os.path.realpath(sys.executable), folder / "bin" / VERSION)
    (folder / "bin/python3").symlink_to(VERSION)
    return folder


def environment_of(python: Path, folder: Path, *linked: Path) -> Path:
    """An environment that such an installation makes; ``linked`` folders stand in a ``.pth``."""
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    site = next((folder / "lib").glob("python3.*/site-packages"))
    (site / "linked.pth").write_text("".join(f"{path}\n" for path in linked))
    return folder
