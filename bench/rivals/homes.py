"""Environments of others, each made once from the package index."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

PACKAGES = {
    "xllamacpp": "xllamacpp==2026.10.11549",
    "mini-swe-agent": "mini-swe-agent==2.4.6",
    "aider": "aider-chat==0.86.2",
}


def home(name: str, folder: Path) -> Path:
    """The ``bin`` folder of an environment that has ``name``; made when it is not there."""
    place = folder / name
    if not (place / "ready").exists():
        print(f"{name}: installing {PACKAGES[name]} ...", file=sys.stderr, flush=True)
        shutil.rmtree(place, ignore_errors=True)
        venv.create(place, with_pip=True)
        subprocess.run([place / "bin/python", "-m", "pip", "install", "-q", PACKAGES[name]], check=True)
        (place / "ready").touch()
    return place / "bin"
