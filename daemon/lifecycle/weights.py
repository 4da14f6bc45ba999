"""Which weights the embedded kernel knows by name, and what of them is on this machine."""

from __future__ import annotations

from pathlib import Path

from kernel.weights import store
from kernel.weights.registry import load_registry
from ledger.vocabulary import Frozen


class ModelLine(Frozen):
    """One model that is known by name, and what of it is on this machine."""

    name: str
    file: str
    megabytes: int
    license: str
    fetched: bool
    converted: bool


class ModelList(Frozen):
    folder: str
    models: tuple[ModelLine, ...]


def known_models(folder: Path) -> ModelList:
    """Every model of the registry, and whether its weights lie below ``folder``."""
    lines = tuple(
        ModelLine(
            name=name,
            file=weights.file,
            megabytes=weights.bytes // 2**20,
            license=weights.license,
            fetched=store.is_published(folder, weights),
            converted=bool(store.converted_folders(folder, name, weights)),
        )
        for name, weights in load_registry().weights.items()
    )
    return ModelList(folder=str(folder), models=lines)
