"""Words of a syntax tree: their values, and the commands that are substituted in them."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from governance.irongate.shell.source import NodeText
from governance.irongate.shell.words import (
    ANSI,
    Piece,
    Segment,
    Unreadable,
    Word,
    join_pieces,
    read_double_quoted,
    read_single_quoted,
    read_unquoted,
)

if TYPE_CHECKING:
    from tree_sitter import Node

DEEPEST = 40
_VARIABLE = re.compile(r"\$(?:[A-Za-z_]\w*|[0-9@*#?$!-])", re.ASCII)
_ASSIGNING = re.compile(r"\$\{(\w+)(?:\[[^\]]*\])?:?=", re.ASCII)
_DESCRIPTOR = re.compile(r"\{[A-Za-z_]\w*(?:\[.*\])?\}", re.ASCII)
_STARTS = ("$(", "${", "$[", "`")
_SUBSTITUTIONS = frozenset({"command_substitution", "process_substitution", "arithmetic_expansion"})


@dataclass(slots=True)
class Script:
    """What a command holds. ``evaluates``: somewhere text is read as arithmetic, which bash runs substitutions of."""

    segments: list[Segment] = field(default_factory=list)
    functions: list[tuple[str, int, int]] = field(default_factory=list)  # name, segments from, to
    quoted: list[str] = field(default_factory=list)
    evaluates: bool = False


class WordReader(NodeText):
    """Reads words. What is substituted in them is read by :meth:`visit`."""

    def __init__(self, source: bytes) -> None:
        super().__init__(source)
        self.script = Script()

    @abstractmethod
    def visit(self, node: Node, depth: int) -> None:
        """Collect the segments in and below a statement or an expression."""

    def add(self, segment: Segment) -> None:
        self.script.segments.append(segment)

    def word(self, node: Node, depth: int) -> Word:
        """A word, with its value if that is known; substitutions in it become segments."""
        raw = self.text(node)
        if _DESCRIPTOR.fullmatch(raw) and self.source[node.end_byte : node.end_byte + 1] in (b"<", b">"):
            raise Unreadable(f"{raw[:40]} takes a descriptor's number")
        return join_pieces(raw, list(self.pieces(node, depth)))

    def pieces(self, node: Node, depth: int) -> Iterator[Piece]:
        if depth > DEEPEST:
            raise Unreadable("it is nested too deeply")
        kind, raw = node.type, self.text(node)
        if kind in ("word", "number", "variable_name") and not node.child_count:
            piece = read_unquoted(raw)
            if "\\" in raw:
                self.script.quoted.append(piece.text or "")
            yield piece
        elif kind == "concatenation":
            at = node.start_byte
            for child in node.children:
                if child.start_byte != at:
                    raise Unreadable("the parts of a word stand apart")
                at = child.end_byte
                yield from self.pieces(child, depth + 1)
        elif kind == "raw_string":
            piece = read_single_quoted(raw)
            self.script.quoted.append(piece.text or "")
            yield piece
        elif kind == "string":
            yield self._string(node, raw, depth)
        elif kind == "ansi_c_string":
            if not ANSI.fullmatch(raw):
                raise Unreadable("quotes do not pair")
            self.script.quoted.append("$(" if "\\" in raw else raw)  # an escape may spell anything
            yield Piece(None, "")
        else:
            self.expanding(node, raw, depth)
            yield Piece(None, "")

    def _string(self, node: Node, raw: str, depth: int) -> Piece:
        inner = [child for child in node.children if child.type not in ('"', "string_content", "$")]
        if not inner:
            if any(_unescaped(raw, start) for start in _STARTS):
                raise Unreadable("a substitution is not understood")
            self.script.quoted.append(raw)
            return read_double_quoted(raw)
        self.covered(node, inner)
        for child in inner:
            self.expanding(child, self.text(child), depth + 1)
        return Piece(None, "")

    def covered(self, node: Node, inner: list[Node]) -> None:
        """Outside of ``inner`` nothing in double quotes (or in a here-document) may begin a substitution."""
        at = node.start_byte
        for child in (*inner, None):
            end = child.start_byte if child is not None else node.end_byte
            between = self.source[at:end].decode()
            if any(_unescaped(between, start) for start in _STARTS):
                raise Unreadable("a substitution is not understood")
            if node.type == "string":
                quotes = _count_unescaped(between, '"')
                if quotes != (at == node.start_byte) + (child is None):
                    raise Unreadable("double quotes do not pair")
            at = child.end_byte if child is not None else end

    def expanding(self, node: Node, raw: str, depth: int) -> None:
        """An expansion, whose value is unknown; substitutions in it become segments."""
        kind = node.type
        if kind == "simple_expansion":
            if not _VARIABLE.fullmatch(raw):
                raise Unreadable(f"{raw[:40]!r} is not understood")
        elif kind in ("expansion", "arithmetic_expansion"):
            self._curly(node, raw, depth)
        elif kind == "command_substitution":
            self._substitution(node, raw, depth)
        elif kind in ("process_substitution", "array"):
            for child in self.parts(node):
                self.visit(child, depth + 1)
        elif kind == "translated_string":
            for child in self.parts(node, joint=True):
                if child.is_named:
                    list(self.pieces(child, depth + 1))
        elif kind not in ("brace_expression", "$"):
            raise Unreadable(f"{kind} is not understood")

    def _curly(self, node: Node, raw: str, depth: int) -> None:
        """``${...}`` and ``$((...))``: quotes in them follow rules of their own and are not read."""
        if any(sign in raw for sign in "'\"\\\n`"):
            raise Unreadable("quotes inside of ${...} or $((...)) are not understood")
        if raw.endswith("@P}"):
            raise Unreadable("${...@P} runs what the variable holds")
        if node.type == "arithmetic_expansion" or raw.startswith("${!") or "@" in raw or "[" in raw:
            self.script.evaluates = True
        assigning = _ASSIGNING.match(raw)
        if assigning:
            self.add(Segment(assigned=((assigning[1], Word(raw, None)),)))
        for child in node.children:
            self.visit(child, depth + 1)
        if not self._accounts(node):
            raise Unreadable("a substitution is not understood")

    def _accounts(self, node: Node) -> bool:
        """Whether every ``$(`` below has become a node of its own."""
        wanted = len(re.findall(r"\$\(|<\(|>\(", self.text(node)))
        return wanted <= _count_nodes(node, _SUBSTITUTIONS)

    def _substitution(self, node: Node, raw: str, depth: int) -> None:
        if raw.startswith("`") and "\\" in raw:
            raise Unreadable("a backslash between backquotes is not understood")
        for child in self.parts(node, joint=raw.startswith("`")):
            self.visit(child, depth + 1)


def _unescaped(text: str, sign: str) -> bool:
    at = text.find(sign)
    while at >= 0:
        slashes = len(text[:at]) - len(text[:at].rstrip("\\"))
        if slashes % 2 == 0:
            return True
        at = text.find(sign, at + 1)
    return False


def _count_unescaped(text: str, sign: str) -> int:
    count, escaped = 0, False
    for char in text:
        if escaped:
            escaped = False
        elif char == "\\":
            escaped = True
        else:
            count += char == sign
    return count


def _count_nodes(node: Node, kinds: frozenset[str]) -> int:
    return (node.type in kinds) + sum(_count_nodes(child, kinds) for child in node.children)
