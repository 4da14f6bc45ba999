"""Reads the header of a GGUF file: metadata and tensor table. Versions 2 and 3, little-endian.

The ``gguf`` package parses every string through numpy and takes ten seconds for a vocabulary; this reader takes a
fraction of one.
"""

from __future__ import annotations

import mmap
import struct
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import OuroError

Scalar = int | float | bool | str
Value = Scalar | list[Scalar]

_FIXED = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_MAGIC = b"GGUF"
_DEFAULT_ALIGNMENT = 32
# Limits of counts in the file: a sparse file can be as long as it claims.
_MOST_ENTRIES = 100_000
_MOST_ITEMS = 4_000_000  # per list: vocabularies have a quarter million words and merges
_MOST_DIMENSIONS = 8


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """``shape`` is outermost first (reversed in the file); ``offset`` counts from the file's start."""

    name: str
    shape: tuple[int, ...]
    kind: int
    offset: int


@dataclass(frozen=True, slots=True)
class GgufHead:
    metadata: dict[str, Value]
    tensors: dict[str, TensorInfo]

    def text(self, key: str) -> str:
        """Raises ``OuroError`` when the key is missing."""
        return str(self._value(key))

    def number(self, key: str, default: float | None = None) -> float:
        """The stored number, or ``default`` when the key is missing. Raises ``OuroError`` without either."""
        value = self._value(key) if default is None else self.metadata.get(key, default)
        if not isinstance(value, int | float):
            raise OuroError(f"The weights file has no number under {key!r}.")
        return value

    def items(self, key: str) -> list[Scalar]:
        """Raises ``OuroError`` when there is no list under the key."""
        value = self._value(key)
        if not isinstance(value, list):
            raise OuroError(f"The weights file has no list under {key!r}.")
        return value

    def _value(self, key: str) -> Value:
        if key not in self.metadata:
            raise OuroError(f"The weights file has no value for {key!r}.", remedy="Fetch the weights again.")
        return self.metadata[key]


class _HeadReader:
    """Cursor over the bytes of the header."""

    def __init__(self, data: mmap.mmap) -> None:
        self.data = data
        self.at = 0

    def read_fixed(self, kind: int) -> Scalar:
        form = _FIXED[kind]
        (value,) = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        result: Scalar = value
        return result

    def read_count(self) -> int:
        return int(self.read_fixed(10))

    def read_bounded(self, most: int, *, kind: int = 10) -> int:
        """A count in the file. Raises ``struct.error`` for an implausible one."""
        found = int(self.read_fixed(kind))
        if found > most:
            raise struct.error(f"{found} is too many")
        return found

    def read_string(self) -> str:
        length = self.read_bounded(len(self.data))
        raw = self.data[self.at : self.at + length]
        self.at += length
        return raw.decode("utf-8", errors="surrogateescape")

    def read_value(self) -> Value:
        kind = int(self.read_fixed(4))
        if kind == _STRING:
            return self.read_string()
        if kind != _ARRAY:
            return self.read_fixed(kind)
        item, length = int(self.read_fixed(4)), self.read_bounded(_MOST_ITEMS)
        if item == _STRING:
            return [self.read_string() for _ in range(length)]
        form = f"<{length}{_FIXED[item][1]}"
        values = list(struct.unpack_from(form, self.data, self.at))
        self.at += struct.calcsize(form)
        return values


def is_gguf(path: Path) -> bool:
    """Checks the magic bytes, whatever the file's name."""
    with path.open("rb") as file:
        return file.read(len(_MAGIC)) == _MAGIC


def read_head(path: Path) -> GgufHead:
    """Raises ``OuroError`` when the file is not GGUF, or truncated inside its header."""
    if not is_gguf(path):
        raise OuroError(f"{path.name} is not a GGUF file.", remedy="Fetch the weights again.")
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        try:
            return _read_tables(_HeadReader(data))
        except (struct.error, KeyError, IndexError, ArithmeticError, MemoryError) as error:
            raise OuroError(f"The head of {path.name} is cut off or damaged.", remedy="Fetch it again.") from error


def _read_tables(cursor: _HeadReader) -> GgufHead:
    cursor.at = 4
    version = int(cursor.read_fixed(4))
    if version not in (2, 3):
        raise OuroError(f"GGUF version {version} is not known; versions 2 and 3 are.")
    tensor_count, value_count = cursor.read_bounded(_MOST_ENTRIES), cursor.read_bounded(_MOST_ENTRIES)
    metadata = {}
    for _ in range(value_count):
        key = cursor.read_string()
        metadata[key] = cursor.read_value()
    found = []
    for _ in range(tensor_count):
        name = cursor.read_string()
        dimensions = cursor.read_bounded(_MOST_DIMENSIONS, kind=4)
        shape = tuple(cursor.read_count() for _ in range(dimensions))[::-1]
        found.append((name, shape, int(cursor.read_fixed(4)), cursor.read_count()))
    stored = metadata.get("general.alignment")
    alignment = stored if isinstance(stored, int) and stored > 0 else _DEFAULT_ALIGNMENT
    start = -(-cursor.at // alignment) * alignment
    return GgufHead(metadata, {n: TensorInfo(n, s, k, start + o) for n, s, k, o in found})
