"""Small edits for common classes of mistakes, made without a model; they are tested and ranked like other variants.

Each looks at the syntax of one suspicious statement and proposes replacements: operator, bound, name, call, order of
arguments, guard, import, return, default. None depends on a test or a task. Pure.
"""

from __future__ import annotations

import ast
import builtins
import difflib
import re
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from governance.repair.spans import Function, Move, ParsedFile, Span, insert_before, insert_import
from tools.testing.localisation.missing import missing_of

SIGNS: dict[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.In: "in",
    ast.NotIn: "not in",
    ast.Is: "is",
    ast.IsNot: "is not",
    ast.And: "and",
    ast.Or: "or",
}
INSTEAD: dict[str, tuple[str, ...]] = {
    "<": ("<=", ">", ">="),
    "<=": ("<", ">=", ">"),
    ">": (">=", "<", "<="),
    ">=": (">", "<=", "<"),
    "==": ("!=", ">=", "<="),
    "!=": ("==",),
    "in": ("not in",),
    "not in": ("in",),
    "is": ("is not",),
    "is not": ("is",),
    "and": ("or",),
    "or": ("and",),
    "+": ("-", "*"),
    "-": ("+",),
    "*": ("+", "/", "**"),
    "/": ("//", "*"),
    "//": ("/", "%"),
    "%": ("//",),
    "**": ("*",),
    "&": ("|", "^"),
    "|": ("&", "^"),
    "^": ("&", "|"),
    "<<": (">>",),
    ">>": ("<<",),
}
_PAIRS = """
    min/max any/all append/extend startswith/endswith lstrip/rstrip strip/lstrip strip/rstrip lower/upper keys/values
    items/keys items/values find/rfind index/rindex split/rsplit partition/rpartition add/discard update/setdefault
    floor/ceil pop/popleft append/appendleft union/intersection match/search match/fullmatch isdigit/isalpha
    sorted/reversed sorted/list list/tuple pop/get int/round map/filter
    """
PAIRS = tuple(pair.split("/") for pair in _PAIRS.split())
NAMES = 6
"""Names tried in place of one that may be wrong: so many similar ones, and so many nearby ones."""
MAKERS, MAKER_CHARS = 6, 24
"""Number of the file's calls that are tried around a value, and the greatest length of their names."""
TYPES = ("str", "list", "tuple", "int", "len", '"".join')
MOST = 80
"""Maximum number of proposals for one statement."""
GUARDED = frozenset(
    {"ZeroDivisionError", "TypeError", "IndexError", "KeyError", "AttributeError", "ValueError", "StopIteration"}
)
_COMPARED = re.compile(r"^(?:AssertionError: )?(?:assert )?(\S.*?) (?:==|!=) (\S.*)", re.M)
_UNKNOWN = re.compile(r"name '(\w+)' is not defined")


@dataclass(frozen=True, slots=True)
class Proposed:
    """``text`` for the hole ``span``; ``kind``: the class of mistake that it corrects."""

    span: Span
    text: str
    kind: str


@dataclass(frozen=True, slots=True)
class Complaint:
    """The exception of a failing test: its name and message."""

    exception: str
    message: str
    offered: tuple[str, ...] = ()  # names in modules and classes that lack a name, by the message


def proposals(source: ParsedFile, line: int, complaints: Collection[Complaint] = ()) -> tuple[Proposed, ...]:
    """Small edits at ``line``: those that the exceptions suggest first, then likely slips."""
    statement = _statement(source, line)
    if source.tree is None or statement is None:
        return ()
    nodes = [node for node in _own(statement) if isinstance(node, ast.expr)]
    function = source.function_at(line)
    moves: list[Iterable[Proposed]] = [
        _unknown_names(source, line, nodes, function, complaints),
        _guards(source, line, nodes, function, complaints),
        _signs(source, line, nodes),
        _bounds(source, line, nodes),
        _negations(source, line, statement, nodes),
        _calls(source, line, nodes),
        _missing_calls(source, line, statement, function, complaints),
        _arguments(source, line, nodes),
        _returns(source, line, statement, function),
        _defaults(source, line, statement),
        _other_names(source, line, nodes, function),
    ]
    found: dict[tuple[int, int, str], Proposed] = {}
    for one in (proposed for move in moves for proposed in move):
        found.setdefault((one.span.start, one.span.end, one.span.lead + one.text), one)
    return tuple(found.values())[:MOST]


