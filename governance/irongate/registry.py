"""The list of gates. A new gate is its file and a line in MODULES; examples are verified when this module is loaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import Any

from governance.irongate.gate import Gate
from ledger.errors import ConfigError

MODULES = (
    "candidate.g01_containment",
    "candidate.g02_protected",
    "tool.g03_commands",
    "candidate.g04_exploration",
    "candidate.g05_characters",
    "candidate.g06_coverage",
    "op.g07_cost",
    "op.g08_approval",
    "op.g09_ceiling",
    "op.g10_signatures",
    "candidate.g11_staleness",
    "op.g12_lock",
    "candidate.g13_shrink",
    "candidate.g14_noop",
    "candidate.g15_secrets",
    "candidate.g16_tests",
    "candidate.g17_dangerous",
    "tool.g18_injection",
    "op.g19_recursion",
    "candidate.g20_unattended",
)


def by_number(gates: Iterable[Gate[Any]]) -> Mapping[int, Gate[Any]]:
    """The gates by number, after their examples were verified. Raises ``ConfigError``, also for a number used twice."""
    table: dict[int, Gate[Any]] = {}
    for gate in gates:
        if gate.number in table:
            raise ConfigError(f"Two gates have the number {gate.number}.")
        gate.verify()
        table[gate.number] = gate
    return MappingProxyType(table)


GATES = by_number(import_module(f"governance.irongate.{module}").GATE for module in MODULES)
CANDIDATE_GATES: tuple[Gate[Any], ...] = tuple(gate for gate in GATES.values() if gate.select_facts is not None)


def docs_table() -> str:
    """The table of gates in docs/repair.md."""
    rows = ["| gate | looks at | refuses, or raises the tier for |", "|---|---|---|"]
    for gate in GATES.values():
        rows.append(f"| {gate.number} {gate.name} | {', '.join(gate.subjects)} | {gate.summary} |")
    return "\n".join(rows)
