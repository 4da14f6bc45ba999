"""Paths of weights below the models folder, their presence and checksums, and free disk space."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from kernel.weights.registry import PublishedFile, Weights
from ledger.errors import OuroError
from ledger.vocabulary import Frozen

SUMS = "sums.json"  # next to the files; written after their first complete pull
Form = Literal["bf16", "fp32", "int8", "int4"]
CONVERTER_VERSION = 3
STAMP = "complete.json"  # written last into a converted folder


class _Sums(Frozen):
    files: tuple[PublishedFile, ...]


def sum_of(path: Path) -> str:
    """The file's sha256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path, files: Sequence[Path]) -> None:
    """Records the files' sums atomically; from then on the weights count as complete."""
    found = tuple(PublishedFile(name=file.name, bytes=file.stat().st_size, sha256=sum_of(file)) for file in files)
    partial = folder / f".{SUMS}.partial"
    with partial.open("w", encoding="utf-8") as out:
        out.write(_Sums(files=found).model_dump_json(indent=1))
        out.flush()
        os.fsync(out.fileno())
    partial.replace(folder / SUMS)


def read_sums(folder: Path) -> dict[str, PublishedFile]:
    """Recorded files by name; empty without a record. Raises ``OuroError`` for a damaged record."""
    path = folder / SUMS
    if not path.is_file():
        return {}
    try:
        return {file.name: file for file in _Sums.model_validate_json(path.read_bytes()).files}
    except ValidationError as error:
        raise OuroError(f"{path} is damaged.", remedy="Delete it, and pull the weights again.") from error


def published_path(models_dir: Path, weights: Weights) -> Path:
    """The published file, or the folder of files."""
    return weights.own or models_dir / weights.file


def file_path(models_dir: Path, weights: Weights, file: PublishedFile) -> Path:
    """Path of one of the published files."""
    place = published_path(models_dir, weights)
    return place / file.name if weights.is_folder else place


def partial_path(path: Path) -> Path:
    """Path of the partial download, which every source resumes."""
    return path.with_name(f".{path.name}.partial")


def known_files(models_dir: Path, weights: Weights) -> tuple[PublishedFile, ...]:
    """The files with known sums: from the registry, or from the first complete pull on this machine."""
    found = {} if weights.own or weights.pinned else read_sums(published_path(models_dir, weights))
    return tuple(found[file.name] for file in weights.files if file.name in found) if found else weights.files


def short_sum(models_dir: Path, weights: Weights) -> str:
    """Eight characters of a sum over all files; ``unpinned`` until weights without published sums are complete."""
    if weights.own:
        return weights.own_key[:8]
    files = known_files(models_dir, weights)
    if not all(file.sha256 for file in files):
        return "unpinned"
    if not weights.is_folder:
        return str(files[0].sha256)[:8]
    return hashlib.sha256("".join(f"{file.sha256} {file.name}\n" for file in files).encode()).hexdigest()[:8]


def converted_folder(models_dir: Path, name: str, weights: Weights, form: Form) -> Path:
    """The name contains the published sum and the converter's version, so that new files or converters never meet old
    folders.
    """
    return models_dir / "converted" / f"{_folder_stem(models_dir, name, weights)}-{form}"


def converted_folders(models_dir: Path, name: str, weights: Weights) -> tuple[Path, ...]:
    """Existing converted folders, in any form."""
    found = (models_dir / "converted").glob(f"{_folder_stem(models_dir, name, weights)}-*")
    return tuple(sorted(folder for folder in found if is_converted(folder)))


def outdated_folders(parent: Path) -> tuple[Path, ...]:
    """Folders of older converters. Open files of a removed folder stay readable."""
    ending = re.compile(r"-v(\d+)-(?:bf16|fp32|int8|int4)")
    found = ((folder, ending.search(folder.name)) for folder in parent.iterdir())
    return tuple(folder for folder, version in found if version and int(version[1]) < CONVERTER_VERSION)


def _folder_stem(models_dir: Path, name: str, weights: Weights) -> str:
    return f"{name}-{short_sum(models_dir, weights)}-v{CONVERTER_VERSION}"


def is_converted(folder: Path) -> bool:
    return (folder / STAMP).is_file()


def is_published(models_dir: Path, weights: Weights) -> bool:
    """Whether all files exist with their sizes; sums were checked on download and are checked again on conversion."""
    files = known_files(models_dir, weights)
    if not (weights.own or all(file.sha256 for file in files)):
        return False  # weights without published sums are complete once their sums are recorded
    return all(has_expected_size(file_path(models_dir, weights, file), file) for file in files)


def has_expected_size(path: Path, file: PublishedFile) -> bool:
    """Whether the file exists, with its size where that is known."""
    return path.is_file() and file.bytes in (None, path.stat().st_size)


def check_space(folder: Path, needed: int, spare_mb: int = 0) -> None:
    """Raises ``OuroError`` unless the file system of ``folder`` has ``needed`` bytes and the spare megabytes free."""
    free = shutil.disk_usage(folder).free
    if free < needed + spare_mb * 1_000_000:
        raise OuroError(
            f"The weights need {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB free.",
            remedy=f"Free some space below {folder}, or choose a smaller model.",
        )
