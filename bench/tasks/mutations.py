"""Faults that people make, planted into source text. Pure: a file's text in, edits out.

A fault is a change of text in one function. The kinds follow what fix commits undo (a wrong operator, a boundary, a
wrong name, a forgotten guard, a wrong call), after the operators of mutation testing; none is made up for a repairer.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

COMPARE = {"Lt": "<=", "LtE": "<", "Gt": ">=", "GtE": ">", "Eq": "!=", "NotEq": "==", "In": "not in", "NotIn": "in"}
COMPARE |= {"Is": "is not", "IsNot": "is"}
ARITHMETIC = {"Add": "-", "Sub": "+", "Mult": "+", "Div": "//", "FloorDiv": "/", "Mod": "//", "Pow": "*"}
SIGNS = {"Lt": "<", "LtE": "<=", "Gt": ">", "GtE": ">=", "Eq": "==", "NotEq": "!=", "In": "in", "NotIn": "not in"}
SIGNS |= {"Is": "is", "IsNot": "is not"}
SIGNS |= {"Add": "+", "Sub": "-", "Mult": "*", "Div": "/", "FloorDiv": "//", "Mod": "%", "Pow": "**"}
OTHER_CALL = {
    "min": "max",
    "max": "min",
    "any": "all",
    "all": "any",
    "sorted": "list",
    "reversed": "list",
    "append": "extend",
    "extend": "append",
    "startswith": "endswith",
    "endswith": "startswith",
    "lstrip": "rstrip",
    "rstrip": "lstrip",
    "strip": "lstrip",
    "lower": "upper",
    "upper": "lower",
    "keys": "values",
    "values": "keys",
    "items": "keys",
    "find": "index",
    "rfind": "find",
    "split": "rsplit",
    "rsplit": "split",
    "partition": "rpartition",
    "rpartition": "partition",
    "add": "discard",
    "update": "setdefault",
    "isinstance": "issubclass",
    "floor": "ceil",
    "ceil": "floor",
    "islice": "iter",
    "chain": "zip",
    "pop": "get",
    "get": "pop",
    "insert": "append",
    "round": "int",
    "union": "intersection",
    "intersection": "union",
    "popleft": "pop",
    "appendleft": "append",
    "match": "search",
    "search": "match",
    "isdigit": "isalpha",
    "enumerate": "list",
    "filter": "map",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutation:
    """``old`` at ``start`` (offset in the file's text) becomes ``new``; ``function`` is where, ``kind`` what it is."""

    kind: str
    start: int
    old: str
    new: str
    function: str
    line: int

    @property
    def lines(self) -> int:
        """Lines of the file that it touches."""
        return max(self.old.count("\n"), self.new.count("\n")) + 1

    def applied(self, text: str) -> str:
        if text[self.start : self.start + len(self.old)] != self.old:
            raise ValueError(f"the fault does not fit: {self.old!r} is not at {self.start}")
        return text[: self.start] + self.new + text[self.start + len(self.old) :]


class Text:
    """Offsets of syntax nodes in the text that they were parsed from."""

    def __init__(self, text: str) -> None:
        self.text, self.lines = text, text.splitlines(keepends=True)
        self._starts = [0]
        for line in self.lines:
            self._starts.append(self._starts[-1] + len(line))

    def at(self, line: int, column: int) -> int:
        """``column`` counts bytes of UTF-8, as the syntax tree does."""
        return self._starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno or node.lineno, node.end_col_offset or 0)

    def of(self, node: ast.expr | ast.stmt) -> str:
        start, end = self.span(node)
        return self.text[start:end]

    def whole_lines(self, first: int, last: int) -> tuple[int, str]:
        return self._starts[first - 1], "".join(self.lines[first - 1 : last])


Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.Module) -> Iterator[tuple[str, Function]]:
    """Functions and methods with their dotted names; those inside functions belong to the outer one."""
    stack: list[tuple[str, ast.stmt]] = [("", node) for node in tree.body]
    while stack:
        prefix, node = stack.pop(0)
        if isinstance(node, Function):
            yield f"{prefix}{node.name}", node
        elif isinstance(node, ast.ClassDef):
            stack += [(f"{prefix}{node.name}.", below) for below in node.body]


def mutations(source: str) -> Iterator[Mutation]:
    """Every fault that this file can be given, in order of place."""
    text, tree = Text(source), ast.parse(source)
    for name, function in functions(tree):
        body = function.body[1:] if ast.get_docstring(function) else function.body
        found: list[Mutation] = []
        for statement in body:
            for node in ast.walk(statement):
                if isinstance(node, ast.expr):
                    found += _of_expression(text, name, node, function)
                elif isinstance(node, ast.stmt):
                    found += _of_statement(text, name, node)
        found += list(_left_out(text, name, function))
        yield from sorted({(m.start, m.new, m.kind): m for m in found}.values(), key=lambda m: (m.start, m.kind, m.new))


def _made(text: Text, kind: str, name: str, node: ast.expr | ast.stmt, new: str) -> Mutation:
    start, end = text.span(node)
    return Mutation(kind=kind, start=start, old=text.text[start:end], new=new, function=name, line=node.lineno)


