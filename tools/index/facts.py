"""Facts of one file's contents: symbols, calls and imports.

Only named tuples: the parsing child (:mod:`tools.index.worker`) starts in a fraction of the time that loading pydantic
takes, and JSON encodes them directly.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

VERSION = 1
"""To be raised when the same file gives other facts than before: cached ones are then discarded."""

UNREAD = ""
"""The word under which files that were not read are indexed."""


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


class Facts(NamedTuple):
    """Facts of one file. With an ``error`` the rest is what could be parsed around it, possibly nothing."""

    symbols: tuple[Symbol, ...] = ()
    calls: tuple[CallSite, ...] = ()
    imports: tuple[Import, ...] = ()
    names: tuple[str, ...] = ()  # all identifiers of a file with an error: what the unparsed part may contain
    error: str = ""

    @property
    def words(self) -> frozenset[str]:
        """Names under which the file is indexed: last names of definitions and of calls, and ``names``."""
        defined = {symbol.name.rpartition(".")[2] for symbol in self.symbols}
        return frozenset(defined | {call.callee for call in self.calls} | {*self.names})


def unread(why: str) -> Facts:
    """Facts of a file that was not read."""
    return Facts(names=(UNREAD,), error=why)


def to_json(facts: Facts) -> str:
    """Serialise to one line of JSON."""
    return json.dumps(facts, ensure_ascii=True, separators=(",", ":"))


def from_json(text: str | bytes) -> Facts:
    """The inverse of :func:`to_json`. Raises ``ValueError`` for invalid JSON."""
    symbols, calls, imports, names, error = json.loads(text)
    return Facts(
        tuple(Symbol(*row) for row in symbols),
        tuple(CallSite(*row) for row in calls),
        imports_from(imports),
        tuple(names),
        error,
    )


def imports_from(rows: list[Any]) -> tuple[Import, ...]:
    """Imports from their JSON form."""
    return tuple(Import(module, tuple(names), level, line) for module, names, level, line in rows)
