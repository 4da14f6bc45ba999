"""The repository has a ``.venv/bin/python`` of its own, beside a ``pyvenv.cfg`` that is anything but a file."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from unittest import mock

from ledger.places import HostEnv, Places
from tests.cage.walls.environments import lay_ground, standing
from tests.repos import commit
from tools.testing.environment import interpreter
from tools.testing.environment.detection import detect
from tools.testing.settings import TestSettings

BACKENDS = ("landlock",)  # no sandbox takes part


def nothing(config: Path) -> None:
    """There is none."""


def link(config: Path) -> None:
    config.symlink_to("nowhere")


def circle(config: Path) -> None:
    config.symlink_to(config)


def huge(config: Path) -> None:
    with config.open("wb") as file:
        file.truncate(1 << 40)


def no_text(config: Path) -> None:
    config.write_bytes(b"home = /\0\xff\nversion = 3.11\n")


KINDS: Mapping[str, Callable[[Path], None]] = {
    "nothing": nothing, "folder": Path.mkdir, "link": link, "circle": circle, "pipe": os.mkfifo, "huge": huge,
    "file": no_text,
}  # fmt: skip


@contextlib.contextmanager
def asks_anybody() -> Iterator[None]:
    """Without the wall: an interpreter without a ``pyvenv.cfg`` of the right kind is run to say what it is."""

    def one(python: Path, env: HostEnv, timeout_s: float, origin: object) -> interpreter.Interpreter | None:
        return interpreter.ask(python, cwd=Path("/"), env=env, timeout_s=timeout_s)

    with mock.patch.object(interpreter, "_one", one):
        yield


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    through: list[str] = []
    for kind, make in KINDS.items():
        (base / kind).mkdir()
        ground = lay_ground(base / kind)
        marks = base / kind / "marks"
        marks.mkdir()
        python = ground.repo / ".venv/bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/sh\ntouch "{marks}/ran"\n')
        python.chmod(0o755)
        (python.parent / "python3").symlink_to("python")
        (base / kind / "bin").mkdir()
        (base / kind / "bin/python3").symlink_to(python)
        if kind not in ("pipe", "huge"):  # no commit holds one; a build of the owner's may
            make(ground.repo / ".venv/pyvenv.cfg")
            commit(ground.repo, "pulled", {".gitignore": ""})
        else:
            commit(ground.repo, "pulled", {".gitignore": ""})
            make(ground.repo / ".venv/pyvenv.cfg")
        with standing(wall, asks_anybody):
            for way, found in ways(ground.places, base / kind / "bin"):
                problem = (await detect(ground.places, *found)).problem
                if list(marks.iterdir()):
                    through.append(f"ran beside a {kind}, by {way}")
                    (marks / "ran").unlink()
                elif wall and not problem and way == "setting":
                    through.append(f"no word of it beside a {kind}")
    return through


def ways(places: Places, bin_: Path) -> Iterator[tuple[str, tuple[TestSettings, HostEnv]]]:
    """The setting, an activated environment, a link outside that leads in."""
    named = (".venv/bin/python", "python"), (".venv", "folder")
    plain = HostEnv(variables={"PATH": os.defpath}, path=os.defpath)
    for setting, _ in named:
        yield "setting", (TestSettings(python=setting), plain)
    for folder in (places.repo / ".venv/bin", bin_):
        path = f"{folder}:{os.defpath}"
        yield "search path", (TestSettings(), HostEnv(variables={"PATH": path}, path=path))