def _statement(source: ParsedFile, line: int) -> ast.stmt | None:
    """The innermost statement at ``line``."""
    best: ast.stmt | None = None
    for node in source.statements:
        holds = node.lineno <= line <= (node.end_lineno or node.lineno)
        if holds and (best is None or node.lineno >= best.lineno):
            best = node
    return best


def _own(statement: ast.stmt) -> Iterator[ast.AST]:
    """Nodes of the statement itself, not of the statements inside it."""
    stack: list[ast.AST] = [statement]
    while stack:
        node = stack.pop(0)
        yield node
        stack += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.stmt)]


def _on_one_line(node: ast.expr) -> bool:
    return node.lineno == node.end_lineno


def _range(source: ParsedFile, node: ast.expr) -> tuple[int, int]:
    last = node.end_lineno or node.lineno
    return source.offset(node.lineno, node.col_offset), source.offset(last, node.end_col_offset or 0)


def _text(source: ParsedFile, node: ast.expr) -> str:
    start, end = _range(source, node)
    return source.text[start:end]


def _replaced(source: ParsedFile, line: int, node: ast.expr, text: str, kind: str) -> Proposed:
    start, end = _range(source, node)
    return Proposed(Span(start, end, line, Move.EXPRESSION), text, kind)


def _between(
    source: ParsedFile, line: int, left: ast.expr, right: ast.expr, sign: str, kind: str
) -> Iterator[Proposed]:
    """Other operators between two operands, where nothing but the operator is between them."""
    start, end = _range(source, left)[1], _range(source, right)[0]
    gap = source.text[start:end]
    if gap.strip(" \t\r\n\\()") == sign:
        at = start + gap.index(sign)
        for other in INSTEAD[sign]:
            yield Proposed(Span(at, at + len(sign), line, Move.EXPRESSION), other, kind)


def _signs(source: ParsedFile, line: int, nodes: Iterable[ast.expr]) -> Iterator[Proposed]:
    for node in nodes:
        if isinstance(node, ast.Compare):
            operands = [node.left, *node.comparators]
            for left, operator, right in zip(operands, node.ops, operands[1:], strict=False):
                yield from _between(source, line, left, right, SIGNS[type(operator)], "comparison")
        elif isinstance(node, ast.BinOp) and type(node.op) in SIGNS:
            yield from _between(source, line, node.left, node.right, SIGNS[type(node.op)], "operator")
        elif isinstance(node, ast.BoolOp):
            for left, right in zip(node.values, node.values[1:], strict=False):
                yield from _between(source, line, left, right, SIGNS[type(node.op)], "condition")


def _bounds(source: ParsedFile, line: int, nodes: Iterable[ast.expr]) -> Iterator[Proposed]:
    """Off by one: constants, subscripts and slices, the ends of a range."""
    for node in nodes:
        if isinstance(node, ast.Constant) and type(node.value) is int and _text(source, node).isdigit():
            for value in (node.value - 1, node.value + 1):
                yield _replaced(source, line, node, str(value), "off by one")
        ends: list[ast.expr | None] = []
        if isinstance(node, ast.Subscript):
            ends = [node.slice.lower, node.slice.upper] if isinstance(node.slice, ast.Slice) else [node.slice]
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "range":
            ends = list(node.args)
        for end in ends:
            if isinstance(end, ast.Name | ast.Call | ast.Attribute) and _on_one_line(end):
                for sign in ("- 1", "+ 1"):
                    yield _replaced(source, line, end, f"{_text(source, end)} {sign}", "off by one")
            elif isinstance(end, ast.BinOp) and isinstance(end.right, ast.Constant) and end.right.value == 1:
                yield _replaced(source, line, end, _text(source, end.left), "off by one")


