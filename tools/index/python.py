"""Facts of a Python file by its syntax tree."""

from __future__ import annotations

import ast

from ledger.python_source import parse_or_why
from tools.index.facts import CallSite, Import, IndexedFile, Symbol

LONGEST_SIGNATURE = 240
_IMPORTERS = frozenset({"import_module", "__import__"})
_Function = ast.FunctionDef | ast.AsyncFunctionDef


class _Visitor(ast.NodeVisitor):
    def __init__(self) -> None:
        self.scope: list[str] = []
        self.symbols: list[Symbol] = []
        self.calls: list[CallSite] = []
        self.imports: list[Import] = []

    def _enter(self, node: _Function | ast.ClassDef, kind: str, signature: str) -> None:
        for decorator in node.decorator_list:
            self.visit(decorator)
            if not isinstance(decorator, ast.Call):  # a bare decorator is called with the decorated object
                self._called(decorator, decorator.lineno)
        name = ".".join([*self.scope, node.name])
        text = " ".join(signature.split())[:LONGEST_SIGNATURE]
        self.symbols.append(Symbol(name, kind, text, node.lineno, node.end_lineno or node.lineno))
        self.scope.append(node.name)
        for child in ast.iter_child_nodes(node):
            if child not in node.decorator_list:
                self.visit(child)
        self.scope.pop()

    def _function(self, node: _Function, lead: str) -> None:
        returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        self._enter(node, lead, f"{lead} {node.name}({ast.unparse(node.args)}){returns}")

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        self._function(node, "def")

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> None:
        self._function(node, "async def")

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        bases = ", ".join(ast.unparse(base) for base in node.bases)
        self._enter(node, "class", f"class {node.name}({bases})" if bases else f"class {node.name}")

    def visit_Call(self, node: ast.Call) -> None:
        callee = self._called(node.func, node.lineno)
        first = node.args[0] if node.args else None
        if callee in _IMPORTERS and isinstance(first, ast.Constant) and isinstance(first.value, str):
            level = len(first.value) - len(first.value.lstrip("."))
            self.imports.append(Import(first.value[level:], (), level, node.lineno))
        self.generic_visit(node)

    def _called(self, what: ast.expr, line: int) -> str | None:
        callee = what.id if isinstance(what, ast.Name) else what.attr if isinstance(what, ast.Attribute) else None
        if callee is not None:
            self.calls.append(CallSite(callee, ".".join(self.scope), line))
        return callee

    def visit_Import(self, node: ast.Import) -> None:
        self.imports += [Import(alias.name, (), 0, node.lineno) for alias in node.names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        names = tuple(alias.name for alias in node.names)
        self.imports.append(Import(node.module or "", names, node.level, node.lineno))


def read_python(data: bytes) -> IndexedFile:
    """Symbols, calls and imports of one file; only an ``error`` when it does not parse."""
    tree = parse_or_why(data)
    if isinstance(tree, str):
        return IndexedFile(error=tree)
    visitor = _Visitor()
    try:
        visitor.visit(tree)
    except RecursionError:
        return IndexedFile(error="it is nested too deeply")
    return IndexedFile(tuple(visitor.symbols), tuple(visitor.calls), tuple(visitor.imports))
