"""Symbols and calls of Python files by syntax tree, remembered by the hash of the file."""

from __future__ import annotations

import ast
import warnings
from collections import OrderedDict
from dataclasses import dataclass

from ledger.ids import sha256_hex


@dataclass(frozen=True, slots=True)
class Symbol:
    """A class or function. ``name`` is qualified inside the module (``Class.method``)."""

    name: str
    kind: str  # "class", "def", "async def"
    signature: str
    line: int
    end: int


@dataclass(frozen=True, slots=True)
class CallSite:
    """A call of something whose last name is ``callee``, inside ``caller`` (empty: at module level)."""

    callee: str
    caller: str
    line: int


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """What one file says. ``error`` is set when it does not parse."""

    symbols: tuple[Symbol, ...] = ()
    calls: tuple[CallSite, ...] = ()
    error: str = ""


class _Visitor(ast.NodeVisitor):
    def __init__(self) -> None:
        self.scope: list[str] = []
        self.symbols: list[Symbol] = []
        self.calls: list[CallSite] = []

    def _enter(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, kind: str, signature: str) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
        name = ".".join([*self.scope, node.name])
        self.symbols.append(Symbol(name, kind, signature, node.lineno, node.end_lineno or node.lineno))
        self.scope.append(node.name)
        for child in ast.iter_child_nodes(node):
            if child not in node.decorator_list:
                self.visit(child)
        self.scope.pop()

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef, kind: str) -> None:
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        self._enter(node, kind, f"{node.name}({ast.unparse(node.args)}){returns}")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node, "def")

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node, "async def")

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        self._enter(node, "class", f"{node.name}({bases})" if bases else node.name)

    def visit_Call(self, node: ast.Call) -> None:
        callee = node.func.id if isinstance(node.func, ast.Name) else None
        callee = node.func.attr if isinstance(node.func, ast.Attribute) else callee
        if callee is not None:
            self.calls.append(CallSite(callee, ".".join(self.scope), node.lineno))
        self.generic_visit(node)


def parse_module(data: bytes) -> ModuleFacts:
    """Symbols and calls of one file's bytes."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(data)
    except SyntaxError as error:
        return ModuleFacts(error=f"line {error.lineno}: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return ModuleFacts(error=f"the file cannot be parsed ({error})")
    visitor = _Visitor()
    try:
        visitor.visit(tree)
    except RecursionError:
        return ModuleFacts(error="the file is nested too deeply")
    return ModuleFacts(tuple(visitor.symbols), tuple(visitor.calls))


class CodeIndex:
    """Facts of files, parsed once for each content. Holds at most ``limit`` files."""

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._facts: OrderedDict[str, ModuleFacts] = OrderedDict()

    def facts(self, data: bytes) -> ModuleFacts:
        """Facts of a file with this content."""
        key = sha256_hex(data)
        known = self._facts.get(key)
        if known is None:
            known = self._facts[key] = parse_module(data)
            while len(self._facts) > self._limit:
                self._facts.popitem(last=False)
        return known