def _sign(text: Text, kind: str, name: str, left: ast.expr, right: ast.expr, old: str, new: str) -> Iterator[Mutation]:
    """Replace the sign between two operands, where it stands there plainly."""
    start, end = text.span(left)[1], text.span(right)[0]
    between = text.text[start:end]
    if between.strip() == old:
        at = start + between.index(old)
        yield Mutation(kind=kind, start=at, old=old, new=new, function=name, line=right.lineno)


def _of_expression(text: Text, name: str, node: ast.expr, function: Function) -> Iterator[Mutation]:
    if isinstance(node, ast.Compare) and len(node.ops) == 1:
        word = type(node.ops[0]).__name__
        kind = "boundary" if word in ("Lt", "LtE", "Gt", "GtE") else "condition"
        yield from _sign(text, kind, name, node.left, node.comparators[0], SIGNS[word], COMPARE[word])
    elif isinstance(node, ast.BinOp) and type(node.op).__name__ in ARITHMETIC:
        word = type(node.op).__name__
        yield from _sign(text, "operator", name, node.left, node.right, SIGNS[word], ARITHMETIC[word])
    elif isinstance(node, ast.BoolOp) and len(node.values) == 2:
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        yield from _sign(text, "condition", name, node.values[0], node.values[1], old, new)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield _made(text, "condition", name, node, text.of(node.operand))
    elif isinstance(node, ast.Constant) and type(node.value) is int and text.of(node).isdigit():
        yield _made(text, "constant", name, node, str(node.value + 1))
        if node.value > 0:
            yield _made(text, "constant", name, node, str(node.value - 1))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
        yield _made(text, "constant", name, node, str(not node.value))
    elif isinstance(node, ast.Call):
        yield from _of_call(text, name, node)
    elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
        arguments = [a.arg for a in (*function.args.posonlyargs, *function.args.args) if a.arg not in ("self", "cls")]
        if node.id in arguments:
            yield from (_made(text, "name", name, node, other) for other in arguments if other != node.id)
    elif isinstance(node, ast.IfExp):
        swapped = f"{text.of(node.orelse)} if {text.of(node.test)} else {text.of(node.body)}"
        yield _made(text, "condition", name, node, swapped)


def _of_call(text: Text, name: str, node: ast.Call) -> Iterator[Mutation]:
    called = node.func
    last = called.attr if isinstance(called, ast.Attribute) else called.id if isinstance(called, ast.Name) else ""
    if last in OTHER_CALL:
        end = text.span(called)[1]
        yield Mutation(
            kind="call", start=end - len(last), old=last, new=OTHER_CALL[last], function=name, line=called.lineno
        )
    plain = [a for a in node.args if not isinstance(a, ast.Starred)]
    if len(plain) == len(node.args) == 2 and node.lineno == node.end_lineno:
        first, second = (text.of(a) for a in plain)
        start, end = text.span(plain[0])[0], text.span(plain[1])[1]
        if first != second and text.text[start:end] == f"{first}, {second}":
            yield Mutation(
                kind="arguments",
                start=start,
                old=text.text[start:end],
                new=f"{second}, {first}",
                function=name,
                line=node.lineno,
            )
    if len(node.args) == 1 and not node.keywords and isinstance(node.args[0], ast.Name | ast.Call | ast.Attribute):
        yield _made(text, "missing call", name, node, text.of(node.args[0]))


def _of_statement(text: Text, name: str, node: ast.stmt) -> Iterator[Mutation]:
    if isinstance(node, ast.If) and node.orelse and not isinstance(node.orelse[0], ast.If):
        first, second = node.body, node.orelse
        start, one = text.whole_lines(first[0].lineno, first[-1].end_lineno or 0)
        at, other = text.whole_lines(second[0].lineno, second[-1].end_lineno or 0)
        old = text.text[start : at + len(other)]
        between = text.text[start + len(one) : at]
        if between.strip() == "else:" and len(old.splitlines()) <= 8:
            yield Mutation(
                kind="branches", start=start, old=old, new=other + between + one, function=name, line=node.lineno
            )
    elif isinstance(node, ast.AugAssign) and type(node.op).__name__ in ARITHMETIC:
        old, new = f"{SIGNS[type(node.op).__name__]}=", f"{ARITHMETIC[type(node.op).__name__]}="
        yield from _sign(text, "operator", name, node.target, node.value, old, new)


def _left_out(text: Text, name: str, function: Function) -> Iterator[Mutation]:
    """A statement, or a whole guard, that somebody forgot. The block that it stood in keeps at least one other."""
    for block in _blocks(function):
        for index, node in enumerate(block):
            if len(block) < 2 or isinstance(node, Function | ast.ClassDef | ast.Import | ast.ImportFrom):
                continue
            if index == 0 and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                continue  # the docstring
            first, last = node.lineno, node.end_lineno or node.lineno
            start, old = text.whole_lines(first, last)
            if last - first < 6 and old.strip() == text.of(node):
                kind = "missing lines" if last > first else "missing line"
                yield Mutation(kind=kind, start=start, old=old, new="", function=name, line=first)


def _blocks(function: Function) -> Iterator[list[ast.stmt]]:
    for node in ast.walk(function):
        for field in ("body", "orelse", "finalbody"):
            block = getattr(node, field, None)
            if isinstance(block, list) and block and isinstance(block[0], ast.stmt):
                yield block