def _negations(source: ParsedFile, line: int, statement: ast.stmt, nodes: Iterable[ast.expr]) -> Iterator[Proposed]:
    for node in nodes:
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            yield _replaced(source, line, node, _text(source, node.operand), "condition")
        elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            yield _replaced(source, line, node, _text(source, node.operand), "operator")
        elif isinstance(node, ast.IfExp):
            parts = (_text(source, node.orelse), _text(source, node.test), _text(source, node.body))
            yield _replaced(source, line, node, "{} if {} else {}".format(*parts), "condition")
        elif isinstance(node, ast.Constant) and isinstance(node.value, bool):
            yield _replaced(source, line, node, str(not node.value), "constant")
    test = getattr(statement, "test", None)
    if isinstance(test, ast.Name | ast.Call | ast.Attribute | ast.BoolOp) and _on_one_line(test):
        whole = _text(source, test)
        yield _replaced(
            source, line, test, f"not ({whole})" if isinstance(test, ast.BoolOp) else f"not {whole}", "condition"
        )


def _calls(source: ParsedFile, line: int, nodes: Iterable[ast.expr]) -> Iterator[Proposed]:
    others: dict[str, list[str]] = {}
    for one, other in PAIRS:
        others.setdefault(one, []).append(other)
        others.setdefault(other, []).append(one)
    for node in nodes:
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name | ast.Attribute):
            continue
        name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        end = _range(source, node.func)[1]
        for other in others.get(name, ()):
            yield Proposed(Span(end - len(name), end, line, Move.EXPRESSION), other, "call")
        if len(node.args) == 1 and not node.keywords and not isinstance(node.args[0], ast.Starred):
            yield _replaced(source, line, node, _text(source, node.args[0]), "call")


def _missing_calls(
    source: ParsedFile, line: int, statement: ast.stmt, function: Function | None, complaints: Iterable[Complaint]
) -> Iterator[Proposed]:
    """For a value of the wrong type: a conversion by a function that the file calls with one argument, or by a type."""
    if not any(is_about_types(complaint) for complaint in complaints):
        return
    near = [_text(source, call.func) for call in _small_calls(function)]
    far = [_text(source, call.func) for call in _small_calls(source.tree)]
    makers = [*dict.fromkeys([*near, *(name for name, _ in Counter(far).most_common())])][:MAKERS]
    locals_ = set(_local_names(function))
    parts = [n for n in _own(statement) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and n.id in locals_]
    for value in [*_values(statement), *parts]:
        text = _text(source, value)
        for maker in dict.fromkeys([*makers, *TYPES]):
            yield _replaced(source, line, value, f"{maker}({text})", "missing call")


def _small_calls(tree: ast.AST | None) -> Iterator[ast.Call]:
    """Calls with one argument whose function has a short name."""
    for node in ast.walk(tree) if tree is not None else ():
        if isinstance(node, ast.Call) and len(node.args) == 1 and not node.keywords:
            short = _on_one_line(node.func) and (node.func.end_col_offset or 0) - node.func.col_offset <= MAKER_CHARS
            if short and not isinstance(node.args[0], ast.Starred):
                yield node


def _values(statement: ast.stmt) -> Iterator[ast.expr]:
    """The values that a statement returns, raises, assigns or iterates over."""
    for name in ("value", "exc", "iter"):
        value = getattr(statement, name, None)
        if isinstance(value, ast.expr):
            yield value


def is_about_types(complaint: Complaint) -> bool:
    """Whether a value has the wrong type: by the exception, or by a comparison of two literals of different types."""
    if complaint.exception in ("TypeError", "AttributeError"):
        return True
    found = _COMPARED.search(complaint.message) if complaint.exception == "AssertionError" else None
    return found is not None and _look(found[1]) != _look(found[2])


def _look(value: str) -> str:
    """The first character of a literal, the same for literals of one type; empty for other text."""
    first = value[:1]
    return "0" if first.isdigit() or first == "-" else first.replace('"', "'") if first in "[({'\"b" else ""


def _arguments(source: ParsedFile, line: int, nodes: Iterable[ast.expr]) -> Iterator[Proposed]:
    for node in nodes:
        if isinstance(node, ast.Call) and 2 <= len(node.args) <= 4:
            for left, right in zip(node.args, node.args[1:], strict=False):
                start, end = _range(source, left)[0], _range(source, right)[1]
                gap = source.text[_range(source, left)[1] : _range(source, right)[0]]
                swapped = f"{_text(source, right)}{gap}{_text(source, left)}"
                yield Proposed(Span(start, end, line, Move.EXPRESSION), swapped, "argument order")


