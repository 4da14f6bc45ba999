"""Outcomes of earlier ops, made by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from governance.memory.history import PastOp
from ledger.clock import stamp

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def past(
    number: int, *, good: bool, hours: float = 0.0, files: tuple[str, ...] = ("shop/cart.py",), back: bool = False
) -> PastOp:
    at = stamp(NOW - timedelta(hours=hours))
    return PastOp(op_id=f"op-{number}", at=at, files=files, good=good, taken_back=back, why="" if good else "no")
