"""Every file of a tree, and the facts about each for duplicates and dead code: small, kept by contents."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from ledger.ids import sha256_hex
from ledger.ports import TreeFilesPort
from sensors.python_source.modules import Module, module_of
from sensors.python_source.syntax import is_own_python, parse_python

LARGEST_BYTES: Final = 1024 * 1024  # what is larger is data
MOST_FILES: Final = 10_000  # Python files of a tree that a check is asked on
AT_ONCE: Final = 200  # files read by one call
PRIVATE = re.compile(rb"(?<![A-Za-z0-9_])_[A-Za-z0-9_]+")
BINARY: Final = frozenset(
    {"png", "jpg", "jpeg", "gif", "ico", "webp", "pdf", "zip", "gz", "whl", "so", "a", "pyc", "woff", "woff2", "ttf"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """``words``: how often each word that begins with an underscore occurs in it; ``module``: None but for Python."""

    words: Counter[str]
    module: Module | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTree:
    """A whole tree. ``partial``: why not all of it could be read; then absence proves nothing."""

    files: Mapping[str, FileFacts]
    partial: str = ""

    def modules(self) -> Iterator[tuple[str, Module]]:
        """Every Python file that can be read as one."""
        return ((path, facts.module) for path, facts in self.files.items() if facts.module is not None)

    def with_files(self, facts: Mapping[str, FileFacts | None]) -> SourceTree:
        """With other contents of some files (None: without them)."""
        files = {path: held for path, held in self.files.items() if path not in facts}
        files |= {path: held for path, held in facts.items() if held is not None}
        return SourceTree(files=files, partial=self.partial)


def facts_of(path: str, data: bytes) -> FileFacts:
    """Pure."""
    if b"\0" in data:
        return FileFacts(words=Counter(), module=None)
    words = Counter(word.decode("ascii") for word in PRIVATE.findall(data))
    tree = parse_python(data) if path.endswith((".py", ".pyi")) else None
    try:
        return FileFacts(words=words, module=module_of(path, tree) if tree is not None else None)
    except RecursionError:  # an expression that is nested too deeply: nothing that a person has written
        return FileFacts(words=words, module=None)


@dataclass(slots=True, kw_only=True)
class Census:
    """Reads trees, each file's contents once."""

    most_files: int
    _known: dict[str, FileFacts] = field(default_factory=dict)

    async def take(self, files: TreeFilesPort) -> SourceTree:
        """The facts of a whole tree. Blocks nothing; holds no file for longer than it is looked at."""
        sizes = await files.sizes()
        paths = [path for path in sizes if _is_text(path)]
        python = [path for path in paths if path.endswith(".py")]
        if len(python) > self.most_files or len(paths) > 10 * self.most_files:
            return SourceTree(files={}, partial=f"there are more than {self.most_files} files to compare")
        large = next((path for path in python if sizes[path] > LARGEST_BYTES and is_own_python(path)), None)
        wanted = [path for path in paths if sizes[path] <= LARGEST_BYTES]
        found: dict[str, FileFacts] = {}
        known: dict[str, FileFacts] = {}
        for at in range(0, len(wanted), AT_ONCE):
            data = await files.read_many(wanted[at : at + AT_ONCE])
            found |= await asyncio.to_thread(self._facts, data, known)
        self._known = known
        return SourceTree(files=found, partial=f"{large} is too large to be read" if large else "")

    def _facts(self, data: Mapping[str, bytes], known: dict[str, FileFacts]) -> dict[str, FileFacts]:
        found = {}
        for path, text in data.items():
            key = sha256_hex(path.encode("utf-8", errors="surrogateescape") + b"\0" + text)
            found[path] = known[key] = self._known.get(key) or facts_of(path, text)
        return found


def _is_text(path: str) -> bool:
    return path.rpartition(".")[2].lower() not in BINARY