def _local_names(function: Function | None) -> list[str]:
    """Parameters and what is assigned in the function, in order of appearance."""
    if function is None:
        return []
    arguments = function.args
    names = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    names += [a.arg for a in (arguments.vararg, arguments.kwarg) if a is not None]
    names += [n.id for n in ast.walk(function) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
    return [name for name in dict.fromkeys(names) if name not in ("self", "cls")]


def _other_names(
    source: ParsedFile, line: int, nodes: Iterable[ast.expr], function: Function | None
) -> Iterator[Proposed]:
    """Other local names for one that is read: the most similar, and the nearest."""
    names = _local_names(function)
    near = _nearest(function, line)
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id in names:
            others = [n for n in names if n != node.id]
            alike = sorted(others, key=lambda other: -difflib.SequenceMatcher(None, node.id, other).ratio())
            close = sorted(others, key=lambda other: near.get(other, line))
            for other in dict.fromkeys([*alike[:NAMES], *close[:NAMES]]):
                yield _replaced(source, line, node, other, "name")


def _nearest(function: Function | None, line: int) -> dict[str, int]:
    """Distance in lines of the nearest use of each name."""
    found: dict[str, int] = {}
    for node in ast.walk(function) if function is not None else ():
        if isinstance(node, ast.Name):
            away = abs(node.lineno - line)
            found[node.id] = min(found.get(node.id, away), away)
    return found


def module_names(source: ParsedFile) -> list[str]:
    """Names that a file defines, imports or assigns outside of functions."""
    tree = source.tree
    found = [n.name for n in ast.walk(tree) if isinstance(n, Function | ast.ClassDef)] if tree else []
    for node in tree.body if tree else ():
        if isinstance(node, ast.Import | ast.ImportFrom):
            found += [(alias.asname or alias.name).partition(".")[0] for alias in node.names]
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found += [n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)]
    return list(dict.fromkeys(found))


def _unknown_names(
    source: ParsedFile,
    line: int,
    nodes: Iterable[ast.expr],
    function: Function | None,
    complaints: Iterable[Complaint],
) -> Iterator[Proposed]:
    """For a NameError: an import of that name, or a similar name that is in scope."""
    unknown = {match[1] for c in complaints if c.exception == "NameError" for match in _UNKNOWN.finditer(c.message)}
    scope = [*_local_names(function), *module_names(source), *dir(builtins)]
    for name in sorted(unknown):
        if name in sys.stdlib_module_names:
            yield Proposed(insert_import(source, line), name, "import")
        others = [other for other in scope if other != name]
        for node in nodes:
            if isinstance(node, ast.Name) and node.id == name:
                for other in difflib.get_close_matches(name, others, n=NAMES, cutoff=0.5):
                    yield _replaced(source, line, node, other, "name")


def _guards(
    source: ParsedFile,
    line: int,
    nodes: Iterable[ast.expr],
    function: Function | None,
    complaints: Iterable[Complaint],
) -> Iterator[Proposed]:
    """For an error on an empty value (list, zero, None): an early return of a value that the function also returns."""
    if function is None or not any(c.exception in GUARDED for c in complaints):
        return
    span = insert_before(source, line)
    arguments = set(_local_names(function))
    names = [n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load) and n.id in arguments]
    returned = [n.value for n in ast.walk(function) if isinstance(n, ast.Return) and n.value and _on_one_line(n.value)]
    values = [
        _text(source, value) for value in returned if isinstance(value, ast.Constant | ast.List | ast.Dict | ast.Name)
    ]
    values += ["None", "[]", "0", '""']
    inside = f"{span.lead}    "
    for name in list(dict.fromkeys(names))[:3]:
        for value in list(dict.fromkeys([*values, name]))[:6]:
            yield Proposed(span, f"if not {name}:\n{inside}return {value}", "guard")
        yield Proposed(span, f"if {name} is None:\n{inside}return None", "guard")


