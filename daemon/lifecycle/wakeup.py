"""The pytest wake-up: a small installed package in the environment of the repository's tests.

pytest finds it through its entry point (and names it among its plugins, where it names them), pip lists and removes it.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path

from ledger.errors import ConfigError, PolicyRefused
from ledger.places import Places
from tools import contained

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
    site = site_packages.resolve()
    return all(_same(site, name, data) for name, data in _files(places).items())


def install(site_packages: Path, places: Places) -> bool:
    """Write what is missing or old; True when that was something. Raises ``ConfigError`` where it cannot be written."""
    site = site_packages.resolve()
    changed = [_put(site, name, data) for name, data in _files(places).items()]
    names = {path.name for path in (site / FOLDER).iterdir() if path.name.isprintable()} | {"RECORD"}
    listed = [MODULE, *(f"{FOLDER}/{name}" for name in sorted(names))]
    changed.append(_put(site, f"{FOLDER}/RECORD", "".join(f"{name},,\n" for name in listed).encode()))
    return any(changed)


def _files(places: Places) -> dict[str, bytes]:
    """Contents by path below the folder of packages."""
    target = {"repository": str(places.repo), "spool": str(places.spool)}
    return {
        MODULE: resources.files("daemon.data").joinpath(MODULE).read_bytes(),
        f"{FOLDER}/METADATA": METADATA.encode(),
        f"{FOLDER}/INSTALLER": b"ouroboros\n",
        f"{FOLDER}/{places.repo_id}.json": json.dumps(target).encode() + b"\n",
        f"{FOLDER}/entry_points.txt": ENTRY_POINTS.encode(),  # last: from here on pytest loads it
    }


def _same(site: Path, name: str, data: bytes) -> bool:
    try:
        return contained.read_file(site, name, most=len(data)) == data
    except (PolicyRefused, OSError):  # a link, a larger file
        return False


def _put(site: Path, name: str, data: bytes) -> bool:
    """Write a file of ours whole, or leave it when it is right. True when it was written."""
    if _same(site, name, data):
        return False
    try:
        contained.write_file(site, name, data, 0o644)
    except (PolicyRefused, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else error.message.rstrip(".")
        raise ConfigError(
            f"The pytest wake-up cannot be written to {site / name}: {why}.",
            remedy="Run `ouro init --no-plugin`, or use an environment that you can write to.",
        ) from error
    return True
