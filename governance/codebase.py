"""What the Python files of a commit import from each other, read once for all phases that ask."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass

from governance.irongate.g02_protected import own_patterns
from tools.repository import Repository
from tools.testing.imports import graph as import_graph

MAX_FILES = 2_000
KEPT = 4  # commits; an op asks three times about one, ops of a busy day about the same


@dataclass(frozen=True, slots=True, kw_only=True)
class Codebase:
    """``imports``: file -> files that it needs. ``is_ourselves``: the watched repository is the daemon's own."""

    imports: Mapping[str, frozenset[str]]
    is_ourselves: bool


class Codebases:
    """Codebases by commit; those that were asked for last are kept."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._kept: OrderedDict[str, Codebase] = OrderedDict()

    async def at(self, commit: str) -> Codebase:
        """The codebase of ``commit`` (a full object name)."""
        if commit not in self._kept:
            files = await read_python(self._repository, commit)
            imports = await asyncio.to_thread(import_graph, files)  # a second with thousands of files
            self._kept[commit] = Codebase(imports=imports, is_ourselves=bool(own_patterns(files)))
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return self._kept[commit]


async def read_python(repository: Repository, commit: str) -> dict[str, bytes]:
    """Python files of a commit, bounded."""
    names = [p for p in await repository.files(commit) if p.endswith(".py")][:MAX_FILES]
    return await repository.read_many(commit, names)
