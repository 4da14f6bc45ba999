"""Code behind one back end, for attacks on what the back ends themselves are made of."""

from __future__ import annotations

import json
import os
from dataclasses import fields
from pathlib import Path
from typing import Any

from ledger.places import HostEnv
from tests.cage.walls import Unable
from tests.repos import make_places
from tests.tools.sandbox.boxes import Box
from tools.process import Finished
from tools.sandbox.choice import candidates
from tools.sandbox.probe import interpreter
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Job, Mount

TIME_S = 120.0


def box_of(base: Path, backend: str, **kinds: type[Any]) -> Box:
    """The back end as the daemon would have it; ``kinds`` names what takes its place, by back end."""
    (base / "repo").mkdir(exist_ok=True)
    places = make_places(base, base / "repo")
    found = dict(candidates(SandboxSettings(), places, HostEnv(variables={}, path=os.environ["PATH"])))[backend]
    if isinstance(found, str):
        raise Unable(found)
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    made: Box = kinds.get(backend, type(found))(**values)
    return made


async def run(box: Box, base: Path, code: str, *arguments: object, **more: Any) -> Finished:
    """Run Python ``code`` inside, in the writable folder ``work`` of ``base``. ``mounts`` are further ones."""
    work = base / "work"
    work.mkdir(exist_ok=True)
    program, needed = interpreter()
    mounts = (Mount(source=work, target=work, writable=True, closed=True), *needed, *more.pop("mounts", ()))
    argv = (str(program), "-I", "-S", "-c", code, *map(str, arguments))
    return await box.run(Job(argv=argv, cwd=work, mounts=mounts, **{"timeout_s": TIME_S, **more}))


async def told(box: Box, base: Path, code: str, *arguments: object, **more: Any) -> Any:
    """What ``code`` printed last, which is JSON."""
    done = await run(box, base, code, *arguments, **more)
    if done.code != 0:
        raise RuntimeError(done.output.decode(errors="replace"))
    return json.loads(done.output.splitlines()[-1])
