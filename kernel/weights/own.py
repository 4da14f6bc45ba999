"""Weights of the owner's own, named by where they lie: a GGUF file, or a folder as models are published."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from kernel.weights.gguf_file import is_gguf
from kernel.weights.published_folder import PICKLES, TENSORS, folder_files
from kernel.weights.registry import PublishedFile, Weights
from ledger.errors import ConfigError, OuroError

_REMEDY = "Name a .gguf file, or a folder with config.json, tokenizer.json and safetensors files."


def is_path(model: str) -> bool:
    """Whether the setting ``kernel.model`` names a place rather than a model that is known by name."""
    return model.startswith(("/", "~")) or os.sep in model


def describe_weights(path: str | Path) -> tuple[str, Weights]:
    """A name for what lies there, and its description. Looks at names, sizes and first bytes only.

    Its key changes with the place, the sizes and the times of the files, so a changed file is converted afresh.
    Raises ``ConfigError`` when nothing is there, or something else.
    """
    try:
        place = Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{path} is in the home of nobody.", remedy="Write the whole path.") from error
    if not place.is_absolute():
        raise ConfigError(f"{path} is not a whole path.", remedy="Begin it with / or ~.")
    place = place.resolve()
    try:
        names = folder_files(place) if place.is_dir() else (_check_gguf(place),)
        folder = place if place.is_dir() else place.parent
        found = [(name, (folder / name).stat()) for name in names]
    except OSError as error:
        raise ConfigError(f"The weights at {place} cannot be read: {error.strerror}.", remedy=_REMEDY) from error
    except OuroError as error:
        raise ConfigError(error.message, remedy=error.remedy) from error
    marks = "".join(f"{name}\n{stat.st_size} {stat.st_mtime_ns}\n" for name, stat in found)
    weights = Weights(
        files=tuple(PublishedFile(name=name, bytes=stat.st_size) for name, stat in found),
        folder=place.name if place.is_dir() else "",
        own=place,
        own_key=hashlib.sha256(f"{place}\n{marks}".encode(errors="surrogateescape")).hexdigest(),
    )
    return _name_of(place), weights


def _check_gguf(place: Path) -> str:
    """Name of the file. Raises ``OuroError`` for one of another kind."""
    if (place.is_file() or not place.exists()) and is_gguf(place):  # a pipe would be waited for
        return place.name
    if place.suffix in PICKLES:
        raise OuroError(
            f"{place} is a pickle file, which can run code of others when it is read.",
            remedy="Ask for the same weights in safetensors.",
        )
    if place.suffix == Path(TENSORS).suffix:
        raise OuroError(f"{place} holds tensors only.", remedy=f"Name the folder that it lies in: {place.parent}.")
    raise OuroError(f"{place} is not a GGUF file.", remedy=_REMEDY)


def _name_of(place: Path) -> str:
    """Of the file or folder, with what a folder's name should not hold replaced."""
    stem = place.name if place.is_dir() else place.stem
    return re.sub(r"[^\w.+-]+", "-", stem, flags=re.ASCII).strip("-.") or "own"
