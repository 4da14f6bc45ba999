"""Where weights lie below the models folder, and whether they are there. Looks at names and sizes only."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from kernel.weights.registry import Weights

Form = Literal["bf16", "int8"]

CONVERTER_VERSION = 1
STAMP = "complete.json"  # written last into a converted folder


def published_file(models_dir: Path, weights: Weights) -> Path:
    """The file as it was published."""
    return models_dir / weights.file


def partial_file(models_dir: Path, weights: Weights) -> Path:
    """The beginning of a file that is being fetched: every source goes on from it."""
    return models_dir / f".{weights.file}.partial"


def converted_folder(models_dir: Path, name: str, weights: Weights, form: Form) -> Path:
    """Keyed by the published sum and the converter: neither a new file nor a new converter meets an old one."""
    return models_dir / "converted" / f"{name}-{weights.sha256[:8]}-v{CONVERTER_VERSION}-{form}"


def is_converted(folder: Path) -> bool:
    return (folder / STAMP).is_file()


def is_published(models_dir: Path, weights: Weights) -> bool:
    """The whole file is there by its size; its sum was checked when it came and is checked again on conversion."""
    path = published_file(models_dir, weights)
    return path.is_file() and path.stat().st_size == weights.bytes
