"""Import graph of the Python files of a commit, computed once and cached for all phases."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from governance.irongate.candidate.g02_protected import own_patterns
from tools.repository import Repository
from tools.testing.selection.imports import graph as import_graph

MAX_FILES = 2_000
KEPT = 4  # commits; an op needs its commit three times, and concurrent ops mostly share one


@dataclass(frozen=True, slots=True, kw_only=True)
class Codebase:
    """``imports``: file -> files that it imports. ``is_ourselves``: the watched repository is Ouroboros itself."""

    imports: Mapping[str, frozenset[str]]
    is_ourselves: bool


class Codebases:
    """FIFO cache of the codebases of the last commits."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._kept: OrderedDict[str, Codebase] = OrderedDict()

    async def at(self, commit: str) -> Codebase:
        """The codebase of ``commit`` (a full object name)."""
        if commit not in self._kept:
            files = await read_python(self._repository, commit)
            imports = await asyncio.to_thread(import_graph, files)  # about a second for thousands of files
            self._kept[commit] = Codebase(imports=imports, is_ourselves=bool(own_patterns(files)))
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[commit]


async def read_python(repository: Repository, commit: str) -> dict[str, bytes]:
    """The Python files of a commit, at most ``MAX_FILES``."""
    names = [p for p in await repository.files(commit) if p.endswith(".py")][:MAX_FILES]
    return await repository.read_many(commit, names)
