"""What a signal may hold."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from ledger.vocabulary import SIGNAL_LIMIT_BYTES, Evidence, Signal, Source, TestsPass, Urgency

FIELDS: dict[str, Any] = {
    "id": "sig-1", "source": Source.MANUAL, "goal": "Mend it.", "key": "a" * 64, "closure": TestsPass(ids=("t.py",)),
    "base": "c0",
}  # fmt: skip


def said(text: str) -> tuple[Evidence, ...]:
    return (Evidence(claim="It was said", evidence=text, confidence_bp=1, source="somebody"),)


@pytest.mark.parametrize(("letter", "size"), [("x", 1), ("\u20ac", 3), ("\U0001f480", 4), ("\x01", 6)])
def test_its_bytes_are_counted_and_not_its_letters(letter: str, size: int) -> None:
    room = SIGNAL_LIMIT_BYTES - len(Signal(**FIELDS, evidence=said("")).model_dump_json().encode())
    assert Signal(**FIELDS, evidence=said(letter * (room // size)))
    with pytest.raises(ValidationError, match="at most 65536 bytes"):
        Signal(**FIELDS, evidence=said(letter * (room // size + 1)))


@pytest.mark.parametrize(
    "wrong",
    [
        {"goal": ""}, {"goal": "x" * 2_001}, {"key": "short"}, {"targets": ("../a.py",)}, {"targets": ("/etc/passwd",)},
        {"confidence_bp": 10_001}, {"depth": -1}, {"unknown": 1},
    ],
    ids=lambda wrong: next(iter(wrong)),
)  # fmt: skip
def test_what_is_none(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Signal(**{**FIELDS, **wrong})


def test_it_is_frozen() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Signal(**FIELDS).urgency = Urgency.LOW  # type: ignore[misc]
