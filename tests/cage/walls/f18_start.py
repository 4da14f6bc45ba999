"""A development installation puts a folder of the repository on the import path. In it lies what Python imports by name
at its start, and what its library looks for in vain: it would run in the process that watches the tests."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tests.cage.walls.environments import lay_ground, make_own, run
from tests.repos import commit
from tools.testing import runner

BACKENDS = ("bwrap",)  # behind Landlock the checkout, which the installation names, is not seen
MARK = "import builtins, os\nbuiltins.RAN = getattr(builtins, 'RAN', os.getpid())\n"
TAKEN = "raise ImportError('not on this system')\n"
FILES = {
    "src/nt.py": MARK + TAKEN, "src/_winapi.py": MARK + TAKEN,
    "src/msvcrt.py": MARK + "raise ModuleNotFoundError('not on this system')\n",
}  # fmt: skip
ASKING = """
import builtins, os

def test_where_it_ran():
    where = getattr(builtins, "RAN", None)
    raise AssertionError("it ran " + {None: "nowhere", os.getpid(): "here"}.get(where, "in the watcher"))
"""


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    ground = lay_ground(base)
    site = make_own(ground.repo / ".venv")
    (site / "shop.pth").write_text(f"{ground.repo / 'src'}\n")
    if importlib.util.find_spec("sitecustomize") is None:  # else this machine's Python finds its own first
        commit(ground.repo, "At the start", {"src/sitecustomize.py": MARK})
    commit(ground.repo, "Start", {**FILES, "tests/test_asking.py": ASKING})
    if not wall:
        kept = "sys.path[:] = filter(foreign, path)\n"
        assert kept in runner._BOOT
        runner._CUSTOM, runner._BOOT = (), runner._BOOT.replace(kept, "")
    done = await run(ground, backend)
    said = " ".join(result.message for result in done.results) if done is not None else ""
    if "it ran " not in said:
        raise RuntimeError(f"the trap was not sprung: {done}")
    return ["the watcher"] if "in the watcher" in said else []
