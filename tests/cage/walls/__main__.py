"""Plays one attack in this process: ``python -m tests.cage.walls MODULE BASE BACKEND walls|none``."""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from pathlib import Path

from tests.cage.walls import Unable


def main(name: str, base: str, backend: str, walls: str) -> None:
    module = importlib.import_module(f"tests.cage.walls.{name}")
    try:
        through = asyncio.run(module.attack(Path(base), backend, walls == "walls"))
    except Unable as why:
        print(json.dumps({"unable": str(why)}))
    else:
        print(json.dumps({"through": through}))


main(*sys.argv[1:])
