"""Downloads published weights, complete and verified.

Where no sums are published, those of the first complete pull are recorded next to the files and checked from then on.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kernel.weights import store
from kernel.weights.fetching import count_missing_bytes, fetch_file, is_verified
from kernel.weights.registry import Source, Weights, load_registry
from kernel.weights.settings import PullSettings
from kernel.weights.sources import DISK_ERRORS, Progress
from kernel.weights.store import SUMS, check_space, write_sums
from ledger.errors import OuroError


@dataclass(frozen=True, slots=True)
class PullResult:
    """Where the weights are, and an optional note for the owner."""

    path: Path
    note: str = ""


def pull(
    name: str,
    *,
    models_dir: Path,
    progress: Progress,
    sources: Sequence[Source] | None = None,
    settings: PullSettings | None = None,
) -> PullResult:
    """The published file or folder of ``name`` below ``models_dir``, downloaded when it is missing or damaged.

    Blocking. ``name`` is a key of ``registry.toml``; ``sources`` replaces the sources there. Raises
    ``ProviderUnavailable`` (kind ``weights``) when no source has the right file, ``OuroError`` when the disk is full.
    An interrupted pull resumes where it stopped.
    """
    weights = load_registry().find(name)
    if sources is not None:
        weights = weights.model_copy(update={"sources": tuple(sources)})
    return pull_weights(name, weights, models_dir=models_dir, progress=progress, settings=settings or PullSettings())


def pull_weights(
    name: str, weights: Weights, *, models_dir: Path, progress: Progress, settings: PullSettings
) -> PullResult:
    """Like :func:`pull`, for weights that need not be in the registry."""
    try:
        if not _is_complete(models_dir, weights):
            models_dir.mkdir(parents=True, exist_ok=True)
            with _pull_lock(models_dir / f".{weights.file}.lock", name):
                _fetch_missing(name, weights, models_dir, progress, settings)
    except OSError as error:
        if error.errno in DISK_ERRORS:
            raise OuroError(
                f"The disk was full during the download of {weights.file}.", remedy="Free some space and pull again."
            ) from error
        raise OuroError(f"{weights.file} could not be stored: {error}.") from error
    note = (
        f"Its publisher gives no checksums: those of the first pull are kept in {SUMS} there and checked from now on."
    )
    return PullResult(store.published_path(models_dir, weights), "" if weights.pinned else note)


def _is_complete(models_dir: Path, weights: Weights) -> bool:
    """Whether every file exists and has its known sum."""
    files = store.known_files(models_dir, weights)
    return all(file.sha256 and is_verified(store.file_path(models_dir, weights, file), file) for file in files)


def _fetch_missing(name: str, weights: Weights, models_dir: Path, progress: Progress, settings: PullSettings) -> None:
    """Downloads what is still missing: another process may have finished first."""
    wanted = {store.file_path(models_dir, weights, file): file for file in store.known_files(models_dir, weights)}
    missing = {path: file for path, file in wanted.items() if not is_verified(path, file)}
    check_space(
        models_dir, sum(count_missing_bytes(path, file) for path, file in missing.items()), settings.spare_disk_mb
    )
    for path, file in missing.items():
        path.parent.mkdir(exist_ok=True)
        fetch_file(name, weights.sources, file, path, progress, settings)
    if not all(file.sha256 for file in wanted.values()):
        write_sums(store.published_path(models_dir, weights), [path for path in wanted if path.is_file()])


@contextmanager
def _pull_lock(path: Path, name: str) -> Iterator[None]:
    lock = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise OuroError(
                f"Another process is fetching the weights of {name}.", remedy="Wait until it is done."
            ) from error
        yield
    finally:
        os.close(lock)
