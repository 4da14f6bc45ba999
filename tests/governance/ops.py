"""Values that the governance tests share."""

from __future__ import annotations

from typing import Any

from ledger.ids import new_op_id, new_signal_id, sha256_hex
from ledger.vocabulary import (
    Candidate,
    Edit,
    EditKind,
    Operation,
    OwnerConfirms,
    Signal,
    Source,
    TestsPass,
    Urgency,
)


def signal(*ids: str, **more: Any) -> Signal:
    """A signal of a failing test (or, without ids, of the owner)."""
    facts: dict[str, Any] = {
        "id": new_signal_id(),
        "source": Source("test_failure") if ids else Source.MANUAL,
        "goal": f"Make {ids[0]} pass." if ids else "Tidy up.",
        "key": sha256_hex("|".join(ids)),
        "closure": TestsPass(ids=ids) if ids else OwnerConfirms(question="Is it tidy?"),
        "base": "b" * 40,
        "targets": ("shop/cart.py",),
    }
    return Signal(**(facts | more))


def operation(*signals: Signal, **more: Any) -> Operation:
    """An op of these signals."""
    signals = signals or (signal("tests/test_cart.py::test_total"),)
    facts: dict[str, Any] = {
        "id": new_op_id(signals[0].source.value),
        "origin": signals[0].source,
        "signals": signals,
        "targets": signals[0].targets,
        "urgency": Urgency.HIGH,
        "base": signals[0].base,
        "created_at": "2026-01-01T00:00:00.000Z",
    }
    return Operation(**(facts | more))


def modify(path: str, before: bytes, after: bytes) -> Edit:
    return Edit(path=path, kind=EditKind.MODIFY, before=sha256_hex(before), after=after)


def candidate(*edits: Edit) -> Candidate:
    return Candidate(edits=edits, provider="scripted", model="script", strategy="conversation")
