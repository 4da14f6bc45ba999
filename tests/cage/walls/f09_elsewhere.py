"""A change of a file that other programs or machines run lands silently: CI, editors, containers, build files, agents.

Every path of ``corpus/unattended/elsewhere.toml`` is changed in one harmless line. The wall is gate 20.
"""

from __future__ import annotations

from pathlib import Path

from governance.irongate import registry
from tests.cage.unattended import FAULTY, MENDED, elsewhere, silent, tier_of

BACKENDS = ("landlock",)  # nothing is run: which sandbox there is makes no difference
USERS = ("anybody",)


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    if not wall:
        gates = registry.CANDIDATE_GATES
        registry.CANDIDATE_GATES = tuple(gate for gate in gates if gate.number != 20)
    assert silent(tier_of("shop/calc.py", FAULTY, MENDED)), "an honest repair lands"
    return [path for path in elsewhere() if silent(tier_of(path, FAULTY, MENDED))]
