"""A test looks for the private keys of the machine's services among the certificates."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from tests.cage.walls import Unable
from tests.cage.walls.environments import lay_ground, make_own, run, standing
from tests.repos import commit
from tools.sandbox import tree

USERS = ("root",)  # nobody else can read them outside either
KEYS = Path("/etc/ssl/private")

TEST = """
import os, pytest

def test_keys():
    with pytest.raises(OSError):
        os.listdir({keys!r})
"""


@contextlib.contextmanager
def all_of_ssl() -> Iterator[None]:
    with mock.patch.object(tree, "ETC", (*(name for name in tree.ETC if not name.startswith("ssl")), "ssl")):
        yield


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    if not KEYS.is_dir():
        raise Unable(f"there is no {KEYS} here")
    ground = lay_ground(base)
    make_own(ground.repo / ".venv")
    commit(ground.repo, "A test", {"tests/test_trap.py": TEST.replace("{keys!r}", repr(str(KEYS)))})
    with standing(wall, all_of_ssl):
        done = await run(ground, backend)
    return ["listed the keys"] if done is not None and done.red else []
