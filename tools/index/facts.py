"""What the code index stores of a file: symbols, calls and imports.

These are named tuples, not pydantic models: the parsing child process (:mod:`tools.index.worker`) starts faster without
pydantic, and JSON encodes tuples directly.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

VERSION = 1
"""Raise it when parsing gives other results for the same file: cached results are then discarded."""

UNREAD = ""
"""The index word of files that were not read."""


class Symbol(NamedTuple):
    """A definition. ``name`` is qualified inside the file (``Class.method``); lines count from 1."""

    name: str
    kind: str  # "class", "def", "function", "struct", ...
    signature: str  # as written, on one line, without the body
    line: int
    end: int


class CallSite(NamedTuple):
    """A call of ``callee`` (the last name of the expression) in ``caller`` (empty: at module level)."""

    callee: str
    caller: str
    line: int


class Import(NamedTuple):
    """A Python import. ``level`` counts the leading dots; ``names`` is empty for ``import module``."""

    module: str
    names: tuple[str, ...]
    level: int
    line: int


class IndexedFile(NamedTuple):
    """The index data of one file. With an ``error``, only what could be parsed (possibly nothing)."""

    symbols: tuple[Symbol, ...] = ()
    calls: tuple[CallSite, ...] = ()
    imports: tuple[Import, ...] = ()
    names: tuple[str, ...] = ()  # all identifiers of a file with an error, for its unparsed part
    error: str = ""

    @property
    def words(self) -> frozenset[str]:
        """Names under which the file is indexed: last names of definitions and of calls, and ``names``."""
        defined = {symbol.name.rpartition(".")[2] for symbol in self.symbols}
        return frozenset(defined | {call.callee for call in self.calls} | {*self.names})


def unread(why: str) -> IndexedFile:
    """The index data of a file that was not read."""
    return IndexedFile(names=(UNREAD,), error=why)


def to_json(facts: IndexedFile) -> str:
    """Serialise to one line of JSON."""
    return json.dumps(facts, ensure_ascii=True, separators=(",", ":"))


def from_json(text: str | bytes) -> IndexedFile:
    """The inverse of :func:`to_json`. Raises ``ValueError`` for invalid JSON."""
    symbols, calls, imports, names, error = json.loads(text)
    return IndexedFile(
        tuple(Symbol(*row) for row in symbols),
        tuple(CallSite(*row) for row in calls),
        imports_from(imports),
        tuple(names),
        error,
    )


def imports_from(rows: list[Any]) -> tuple[Import, ...]:
    """Imports from their JSON form."""
    return tuple(Import(module, tuple(names), level, line) for module, names, level, line in rows)
