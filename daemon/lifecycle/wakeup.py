"""The pytest wake-up: a small installed package in the environment of the repository's tests.

pytest finds it through its entry point (and names it among its plugins, where it names them), pip lists and removes it.
"""

from __future__ import annotations

import json
import os
from importlib import resources
from pathlib import Path

from ledger.errors import ConfigError
from ledger.places import Places

MODULE = "_ouro_wakeup.py"
FOLDER = "ouroboros_wakeup-1.dist-info"
METADATA = """\
Metadata-Version: 2.1
Name: ouroboros-wakeup
Version: 1
Summary: Tells the Ouroboros daemon of a repository that a pytest run has ended.
"""
ENTRY_POINTS = "[pytest11]\nouroboros_wakeup = _ouro_wakeup\n"


def target_file(site_packages: Path, places: Places) -> Path:
    """The file by which the module knows this repository."""
    return site_packages / FOLDER / f"{places.repo_id}.json"


def is_installed(site_packages: Path, places: Places) -> bool:
    """Is everything there, as this version writes it?"""
    return all(_same(path, text) for path, text in _files(site_packages, places).items())


def install(site_packages: Path, places: Places) -> bool:
    """Write what is missing or old; True when that was something. Raises ``ConfigError`` where it cannot be written."""
    changed = [_put(path, text) for path, text in _files(site_packages, places).items()]
    folder = site_packages / FOLDER
    names = {path.name for path in folder.iterdir()} | {"RECORD"}
    listed = [MODULE, *(f"{FOLDER}/{name}" for name in sorted(names))]
    changed.append(_put(folder / "RECORD", "".join(f"{name},,\n" for name in listed)))
    return any(changed)


def _files(site_packages: Path, places: Places) -> dict[Path, str]:
    folder = site_packages / FOLDER
    target = {"repository": str(places.repo), "spool": str(places.spool)}
    return {
        site_packages / MODULE: resources.files("daemon.data").joinpath(MODULE).read_text(encoding="utf-8"),
        folder / "METADATA": METADATA,
        folder / "INSTALLER": "ouroboros\n",
        folder / f"{places.repo_id}.json": json.dumps(target) + "\n",
        folder / "entry_points.txt": ENTRY_POINTS,  # last: from here on pytest loads it
    }


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _put(path: Path, text: str) -> bool:
    """Write a file of ours whole, or leave it when it is right. True when it was written."""
    if _same(path, text):
        return False
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(exist_ok=True)
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(
            f"The pytest wake-up cannot be written to {path}: {error.strerror}.",
            remedy="Run `ouro init --no-plugin`, or use an environment that you can write to.",
        ) from error
    return True
