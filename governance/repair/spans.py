"""Spans of source text around suspicious lines, which a model fills or a move replaces. Pure."""

from __future__ import annotations

import ast
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from governance.irongate.syntax import dump
from ledger.python_source import parse

Function = ast.FunctionDef | ast.AsyncFunctionDef
MAX_EXPRESSIONS = 10
_LINE = re.compile(r"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+")
EXPRESSIONS = (
    ast.Compare,
    ast.BoolOp,
    ast.BinOp,
    ast.UnaryOp,
    ast.Call,
    ast.Subscript,
    ast.Attribute,
    ast.IfExp,
    ast.Tuple,
    ast.List,
    ast.Dict,
    ast.ListComp,
    ast.GeneratorExp,
    ast.SetComp,
    ast.DictComp,
    ast.Constant,
    ast.Name,
    ast.Slice,
    ast.JoinedStr,
    ast.Lambda,
)


class Move(StrEnum):
    """Kinds of changes at a place; the values occur in records."""

    REPLACE = "replace the line"
    EXPRESSION = "replace an expression"
    BEFORE = "insert a line before"
    AFTER = "insert a line after"
    BLOCK = "replace a few lines"
    IMPORT = "insert an import"
    FUNCTION = "write the function anew"


@dataclass(frozen=True, slots=True)
class Span:
    """Characters ``start..end`` of a source text that an infill replaces. ``line``: the suspicious line (1-based)."""

    start: int
    end: int
    line: int
    move: Move
    lead: str = ""  # written before the infill (indentation of an inserted line)
    tail: str = ""  # written after it (newline of an inserted line)

    def fill(self, source: str, text: str) -> str:
        """``source`` with ``text`` in the hole."""
        return source[: self.start] + self.lead + text + self.tail + source[self.end :]


def first_line(node: ast.stmt) -> int:
    """First line of a statement, decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(d.lineno for d in decorators)])


def lines_of(text: str) -> list[str]:
    """Lines with their ends, as Python counts them; ``str.splitlines`` also splits at form feeds and others."""
    return _LINE.findall(text)


class ParsedFile:
    """A Python file with its syntax tree (None when it does not parse) and character offsets.

    ``ran``: the tests ran it, so it is valid, even if it does not parse here: their Python may be newer.
    """

    def __init__(self, text: str, *, ran: bool = False) -> None:
        self.text, self._ran = text, ran
        self.lines = lines_of(text)
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line))
        self.tree = parse(text)
        self._shapes: dict[int, str] = {}  # syntax of functions by start offset; -1: the whole file

    def line_start(self, line: int) -> int:
        return self._starts[line - 1]

    def line_at(self, offset: int) -> int:
        """The line that contains the character at ``offset``."""
        return max(1, bisect_right(self._starts, offset, hi=len(self.lines)))

    def line_end(self, line: int) -> int:
        """Offset of the newline that ends ``line`` (or of the end of the text)."""
        raw = self.lines[line - 1]
        return self._starts[line - 1] + len(raw.rstrip("\n"))

    def indent(self, line: int) -> str:
        raw = self.lines[line - 1]
        return raw[: len(raw) - len(raw.lstrip(" \t"))]

    def offset(self, line: int, byte_column: int) -> int:
        """Character offset of a position in the syntax tree, whose columns count UTF-8 bytes."""
        raw = self.lines[line - 1].encode("utf-8")[:byte_column]
        return self._starts[line - 1] + len(raw.decode("utf-8", errors="ignore"))

    @cached_property
    def statements(self) -> tuple[ast.stmt, ...]:
        """All statements, outer ones first."""
        return tuple(node for node in ast.walk(self.tree) if isinstance(node, ast.stmt)) if self.tree else ()

    @cached_property
    def outermost(self) -> tuple[Function, ...]:
        """Functions and methods that are not nested in another function."""
        found: list[Function] = []
        left: list[ast.AST] = list(self.tree.body) if self.tree else []
        while left:
            node = left.pop()
            if isinstance(node, Function):
                found.append(node)
            else:
                left += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]
        return tuple(found)

    @cached_property
    def _bounds(self) -> tuple[tuple[int, int], ...]:
        return tuple((first_line(node), node.end_lineno or node.lineno) for node in self.outermost)

    def whole_function(self, span: Span) -> tuple[int, int] | None:
        """First and last line of the outermost function that contains ``span``, decorators included."""
        for first, last in self._bounds:
            if self.line_start(first) <= span.start and span.end <= self.line_end(last):
                return first, last
        return None

    def shape_with(self, span: Span, text: str) -> str:
        """A key of this file with ``text`` in ``span``; changes that differ only in layout have the same key.

        It is the syntax tree of the changed function, or of the whole file for other code; empty when that does not
        parse or is unchanged. For a file in a newer Python it is the text.
        """
        if self._ran and self.tree is None:
            filled = _strip_line_ends(span.fill(self.text, text))
            return filled if filled != _strip_line_ends(self.text) else ""
        lines = self.whole_function(span)
        start, end = (self.line_start(lines[0]), self.line_end(lines[1])) if lines else (0, len(self.text))
        key = start if lines else -1
        if key not in self._shapes:
            self._shapes[key] = _syntax_key(self.text[start:end])
        shape = _syntax_key(f"{self.text[start : span.start]}{span.lead}{text}{span.tail}{self.text[span.end : end]}")
        return f"{start}:{shape}" if shape and shape != self._shapes[key] else ""

    def function_at(self, line: int) -> Function | None:
        """The innermost function that contains ``line``."""
        best: Function | None = None
        for node in self.statements:
            if not isinstance(node, Function) or not _contains_line(node, line):
                continue
            if best is None or node.lineno >= best.lineno:
                best = node
        return best

    def statement_at(self, line: int) -> tuple[int, int]:
        """First and last line of the simple statement, or of the compound statement's header, at ``line``."""
        best = (line, line)
        size = len(self.lines) + 1
        for node in self.statements:
            if node.end_lineno is None:
                continue
            body = getattr(node, "body", None)
            last = (
                min(node.end_lineno, max(node.lineno, body[0].lineno - 1))
                if isinstance(body, list) and body
                else node.end_lineno
            )
            if node.lineno <= line <= last and last - node.lineno < size:
                best, size = (node.lineno, last), last - node.lineno
        return best


