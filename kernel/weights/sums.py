"""Sums of published files, and the record of them for weights whose publisher names none."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from kernel.weights.registry import PublishedFile
from ledger.errors import OuroError
from ledger.vocabulary import Frozen

SUMS = "sums.json"  # beside the files; what their first complete pull found


class _Sums(Frozen):
    files: tuple[PublishedFile, ...]


def sum_of(path: Path) -> str:
    """The file's sha256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path, files: Sequence[Path]) -> None:
    """The record appears whole or not at all; from then on the weights count as complete."""
    found = tuple(PublishedFile(name=file.name, bytes=file.stat().st_size, sha256=sum_of(file)) for file in files)
    partial = folder / f".{SUMS}.partial"
    with partial.open("w", encoding="utf-8") as out:
        out.write(_Sums(files=found).model_dump_json(indent=1))
        out.flush()
        os.fsync(out.fileno())
    partial.replace(folder / SUMS)


def read_sums(folder: Path) -> dict[str, PublishedFile]:
    """Files by name; empty without a record. Raises ``OuroError`` when it is damaged."""
    path = folder / SUMS
    if not path.is_file():
        return {}
    try:
        return {file.name: file for file in _Sums.model_validate_json(path.read_bytes()).files}
    except ValidationError as error:
        raise OuroError(f"{path} is damaged.", remedy="Delete it, and pull the weights again.") from error
