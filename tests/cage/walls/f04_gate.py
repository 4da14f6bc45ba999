"""A change lands silently that forges a verdict, starts a program, writes files, or is right for the test's values.

Every source of ``corpus/unattended/sources.toml`` is offered as the repair of one function, and asked of all gates and
the ladder. The wall is gate 20.
"""

from __future__ import annotations

from pathlib import Path

from governance.irongate import registry
from tests.cage.unattended import FAULTY, MENDED, PATH, silent, sources, tier_of

BACKENDS = ("landlock",)  # nothing is run: which sandbox there is makes no difference
USERS = ("anybody",)


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    if not wall:
        gates = registry.CANDIDATE_GATES
        registry.CANDIDATE_GATES = tuple(gate for gate in gates if gate.number != 20)
    assert silent(tier_of(PATH, FAULTY, MENDED)), "an honest repair lands"
    return [one.name for one in sources() if silent(tier_of(PATH, FAULTY, one.text))]
