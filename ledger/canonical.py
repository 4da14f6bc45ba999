"""Canonical JSON: the exact bytes that are stored and hashed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ledger.errors import LedgerError

Json = dict[str, Any]


def _refuse_floats(value: Any, where: str) -> None:
    if isinstance(value, float):
        raise LedgerError(
            f"A float stands at {where} of a ledger payload.",
            remedy="Store money in micro-dollars, durations in milliseconds, confidences in basis points.",
        )
    if isinstance(value, Mapping):
        for key, item in value.items():
            _refuse_floats(item, f"{where}.{key}")
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            _refuse_floats(item, f"{where}[{index}]")


def canonical(value: Mapping[str, Any]) -> bytes:
    """Sorted keys, ``,`` and ``:`` without blanks, UTF-8, no floats, no NaN.

    Raises ``LedgerError`` for a float anywhere inside or for text that is not valid Unicode.
    """
    _refuse_floats(value, "payload")
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise LedgerError(
            "A ledger payload holds text that is not valid Unicode.", remedy="Decode with errors='replace' first."
        ) from error
