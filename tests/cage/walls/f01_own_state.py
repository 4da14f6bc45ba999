"""The owner's setting names the daemon's own folders, as they are, by what lies in them, and through a link."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from tests.cage.walls.environments import lay_ground, make_own, run, standing
from tools.sandbox import landlock, tree
from tools.testing.environment import mounts

BEFORE_THE_SANDBOX = True


@contextlib.contextmanager
def nothing_is_hidden() -> Iterator[None]:
    """Without the wall: a mount that names a folder of the daemon's shows it."""
    with (
        mock.patch.object(tree, "_refuse", lambda *_: None),
        mock.patch.object(landlock, "refuse_hidden", lambda *_: None),
        mock.patch.object(mounts._Rules, "refusal", lambda *_, **__: None),
    ):
        yield


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    through = []
    for number, name in enumerate(("state", "keys", "link")):
        (base / str(number)).mkdir()
        ground = lay_ground(base / str(number))
        make_own(ground.repo / ".venv")
        state, keys = ground.places.state, ground.places.keys
        (base / "link").unlink(missing_ok=True)
        (base / "link").symlink_to(keys)
        named = {"state": state, "keys": keys, "link": base / "link"}[name]
        ground.plant(keys / "signing", base / "link/signing")
        with standing(wall, nothing_is_hidden):
            run_ = await run(ground, backend, readable=[str(named)])
        through += [f"{what}, by {name}" for what in ground.reached(run_)]
    return through
