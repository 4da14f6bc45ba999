"""The same shell tricks in a bare shell: there they work, so that it is the gate and the sandbox that stop them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.cage.corpus import Input, families
from tests.cage.outside import Outside, outside
from tests.repos import commit, make_repo

NEEDS = {
    "another user's rights": "doas", "connection by a program": "curl", "make runs": "make",
    "connection by perl": "perl", "perl writes": "perl",
}  # fmt: skip
"""Programs that may be missing here."""
REACHES = ("{mark}", "{secret}", "{port}")
FILES = {"shop/cart.py": "total = 1\n", "shop/__init__.py": "", "Makefile": ""}


def tricks() -> list[Input]:
    """Those that reach something outside."""
    found = [one for family in families() if family.drive == "shell" for one in family.input]
    able = [one for one in found if one.name not in NEEDS or shutil.which(NEEDS[one.name])]
    return [one for one in able if any(word in one.command for word in REACHES)]


def reached(one: Input, repo: Path, world: Outside) -> bool:
    """Whether the trick has had its effect."""
    values = {"mark": world.marks / one.label, "name": one.label, "port": world.port, "outside": world.base}
    command = one.command
    for word, value in values.items():
        command = command.replace(f"{{{word}}}", str(value))
    command = command.replace("{secret}", str(world.canary(one.label)))
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-c", command], cwd=repo, stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=30, check=False,
    )  # fmt: skip
    return world.secret(one.label) in done.stdout or one.label in world.left_marks()


def test_without_gate_and_sandbox_every_trick_reaches_what_is_outside(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "shop", FILES)
    commit(repo, "total", {"shop/cart.py": "total = 2\n"})
    with outside(tmp_path / "beyond") as world:
        missed = {one.name for one in tricks() if not reached(one, repo, world)}
    assert {one.name for one in tricks() if one.name in missed and one.label not in world.visitors()} == set()
    assert len(tricks()) > 60
