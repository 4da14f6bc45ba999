"""The owner's own weights, given by path: a GGUF file, or a published folder."""

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
    """Whether the setting ``kernel.model`` is a path rather than the name of a known model."""
    return model.startswith(("/", "~")) or os.sep in model


def describe_weights(path: str | Path) -> tuple[str, Weights]:
    """A name for the weights at ``path``, and their description. Reads names, sizes and first bytes only.

    The key changes with path, sizes and times of the files, so changed files are converted again. Raises
    ``ConfigError`` when there are no usable weights.
    """
    try:
        place = Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{path} is in the home of an unknown user.", remedy="Use an absolute path.") from error
    if not place.is_absolute():
        raise ConfigError(f"{path} is not an absolute path.", remedy="Begin it with / or ~.")
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
    """Name of the file. Raises ``OuroError`` unless it is GGUF."""
    if (place.is_file() or not place.exists()) and is_gguf(place):  # opening a pipe would block
        return place.name
    if place.suffix in PICKLES:
        raise OuroError(
            f"{place} is a pickle file, which can run arbitrary code when it is loaded.",
            remedy="Use the same weights in safetensors.",
        )
    if place.suffix == Path(TENSORS).suffix:
        raise OuroError(f"{place} holds tensors only.", remedy=f"Name its folder: {place.parent}.")
    raise OuroError(f"{place} is not a GGUF file.", remedy=_REMEDY)


def _name_of(place: Path) -> str:
    """Name of the file or folder, with characters replaced that a folder name should not contain."""
    stem = place.name if place.is_dir() else place.stem
    return re.sub(r"[^\w.+-]+", "-", stem, flags=re.ASCII).strip("-.") or "own"
