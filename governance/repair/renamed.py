"""A name that a module or an object does not have (any more): what it is called now, or was called before. Pure."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Collection, Iterable, Iterator

from governance.repair.moves import NAMES, Complaint, Proposed, module_names
from governance.repair.spans import Function, Move, Source, Span
from tools.testing.missing import missing_of

ALIKE = 0.5
"""How alike two names have to be; what the module or the class is known to have is tried, however unlike."""
KIND = "renamed"


def renamed(source: Source, line: int, complaints: Collection[Complaint]) -> Iterator[Proposed]:
    """At ``line``: the missing name called otherwise where it is used, or a definition called as it was."""
    missing = missing_of(c.message for c in complaints)
    if source.tree is None or not missing:
        return
    offered = [name for c in complaints for name in c.offered]
    here = [node for node in ast.walk(source.tree) if getattr(node, "lineno", 0) == line]
    for node in here:
        if isinstance(node, ast.ImportFrom):
            yield from _imports(source, line, node, missing, offered)
        elif isinstance(node, ast.Attribute) and node.attr in missing:
            yield from _attributes(source, line, node, offered)
        elif isinstance(node, Function | ast.ClassDef):
            yield from _definitions(source, line, node, missing)


def _imports(
    source: Source, line: int, node: ast.ImportFrom, missing: Collection[str], offered: Collection[str]
) -> Iterator[Proposed]:
    for alias in node.names:
        if alias.name in missing:
            span = Span(
                source.offset(alias.lineno, alias.col_offset),
                source.offset(alias.end_lineno or alias.lineno, alias.end_col_offset or 0), line, Move.EXPRESSION,
            )  # fmt: skip
            for other in _alike(alias.name, offered, least=0.0):
                yield Proposed(span, f"{other} as {alias.asname or alias.name}", KIND)


def _attributes(source: Source, line: int, node: ast.Attribute, offered: Collection[str]) -> Iterator[Proposed]:
    end = source.offset(node.end_lineno or node.lineno, node.end_col_offset or 0)
    span = Span(end - len(node.attr), end, line, Move.EXPRESSION)
    for other in _alike(node.attr, offered or _attributes_of(source), least=0.0 if offered else ALIKE):
        yield Proposed(span, other, KIND)


def _definitions(
    source: Source, line: int, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, missing: Collection[str]
) -> Iterator[Proposed]:
    at = source.text.index(node.name, source.offset(node.lineno, node.col_offset) + len("def"))
    for name in difflib.get_close_matches(node.name, sorted(missing), n=1, cutoff=ALIKE):
        yield Proposed(Span(at, at + len(node.name), line, Move.EXPRESSION), name, KIND)


def _attributes_of(source: Source) -> list[str]:
    nodes = ast.walk(source.tree) if source.tree is not None else ()
    return [*module_names(source), *(n.attr for n in nodes if isinstance(n, ast.Attribute))]


def _alike(name: str, others: Iterable[str], *, least: float) -> list[str]:
    known = sorted(set(others) - {name})
    return difflib.get_close_matches(name, known, n=NAMES, cutoff=least)
