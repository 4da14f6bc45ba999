"""A daemon without one of its gates."""

from __future__ import annotations

import pytest

from governance.irongate import registry


def take_gate_away(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Candidates are judged without the gate of this number until the test ends."""
    left = tuple(gate for gate in registry.CANDIDATE_GATES if gate.number != number)
    assert len(left) == len(registry.CANDIDATE_GATES) - 1
    monkeypatch.setattr(registry, "CANDIDATE_GATES", left)
