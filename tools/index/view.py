"""The source files of an op's workspace as they are now: those of its commit, with the differences."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from ledger.errors import PolicyRefused
from tools import contained
from tools.git import Git
from tools.index.index import CodeIndex
from tools.index.languages import language_of
from tools.index.trees import key_of, list_sources, oid_of
from tools.workspace import Workspace

KEPT_COMMITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """``files``: path to key. ``own``: the keys of changed files to their bytes."""

    commit: str
    files: Mapping[str, str]
    own: Mapping[str, bytes]
    changed: frozenset[str]  # source files that differ from the commit, deleted ones included
    left_out: Mapping[str, str]  # path to the reason why it is not in ``files``


class Views:
    """Views of workspaces, from git's list of changed files: no other file is opened."""

    def __init__(self, *, index: CodeIndex) -> None:
        self._index = index
        self._commits: OrderedDict[str, dict[str, str]] = OrderedDict()

    async def of(
        self, workspace: Workspace, git: Git, *, written: Collection[str], visible: Callable[[str], bool]
    ) -> View:
        """The workspace now. ``written``: paths that the op wrote, even if git ignores them. Only ``visible`` files are
        read."""
        base = await self._listing(git, workspace.commit)
        touched = {p for p in {*await workspace.changed(), *written} if language_of(p) is not None}
        return await asyncio.to_thread(self._look, workspace, base, touched, visible)

    async def _listing(self, git: Git, commit: str) -> dict[str, str]:
        if commit not in self._commits:
            self._commits[commit] = await asyncio.to_thread(list_sources, git, commit)
        self._commits.move_to_end(commit)
        while len(self._commits) > KEPT_COMMITS:
            self._commits.popitem(last=False)
        return self._commits[commit]

    def _look(
        self, workspace: Workspace, base: Mapping[str, str], touched: set[str], visible: Callable[[str], bool]
    ) -> View:
        files = {path: key for path, key in base.items() if path not in touched}
        like = next(iter(base.values()), "").partition(".")[0]
        own: dict[str, bytes] = {}
        left_out: dict[str, str] = {}
        for path in sorted(touched):
            data, why = self._read(workspace, path) if visible(path) else (None, "")
            key = key_of(oid_of(data, like=like), path) if data is not None else None
            if key is not None and data is not None:
                files[path], own[key] = key, data
            elif why:
                left_out[path] = why
        return View(commit=workspace.commit, files=files, own=own, changed=frozenset(touched), left_out=left_out)

    def _read(self, workspace: Workspace, path: str) -> tuple[bytes | None, str]:
        try:
            size = contained.size_of(workspace.root, path)
            if size is not None and size > self._index.largest_bytes:
                return None, f"it is larger than {self._index.largest_bytes} bytes"
            return workspace.read(path), ""
        except (PolicyRefused, OSError):  # a link, or removed meanwhile
            return None, ""
