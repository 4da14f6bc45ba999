"""The key and the token of another repository's daemon, in a folder that the owner names or that lies above them."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from unittest import mock

from ledger.errors import ConfigError, SandboxError
from ledger.places import Places
from tests.cage.walls import Unable
from tests.cage.walls.confined import told
from tests.cage.walls.environments import Ground, lay_ground, make_own, run, standing
from tests.repos import host_env
from tools.mcp.settings import McpSettings, ServerSettings
from tools.mcp.transports import TransportFactory
from tools.sandbox.choice import candidates
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Mount

READING = """
import json, os, sys
found = []
for top, _, names in os.walk(sys.argv[1]):
    for name in names:
        try:
            found.append(open(os.path.join(top, name)).read())
        except OSError:
            continue
print(json.dumps(sys.argv[2] in found))
"""


@contextlib.contextmanager
def one_repository() -> Iterator[None]:
    """Without the wall: nothing but the state of this repository is ours."""
    with mock.patch.object(Places, "states", property(lambda places: places.state)):
        yield


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    ground = _ground(base / "ground")
    states = ground.places.state.parent
    other = states / "0123456789ab"
    (other / "keys").mkdir(parents=True)
    (other / "keys/signing").write_text(ground.word)
    ground.plant(other / "keys/signing")
    with standing(wall, one_repository):
        found = await run(ground, backend, readable=[str(other)])
        through = [f"named for tests: {what}" for what in ground.reached(found)]
        through += [
            f"{where}" for where in ("a mount above", "a server's folder") if await _seen(ground, backend, where)
        ]
    return through


def _ground(base: Path) -> Ground:
    base.mkdir()
    ground = lay_ground(base)
    make_own(ground.repo / ".venv")
    state = base / "xdg/ouroboros" / ground.places.repo_id
    (state / "keys").mkdir(parents=True)
    return replace(ground, places=replace(ground.places, state=state))


async def _seen(ground: Ground, backend: str, where: str) -> bool:
    places = ground.places
    box = dict(candidates(SandboxSettings(), places, host_env()))[backend]
    if isinstance(box, str):
        raise Unable(box)
    folder = places.state.parent.parent
    mounts: tuple[Mount, ...] = (Mount(source=folder, target=folder),)
    try:
        if where == "a server's folder":
            server = ServerSettings(command="/bin/sh", readable=(str(places.state.parent / "0123456789ab"),))
            transports = TransportFactory(
                places=places, env=host_env(), lookup=lambda *_: None, bounds=McpSettings(), sandbox=box
            )
            mounts = transports._program_and_mounts(server)[1]
        return bool(await told(box, places.home, READING, folder, ground.word, mounts=mounts))
    except (ConfigError, SandboxError):
        return False
