"""Which names exist in the repository: committed files, and symbols of the code index that stand in one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from tools.git import Git
from tools.index.index import CodeIndex
from tools.index.trees import list_sources
from tools.repository import Repository


class CommittedNames:
    """Answers for HEAD, from what the index has parsed so far."""

    def __init__(self, *, repository: Repository, index: CodeIndex, git: Git) -> None:
        self._repository = repository
        self._index = index
        self._git = git

    async def known(self, names: Collection[str]) -> frozenset[str]:
        """Those of ``names`` that are a path, the last part or stem of one, or a symbol."""
        head = (await self._repository.head()).commit
        if head is None:
            return frozenset()
        files = await self._repository.files(head)
        ends = {path.rpartition("/")[2] for path in files}
        places = {*files, *ends, *(end.partition(".")[0] for end in ends)}
        found = {name for name in names if name in places}
        left = [name for name in names if name not in found]
        if left:
            here = frozenset((await asyncio.to_thread(list_sources, self._git, head)).values())
            found |= {name for name in left if await self._is_defined(name, here)}
        return frozenset(found)

    async def _is_defined(self, name: str, here: frozenset[str]) -> bool:
        last = name.rpartition(".")[2]
        for key, facts in (await self._index.having(last)).items():
            if key in here and any(s.name == name or s.name.rpartition(".")[2] == last for s in facts.symbols):
                return True
        return False
