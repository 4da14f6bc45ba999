"""What the index knows of one file's contents.

Named tuples and nothing else: the child that parses (:mod:`tools.index.worker`) starts in a fraction of the time that
pydantic takes to load, and JSON takes them as they are.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

VERSION = 1
"""Raised whenever other facts come out of the same file: what was remembered before is then forgotten."""

UNREAD = ""
"""The word under which files are found that were not read at all."""


class Symbol(NamedTuple):
    """Something with a name. ``name`` is qualified inside the file (``Class.method``); lines count from 1."""

    name: str
    kind: str  # "class", "def", "function", "struct", ...
    signature: str  # as it is written, on one line, without its body
    line: int
    end: int


class CallSite(NamedTuple):
    """A call of something whose last name is ``callee``, inside ``caller`` (empty: at the top of the file)."""

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
    """What one file says. With an ``error`` the rest is what could be read around it, maybe nothing."""

    symbols: tuple[Symbol, ...] = ()
    calls: tuple[CallSite, ...] = ()
    imports: tuple[Import, ...] = ()
    names: tuple[str, ...] = ()  # every identifier of a file with an error: what may stand in the part not understood
    error: str = ""

    @property
    def words(self) -> frozenset[str]:
        """Names under which the file is looked up: the last name of what it defines and of what it calls."""
        defined = {symbol.name.rpartition(".")[2] for symbol in self.symbols}
        return frozenset(defined | {call.callee for call in self.calls} | {*self.names})


def unread(why: str) -> Facts:
    """Facts of a file that was not read."""
    return Facts(names=(UNREAD,), error=why)


def to_json(facts: Facts) -> str:
    """One line of text."""
    return json.dumps(facts, ensure_ascii=True, separators=(",", ":"))


def from_json(text: str | bytes) -> Facts:
    """The reverse of :func:`to_json`. Raises ``ValueError`` for anything else."""
    symbols, calls, imports, names, error = json.loads(text)
    return Facts(
        tuple(Symbol(*row) for row in symbols), tuple(CallSite(*row) for row in calls), imports_from(imports),
        tuple(names), error,
    )  # fmt: skip


def imports_from(rows: list[Any]) -> tuple[Import, ...]:
    """Imports as JSON gives them back."""
    return tuple(Import(module, tuple(names), level, line) for module, names, level, line in rows)
