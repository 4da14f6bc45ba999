"""Plays one attack, with its wall and without: ``python -m tests.cage.walls MODULE BASE BACKEND``.

The modules are imported once; each play is a process of its own, forked from there.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from tests.cage.walls import Unable


def main(name: str, base: str, backend: str) -> None:
    module = importlib.import_module(f"tests.cage.walls.{name}")
    told: dict[str, Any] = {}
    for walls in ("walls", "none"):
        folder = Path(base) / walls
        folder.mkdir()
        told = {**told, **apart(module, folder, backend, walls)}
        if "unable" in told:
            break
    print(json.dumps(told))


def apart(module: ModuleType, base: Path, backend: str, walls: str) -> dict[str, Any]:
    """What a child says of its play; ends this process too where the child failed."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.close(read)
            os.environ["HOME"] = str(base)
            with open(write, "w") as out:
                json.dump(played(module, base, backend, walls), out)
            code = 0
        finally:
            if code:
                traceback.print_exc()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    os.close(write)
    with open(read) as told:
        text = told.read()
    if code := os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        sys.exit(f"the play {walls!r} ended with {code}")
    said: dict[str, Any] = json.loads(text)
    return said


def played(module: ModuleType, base: Path, backend: str, walls: str) -> dict[str, Any]:
    try:
        return {walls: asyncio.run(module.attack(base, backend, walls == "walls"))}
    except Unable as why:
        return {"unable": str(why)}


main(*sys.argv[1:])