def _returns(source: ParsedFile, line: int, statement: ast.stmt, function: Function | None) -> Iterator[Proposed]:
    """A missing return of a value that is computed at the end of a function or branch."""
    if function is None or not _ends_a_block(function, statement):
        return
    value = statement.value if isinstance(statement, ast.Expr) else None
    given = isinstance(value, ast.expr) and not isinstance(value, ast.Constant | ast.Await | ast.Yield | ast.YieldFrom)
    if value is not None and given and _on_one_line(value):
        yield _replaced(source, line, value, f"return {_text(source, value)}", "return")
    target = statement.targets[0] if isinstance(statement, ast.Assign) else getattr(statement, "target", None)
    if isinstance(target, ast.Name) and not isinstance(statement, ast.For | ast.AsyncFor):
        at = source.line_end(statement.end_lineno or statement.lineno)
        lead = "\n" + source.indent(statement.lineno)
        yield Proposed(Span(at, at, line, Move.AFTER, lead=lead), f"return {target.id}", "return")


def _ends_a_block(function: Function, statement: ast.stmt) -> bool:
    """Whether a statement is the last of a function or of one of its branches."""
    blocks = [function.body]
    while blocks:
        block = blocks.pop()
        if block and block[-1] is statement:
            return True
        for inner in block:
            if isinstance(inner, ast.If | ast.With | ast.AsyncWith | ast.Try):
                blocks += [inner.body, getattr(inner, "orelse", []), getattr(inner, "finalbody", [])]
                blocks += [handler.body for handler in getattr(inner, "handlers", ())]
    return False


def _defaults(source: ParsedFile, line: int, statement: ast.stmt) -> Iterator[Proposed]:
    """Another default of a parameter; numbers and booleans are covered by bounds and negations."""
    if not isinstance(statement, Function):
        return
    for default in (*statement.args.defaults, *statement.args.kw_defaults):
        if isinstance(default, ast.Constant) and default.value is None:
            for other in ("0", '""', "()", "False", "True"):
                yield _replaced(source, line, default, other, "default")
        elif isinstance(default, ast.Constant) and type(default.value) in (int, str, bool):
            yield _replaced(source, line, default, "None", "default")


ALIKE = 0.5
"""Least similarity of two names; names that the module or class has are tried without this limit."""
KIND = "renamed"


def renamed(source: ParsedFile, line: int, complaints: Collection[Complaint]) -> Iterator[Proposed]:
    """At ``line``: another name where the missing one is used, or the missing name for a similar definition."""
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
    source: ParsedFile, line: int, node: ast.ImportFrom, missing: Collection[str], offered: Collection[str]
) -> Iterator[Proposed]:
    for alias in node.names:
        if alias.name in missing:
            span = Span(
                source.offset(alias.lineno, alias.col_offset),
                source.offset(alias.end_lineno or alias.lineno, alias.end_col_offset or 0),
                line,
                Move.EXPRESSION,
            )
            for other in _alike(alias.name, offered, least=0.0):
                yield Proposed(span, f"{other} as {alias.asname or alias.name}", KIND)


def _attributes(source: ParsedFile, line: int, node: ast.Attribute, offered: Collection[str]) -> Iterator[Proposed]:
    end = source.offset(node.end_lineno or node.lineno, node.end_col_offset or 0)
    span = Span(end - len(node.attr), end, line, Move.EXPRESSION)
    for other in _alike(node.attr, offered or _attributes_of(source), least=0.0 if offered else ALIKE):
        yield Proposed(span, other, KIND)


def _definitions(
    source: ParsedFile, line: int, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, missing: Collection[str]
) -> Iterator[Proposed]:
    at = source.text.index(node.name, source.offset(node.lineno, node.col_offset) + len("def"))
    for name in difflib.get_close_matches(node.name, sorted(missing), n=1, cutoff=ALIKE):
        yield Proposed(Span(at, at + len(node.name), line, Move.EXPRESSION), name, KIND)


def _attributes_of(source: ParsedFile) -> list[str]:
    nodes = ast.walk(source.tree) if source.tree is not None else ()
    return [*module_names(source), *(n.attr for n in nodes if isinstance(n, ast.Attribute))]


def _alike(name: str, others: Iterable[str], *, least: float) -> list[str]:
    known = sorted(set(others) - {name})
    return difflib.get_close_matches(name, known, n=NAMES, cutoff=least)
