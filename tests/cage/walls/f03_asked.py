"""An interpreter of the owner's is asked what it is: what is installed for it, and what it finds around it, is the
repository's (an editable install puts the checkout on the import path; version managers look into the folder)."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from ledger.places import HostEnv
from tests.cage.walls.environments import lay_ground, standing
from tests.repos import commit
from tools.testing.environment import interpreter
from tools.testing.environment.detection import detect
from tools.testing.settings import TestSettings

BACKENDS = ("landlock",)  # no sandbox takes part


@contextlib.contextmanager
def asked_as_it_is() -> Iterator[None]:
    """Without the wall: with its packages, in the repository."""
    with mock.patch.object(interpreter, "_ALONE", ("-I",)), mock.patch.object(interpreter, "_ANYWHERE", Path.cwd()):
        yield


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    ground = lay_ground(base)
    marks = base / "marks"
    marks.mkdir()
    commit(ground.repo, "pulled", {
        "sitecustomize.py": f"open({str(marks / 'sitecustomize')!r}, 'w').close()\n",
        "tool": f"#!/bin/sh\ntouch {marks / 'manager'}\n",
    })  # fmt: skip
    (ground.repo / "tool").chmod(0o755)
    theirs = installation(base / "python", f"{ground.repo}\n")
    shim = base / "shims/python3"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\n[ -x ./tool ] && ./tool\nexec {theirs}/bin/python3 "$@"\n')
    shim.chmod(0o755)
    path = f"{shim.parent}:{os.defpath}"
    os.chdir(ground.repo)
    with standing(wall, asked_as_it_is):
        await detect(ground.places, TestSettings(), HostEnv(variables={"PATH": path}, path=path))
    return sorted(mark.name for mark in marks.iterdir())


def installation(folder: Path, linked: str) -> Path:
    """A Python of the owner's, not an environment, with a ``.pth`` that an editable install has put there."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    lib = folder / "lib" / version
    lib.mkdir(parents=True)
    for entry in Path(os.__file__).parent.iterdir():
        if entry.name not in ("site-packages", "dist-packages"):
            (lib / entry.name).symlink_to(entry)
    (folder / "bin").mkdir()
    shutil.copy(os.path.realpath(sys.executable), folder / "bin/python3")
    for site in (lib / "site-packages", lib / "dist-packages", folder / f"local/lib/{version}/dist-packages"):
        site.mkdir(parents=True)
        (site / "__editable__.pth").write_text(linked)
    return folder