def _contains_line(node: ast.stmt, line: int) -> bool:
    return node.lineno <= line <= (node.end_lineno or node.lineno)


def replace_line(source: ParsedFile, line: int) -> Span:
    """The whole statement (or header) at ``line``, after its indentation."""
    first, last = source.statement_at(line)
    return Span(source.line_start(first) + len(source.indent(first)), source.line_end(last), line, Move.REPLACE)


def insert_before(source: ParsedFile, line: int) -> Span:
    """A new line before the statement at ``line``."""
    first, _ = source.statement_at(line)
    at = source.line_start(first)
    return Span(at, at, line, Move.BEFORE, lead=source.indent(first), tail="\n")


def insert_after(source: ParsedFile, line: int) -> Span:
    """A new line after the statement at ``line``; after a compound statement's header, indented as its body."""
    _, last = source.statement_at(line)
    at = source.line_end(last)
    following = source.indent(last + 1) if last < len(source.lines) and source.lines[last].strip() else ""
    indent = following if source.lines[last - 1].rstrip().endswith(":") else source.indent(line)
    return Span(at, at, line, Move.AFTER, lead="\n" + indent)


def insert_import(source: ParsedFile, line: int) -> Span:
    """A new import before the first statement that is neither a docstring nor ``from __future__``."""
    body = source.tree.body if source.tree else []
    first = next(
        (
            node.lineno
            for node in body
            if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
            and not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
        ),
        1,
    )
    at = source.line_start(first)
    return Span(at, at, line, Move.IMPORT, lead="import ", tail="\n")


def replace_block(source: ParsedFile, line: int, count: int) -> Span | None:
    """``count`` lines from the statement at ``line`` on; None if they reach beyond its function."""
    first, _ = source.statement_at(line)
    last = first + count - 1
    function = source.function_at(line)
    bound = (function.end_lineno if function else None) or len(source.lines)
    if last > bound or last > len(source.lines):
        return None
    return Span(source.line_start(first) + len(source.indent(first)), source.line_end(last), line, Move.BLOCK)


def function_body(source: ParsedFile, line: int) -> Span | None:
    """The body of the function at ``line`` without docstring; None outside of a function, or for a body on the
    header's line. The span's ``line`` is the body's first line."""
    function = source.function_at(line)
    if function is None:
        return None
    body = function.body[1:] if ast.get_docstring(function, clean=False) is not None else function.body
    if not body or body[0].lineno <= function.lineno or function.end_lineno is None:
        return None
    first = first_line(body[0])
    start = source.line_start(first) + len(source.indent(first))
    return Span(start, source.line_end(function.end_lineno), first, Move.FUNCTION)


def expressions(source: ParsedFile, line: int) -> Iterator[Span]:
    """Single-line expressions on ``line``, larger ones first; at most :data:`MAX_EXPRESSIONS`."""
    found: dict[tuple[int, int], Span] = {}
    for node in (node for top in _statements_at(source, line) for node in ast.walk(top)):
        if not isinstance(node, EXPRESSIONS) or node.lineno != line or node.end_lineno != line:
            continue
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript | ast.Tuple) and isinstance(node.ctx, ast.Store):
            continue
        start, end = source.offset(line, node.col_offset), source.offset(line, node.end_col_offset or 0)
        found.setdefault((start, end), Span(start, end, line, Move.EXPRESSION))
    yield from sorted(found.values(), key=lambda s: (s.start - s.end, s.start))[:MAX_EXPRESSIONS]


def _statements_at(source: ParsedFile, line: int) -> Iterator[ast.stmt]:
    """Top-level statements that contain ``line``."""
    return (
        node for node in (source.tree.body if source.tree else ()) if first_line(node) <= line <= (node.end_lineno or 0)
    )


def _strip_line_ends(text: str) -> str:
    """``text`` without trailing whitespace."""
    return "\n".join(line.rstrip() for line in lines_of(text.rstrip()))


def _syntax_key(text: str) -> str:
    """The syntax tree as text; empty when it does not parse. Indented text is parsed as a block."""
    tree = parse(f"if 1:\n{text}" if text[:1] in (" ", "\t") else text)
    return (dump(tree) if tree is not None else None) or ""
