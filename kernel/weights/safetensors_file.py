"""Reads the header of a safetensors file: a length, a table as JSON, followed by the bytes of all tensors.

The table is validated against the file size before it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from ledger.errors import OuroError
from ledger.parsers.json import read_json

_LENGTH = 8  # bytes of the table's length, little-endian
_MOST_TABLE = 100_000_000
WIDTHS = {"BF16": 2, "F16": 2, "F32": 4}  # bytes per number of the supported kinds


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """``offset`` counts from the file's start, in bytes."""

    path: Path
    kind: str
    shape: tuple[int, ...]
    offset: int


def read_table(path: Path) -> dict[str, StoredTensor]:
    """Tensors by name. Raises ``OuroError`` for a file that is not safetensors, truncated, or with unsupported
    numbers.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if not 2 <= length <= min(_MOST_TABLE, size - _LENGTH):
            raise _damaged_error(path)
        text = file.read(length)
    try:
        table = read_json(text)
        table.pop("__metadata__", None)
        return {name: _check_entry(path, name, entry, _LENGTH + length, size) for name, entry in table.items()}
    except (ValueError, TypeError, KeyError, AttributeError, ArithmeticError) as error:
        raise _damaged_error(path) from error


def _check_entry(path: Path, name: str, entry: Mapping[str, Any], start: int, size: int) -> StoredTensor:
    """``start``: where the tensors begin; ``size``: of the whole file."""
    kind, shape = str(entry["dtype"]), tuple(map(int, entry["shape"]))
    first, last = map(int, entry["data_offsets"])
    if kind not in WIDTHS:
        raise OuroError(
            f"{path.name} holds {name!r} as {kind}, which cannot be read.", remedy="Use weights in BF16, F16 or F32."
        )
    if min(first, *shape, 0) < 0 or last - first != prod(shape) * WIDTHS[kind]:
        raise ValueError(name)
    if start + last > size:
        raise OuroError(f"{path.name} is cut off: {start + last - size} bytes are missing.", remedy="Fetch it again.")
    return StoredTensor(path, kind, shape, start + first)


def _damaged_error(path: Path) -> OuroError:
    return OuroError(f"{path.name} is not a safetensors file, or its header is damaged.", remedy="Fetch it again.")
