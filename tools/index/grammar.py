"""Facts of a file by its tree-sitter grammar: for other languages, and for Python with syntax errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from tools.index.facts import CallSite, Import, IndexedFile, Symbol
from tools.index.languages import GRAMMARS, PYTHON, Grammar

if TYPE_CHECKING:
    from tree_sitter import Node, Parser

LONGEST_SIGNATURE = 240
MOST_NAMES = 20_000
IDENTIFIER = re.compile(r"[^\W\d][\w$]*")
LAST_NAME = ("property", "field", "attribute", "name", "function", "macro", "type")
FUNCTIONS = frozenset({"arrow_function", "function_expression", "generator_function"})
MAYBE_FUNCTIONS = frozenset({"variable_declarator", "field_definition", "public_field_definition"})
NEED_A_BODY = frozenset({"struct_specifier", "union_specifier", "enum_specifier"})


@cache
def _parser(language: str) -> Parser:
    from tree_sitter import Language
    from tree_sitter import Parser as TreeSitter

    grammar = GRAMMARS[language]
    return TreeSitter(Language(getattr(import_module(grammar.module), grammar.entry)()))


def read_by_grammar(language: str, data: bytes, error: str = "") -> IndexedFile:
    """Symbols and calls, and a Python file's imports. ``error`` is the message of a parser that failed before."""
    root = _parser(language).parse(data).root_node
    reader = _TreeReader(GRAMMARS[language], imports=language == PYTHON)
    reader.read(root)
    if root.has_error and not error:
        error = f"line {reader.fault}: not understood" if reader.fault else "a part of it is not understood"
    names = dict.fromkeys(IDENTIFIER.findall(data.decode("utf-8", errors="replace"))) if error else ()
    return IndexedFile(
        tuple(reader.symbols), tuple(reader.calls), tuple(reader.imports), tuple(names)[:MOST_NAMES], error
    )


class _TreeReader:
    """One walk over a tree, without recursion: a hostile file may be nested arbitrarily deep."""

    def __init__(self, grammar: Grammar, *, imports: bool) -> None:
        self._grammar = grammar
        self._imports = imports
        self.symbols: list[Symbol] = []
        self.calls: list[CallSite] = []
        self.imports: list[Import] = []
        self.fault = 0  # line of the first syntax error

    def read(self, root: Node) -> None:
        stack: list[tuple[Node, str]] = [(root, "")]
        while stack:
            node, scope = stack.pop()
            stack += [(child, self._visit(child, scope)) for child in node.children][::-1]
        self.symbols.sort(key=lambda s: (s.line, -s.end))
        self.calls.sort(key=lambda c: c.line)
        self.imports.sort(key=lambda i: i.line)

    def _visit(self, node: Node, scope: str) -> str:
        """Record what ``node`` defines, calls or imports; returns the scope of its children."""
        line = node.start_point[0] + 1
        if (node.is_error or node.is_missing) and (not self.fault or line < self.fault):
            self.fault = line
        if not node.is_named:
            return scope
        field = self._grammar.calls.get(node.type)
        if field is not None:
            callee = self._last_name(node.child_by_field_name(field))
            if callee:
                self.calls.append(CallSite(callee, scope, line))
        elif self._imports and node.type in ("import_statement", "import_from_statement"):
            self.imports += _imports(node, line)
        kind = self._grammar.defines.get(node.type)
        name = _defined(node) if kind else ""
        if kind is None or not name:
            return scope
        whole = f"{scope}.{name}" if scope else name
        self.symbols.append(Symbol(whole, kind, _signature(node), line, node.end_point[0] + 1))
        return whole

    def _last_name(self, node: Node | None) -> str:
        """The last name of a called expression: ``c`` of ``a.b.c``; empty when it has none."""
        while node is not None:
            if node.type in self._grammar.calls:
                return ""
            deeper = next((c for f in LAST_NAME if (c := node.child_by_field_name(f)) is not None), None)
            if deeper is None and node.named_children and node.type == "generic_type":
                deeper = node.named_children[0]
            if deeper is None and node.named_children and node.type.startswith("scoped_"):
                deeper = node.named_children[-1]
            if deeper is None:
                return _text(node) if node.type.endswith("identifier") else ""
            node = deeper
        return ""


def _text(node: Node) -> str:
    return (node.text or b"").decode("utf-8", errors="replace")


def _defined(node: Node) -> str:
    """The name that a node defines; empty when it defines none."""
    if node.type in NEED_A_BODY and node.child_by_field_name("body") is None:
        return ""
    if node.type in MAYBE_FUNCTIONS:
        value = node.child_by_field_name("value")
        if value is None or value.type not in FUNCTIONS:
            return ""
    if node.type == "impl_item":
        return _plain_type(node.child_by_field_name("type"))
    named = node.child_by_field_name("name") or node.child_by_field_name("property")
    if named is None:
        named = _declared(node)
    name = " ".join(_text(named).split()).strip("\"'") if named is not None else ""
    receiver = node.child_by_field_name("receiver")
    owner = _receiver(receiver) if receiver is not None else ""
    return f"{owner}.{name}" if owner and name else name


def _declared(node: Node) -> Node | None:
    """The name inside a C declarator: ``f`` of ``*f(int x)``."""
    inner = node.child_by_field_name("declarator")
    while inner is not None:
        deeper = inner.child_by_field_name("declarator")
        if deeper is None and inner.type == "parenthesized_declarator" and inner.named_children:
            deeper = inner.named_children[0]
        if deeper is None:
            return inner if inner.type.endswith("identifier") else None
        inner = deeper
    return None


def _plain_type(node: Node | None) -> str:
    while node is not None:
        inner = node.child_by_field_name("type") or node.child_by_field_name("name")
        if inner is None:
            return _text(node) if node.type.endswith("identifier") else ""
        node = inner
    return ""


def _receiver(node: Node) -> str:
    """The type that a Go method belongs to."""
    names = IDENTIFIER.findall(_text(node).partition("[")[0])
    return names[-1] if names else ""


def _signature(node: Node) -> str:
    """The text before the body, on one line."""
    body = node.child_by_field_name("body")
    if body is None and (value := node.child_by_field_name("value")) is not None:
        body = value.child_by_field_name("body")
    text = node.text or b""
    if body is not None:
        text = text[: body.start_byte - node.start_byte]
    else:
        text = text.partition(b"{")[0]
    head = text[: 8 * LONGEST_SIGNATURE].decode("utf-8", errors="replace")
    return " ".join(head.split()).rstrip(" :{=;").removesuffix(" =>")[:LONGEST_SIGNATURE]


def _imports(node: Node, line: int) -> Iterator[Import]:
    named = [child.child_by_field_name("name") or child for child in node.children_by_field_name("name")]
    names = tuple(_text(child) for child in named)
    if node.type == "import_statement":
        yield from (Import(name, (), 0, line) for name in names)
        return
    source = node.child_by_field_name("module_name")
    if source is None:
        return
    text = "".join(_text(source).split())
    level = len(text) - len(text.lstrip("."))
    star = ("*",) if any(child.type == "wildcard_import" for child in node.named_children) else ()
    if names or star:
        yield Import(text[level:], names + star, level, line)
