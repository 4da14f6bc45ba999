"""The environment is a submodule of a recursive clone, or what is left of one: ``git ls-files`` lists nothing in it."""

from __future__ import annotations

from pathlib import Path

from tests.cage.walls.environments import anything_goes, lay_ground, make_own, run, standing
from tests.repos import commit, git, make_repo

BEFORE_THE_SANDBOX = True


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    through: list[str] = []
    for left in (False, True):
        (base / str(left)).mkdir()
        ground = lay_ground(base / str(left))
        above = make_repo(base / f"{left}-upstream")
        site = make_own(above / "env")
        (site / "zz.pth").write_text(f"{ground.key.parent}\n")
        git(above, "add", "-f", ".")
        commit(above)
        ground.plant(ground.key)
        add = ("-c", "protocol.file.allow=always", "submodule", "add", "-q", "-f", f"file://{above}", ".venv")
        git(ground.repo, *add)
        (ground.repo / ".venv/env").rename(ground.repo / ".venv/moved")
        for part in (ground.repo / ".venv/moved").iterdir():
            part.rename(ground.repo / ".venv" / part.name)
        commit(ground.repo, "pulled")
        if left:  # a later commit takes it away: git leaves the files
            git(ground.repo, "rm", "-q", "--cached", ".venv")
            commit(ground.repo, "no submodule")
        with standing(wall, anything_goes):
            through += ground.reached(await run(ground, backend))
    return through
