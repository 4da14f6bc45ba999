"""Python source: a parser without exceptions or warnings, and a lexer that tells code, strings and comments apart."""

from __future__ import annotations

import ast
import copy
from collections.abc import Sequence
from functools import lru_cache

from ledger import python_source

CODE, STRING, COMMENT = "c", "s", "#"
SMALL_SOURCE, LARGE_SOURCE = 40_000, 400_000
"""Source lengths up to which 16 and 2 trees are cached; a tree takes about sixty times the memory of its text."""
BLOCKS = ("body", "handlers", "cases", "orelse", "finalbody")


def parse(data: bytes | str) -> ast.Module | None:
    """The syntax tree, or None for invalid source. Never raises, never warns.

    Trees are cached and shared between callers, so do not change one: use :func:`parse_copy` for that.
    """
    if len(data) <= SMALL_SOURCE:
        return _parse_small(data)
    return _parse_large(data) if len(data) <= LARGE_SOURCE else parse_copy(data)


@lru_cache(maxsize=16, typed=True)
def _parse_small(data: bytes | str) -> ast.Module | None:
    return parse_copy(data)


@lru_cache(maxsize=2, typed=True)
def _parse_large(data: bytes | str) -> ast.Module | None:
    return parse_copy(data)


def parse_copy(data: bytes | str) -> ast.Module | None:
    """A new tree that the caller may change, or None for invalid source."""
    return python_source.parse(data)


def imported_names(tree: ast.Module) -> dict[str, str]:
    """Imported names of a file, each with its dotted target: a module, or a name in one."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def character_kinds(text: str) -> str:
    """One of :data:`CODE`, :data:`STRING` (with quotes) and :data:`COMMENT` per character, also for invalid source."""
    out: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "#":
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            out.append(COMMENT * (end - at))
        elif char in "\"'":
            end = _string_end(text, at)
            out.append(STRING * (end - at))
        else:
            end = at + 1
            out.append(CODE)
        at = end
    return "".join(out)


def _string_end(text: str, at: int) -> int:
    """Index after the string literal that begins at ``at``; one without triple quotes ends at the end of its line."""
    quote = text[at]
    triple = text.startswith(quote * 3, at)
    mark = quote * 3 if triple else quote
    at += len(mark)
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text.startswith(mark, at):
            return at + len(mark)
        elif text[at] == "\n" and not triple:
            return at
        else:
            at += 1
    return len(text)


def without_docstrings(tree: ast.Module) -> ast.Module:
    """The tree without the docstrings of modules, classes and functions, and without other
    statements there that are only a string. Statements are copied, expressions shared.
    """
    top = copy.copy(tree)
    stack: list[ast.AST] = [top]
    while stack:
        node = stack.pop()
        has_docstring = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        for name in BLOCKS:
            block: Sequence[ast.stmt] | ast.expr | None = getattr(node, name, None)
            if isinstance(block, list):
                kept = [copy.copy(step) for step in block if not (has_docstring and _is_string(step))]
                setattr(node, name, kept)
                stack += kept
    return top


def _is_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def source(node: ast.AST) -> str:
    """A node as source text; empty when it is nested too deeply to be written."""
    try:
        return ast.unparse(node)
    except RecursionError:
        return ""


def dump(node: ast.AST) -> str | None:
    """A node as text without positions; None when it is nested too deeply to be written."""
    try:
        return ast.dump(node)
    except RecursionError:
        return None
