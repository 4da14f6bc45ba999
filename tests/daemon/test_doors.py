"""The hands that rooms are given."""

from __future__ import annotations

import pytest

from daemon.adapters.intake_ports import may_release
from ledger.vocabulary import Decision


@pytest.mark.parametrize(
    "silent_s, limit_s, rule",
    [(300.0, 300.0, "gate12.young"), (300.001, 300.0, "gate12.expired"), (0.3, 0.2, "gate12.expired")],
)
def test_who_was_silent_for_longer_than_a_lease_is_gone(silent_s: float, limit_s: float, rule: str) -> None:
    verdict = may_release(silent_s, limit_s)
    assert verdict.rule == rule and (verdict.decision is Decision.ALLOW) == rule.endswith("expired")
