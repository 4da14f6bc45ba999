"""Where the values come from that a failing test looks at: backwards from the statement that broke (pure).

From the line at which a test failed, in its own text and in each frame of the traceback below, what it reads is
followed to the statements that give it a value, to the conditions around these, and into the functions that they call,
as far as the failing test ran them. A function that is called is followed from what it returns; one that gives nothing
back, from what it stores. What a method reads of its object is followed to the methods that write it.

The order of statements in a function is not looked at, and names stand for what they are bound to: lines are left out
only where nothing connects them. That is enough to tell what was computed from what merely ran.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Collection, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass, field

from ledger.vocabulary import TestResult

STEPS = 6
"""Calls that are followed, one below the other."""
MAKERS = frozenset({"__init__", "__new__", "__post_init__"})
CHANGING = frozenset({
    "add", "append", "appendleft", "clear", "discard", "extend", "insert", "pop", "popitem", "popleft", "remove",
    "reverse", "setdefault", "sort", "update", "write",
})  # fmt: skip
"""Methods of the library that change what they are called on."""

Place = tuple[str, int]
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True)
class Scope:
    """A function of a file; ``owner`` is the class that it stands in."""

    path: str
    node: Function
    owner: str

    @property
    def last(self) -> int:
        return self.node.end_lineno or self.node.lineno


@dataclass(slots=True)
class _File:
    scopes: list[Scope] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Slice:
    """What of a function is connected with what was asked for: its lines, what they call or read of other objects."""

    lines: frozenset[int]
    called: frozenset[str]
    read: frozenset[str]


def flows(
    red: Iterable[TestResult], coverage: Mapping[str, Mapping[str, Collection[int]]], files: Mapping[str, bytes]
) -> dict[Place, int]:
    """The lines that what the failing tests look at comes from, and over how many calls (at most :data:`STEPS`).

    ``files`` are the sources of tests and program, ``coverage`` is lines by test and file.
    """
    known = {path: _file(path, data) for path, data in files.items()}
    found: dict[Place, int] = {}
    for result in red:
        ran = {path: frozenset(lines) for path, lines in coverage.get(result.id, {}).items()}
        for place, steps in _of_test(result, ran, known).items():
            found[place] = max(steps, found.get(place, 0))
    return found


def _of_test(
    result: TestResult, ran: Mapping[str, frozenset[int]], known: Mapping[str, _File]
) -> dict[Place, int]:  # fmt: skip
    reached = [scope for path in ran.keys() & known.keys() for scope in known[path].scopes if _was_run(scope, ran)]
    classes = frozenset(name for file in known.values() for name in file.classes)
    waiting: deque[tuple[Scope, frozenset[str], frozenset[int], int]] = deque()
    for frame in result.frames:
        scope = _around(known.get(frame.path), frame.line)
        if scope is not None:
            waiting.append((scope, frozenset(), frozenset({frame.line}), 0))
    found: dict[Place, int] = {}
    seen: dict[tuple[str, int], set[str]] = {}
    while waiting:
        scope, names, lines, step = waiting.popleft()
        cut = sliced(scope.node, names=names, lines=lines)
        for line in cut.lines & ran.get(scope.path, frozenset()):
            found[scope.path, line] = max(step, found.get((scope.path, line), 0))
        if step == STEPS:
            continue
        for other in reached:
            wanted = _asked_of(other, scope, cut, classes)
            before = seen.setdefault((other.path, other.node.lineno), set())
            if wanted is not None and not (wanted or {""}) <= before:
                before |= wanted or {""}
                waiting.append((other, frozenset(wanted), frozenset() if wanted else _given(other), step + 1))
    return found


def _asked_of(other: Scope, scope: Scope, cut: Slice, classes: Set[str]) -> set[str] | None:
    """What a slice of ``scope`` asks of another function: names that it writes, an empty set for what it gives; None
    where they have nothing to do with each other."""
    name = other.node.name
    inner = scope.path == other.path and scope.node is not other.node and _holds(scope, other)
    makes = name in MAKERS and (other.owner in cut.called or bool({"cls", "type"} & cut.called))
    operates = name.startswith("__") and name.endswith("__") and name not in MAKERS
    if inner or makes or operates or name in cut.called | cut.read:
        return set()
    if other.owner and other.path == scope.path:
        return {each for each in cut.read if each.startswith("self.")} & written(other.node) or None
    return None


def _given(scope: Scope) -> frozenset[int]:
    """Lines of what a function gives back; where it gives nothing back, of what it stores in something else."""
    own = list(_statements(scope.node.body))
    back = [s for s in own if (isinstance(s, ast.Return) and s.value is not None) or _yields(s)]
    stored = [s for s in own if any("." in name for name in _writes(s))]
    return frozenset(s.lineno for s in (back or stored or own))


def sliced(function: Function, *, names: Collection[str], lines: Collection[int]) -> Slice:
    """Statements of a function that ``names``, or what is read at ``lines``, depend on."""
    own = list(_statements(function.body))
    around = _conditions(function)
    wanted = set(names)
    taken = {s for s in own if any(_holds_line(s, line) for line in lines)}
    waiting = list(taken)
    while True:
        for statement in waiting:
            wanted |= set(_reads(statement))
        grown = {s for s in own if s not in taken and wanted.intersection(_writes(s))}
        grown |= {c for s in (*taken, *grown) for c in around.get(s, ()) if c not in taken}
        if not grown:
            break
        taken |= grown
        waiting = list(grown)
    parts = [node for statement in taken for node in _parts(statement)]
    called = {_name(node.func) for node in parts if isinstance(node, ast.Call)}
    read = {node.attr for node in parts if isinstance(node, ast.Attribute)} | {n for n in wanted if "." in n}
    read |= {node.id for node in parts if isinstance(node, ast.Name)}  # a function may be handed on
    return Slice(
        lines=frozenset(line for s in taken for line in _own_lines(s)),
        called=frozenset(called - {""}),
        read=frozenset(read),
    )


def written(function: Function) -> frozenset[str]:
    """What a function writes of its object: ``self.x``."""
    return frozenset(name for s in _statements(function.body) for name in _writes(s) if name.startswith("self."))


def _file(path: str, data: bytes) -> _File:
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError):
        return _File()
    file = _File()
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, owner = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                file.scopes.append(Scope(path, child, owner))
                waiting.append((child, ""))
            elif isinstance(child, ast.ClassDef):
                file.classes.add(child.name)
                waiting.append((child, child.name))
            elif not isinstance(child, ast.expr):
                waiting.append((child, owner))
    return file


def _was_run(scope: Scope, ran: Mapping[str, frozenset[int]]) -> bool:
    first = scope.node.body[0].lineno
    return any(first <= line <= scope.last for line in ran.get(scope.path, ()))


def _around(file: _File | None, line: int) -> Scope | None:
    """The innermost function at a line."""
    scopes = [s for s in (file.scopes if file else ()) if s.node.lineno <= line <= s.last]
    return max(scopes, key=lambda scope: scope.node.lineno, default=None)


def _holds(outer: Scope, inner: Scope) -> bool:
    return outer.node.lineno < inner.node.lineno and inner.last <= outer.last


def _holds_line(statement: ast.stmt, line: int) -> bool:
    """Whether a line is of the statement itself; a block that is a single thought (``with``) is meant as a whole."""
    if isinstance(statement, ast.With | ast.AsyncWith):
        return statement.lineno <= line <= (statement.items[-1].context_expr.end_lineno or line)
    return line in _own_lines(statement)


def _own_lines(statement: ast.stmt) -> range:
    """The lines of a statement, of a compound one those of its header."""
    body = getattr(statement, "body", None) or getattr(statement, "cases", None)
    end = statement.end_lineno or statement.lineno
    if isinstance(body, list) and body:
        first = body[0].pattern.lineno if isinstance(body[0], ast.match_case) else body[0].lineno
        end = max(statement.lineno, first - 1)
    return range(statement.lineno, end + 1)


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """All statements below, those of inner functions and classes left out."""
    for statement in body:
        yield statement
        if not isinstance(statement, Function | ast.ClassDef):
            for block in _blocks(statement):
                yield from _statements(block)


def _blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        yield getattr(statement, name, [])
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body


def _conditions(function: Function) -> dict[ast.stmt, list[ast.stmt]]:
    """For each statement the compound ones around it; and conditions that may leave before it."""
    found: dict[ast.stmt, list[ast.stmt]] = {}
    waiting: list[tuple[list[ast.stmt], list[ast.stmt]]] = [(function.body, [])]
    while waiting:
        block, above = waiting.pop()
        leaving: list[ast.stmt] = []
        for statement in block:
            found[statement] = [*above, *leaving]
            if isinstance(statement, Function | ast.ClassDef):
                continue
            waiting += [(inner, [*above, *leaving, statement]) for inner in _blocks(statement)]
            jumps = (ast.Return, ast.Raise, ast.Continue, ast.Break)
            if any(isinstance(s, jumps) for inner in _blocks(statement) for s in _statements(inner)):
                leaving.append(statement)
    return found


def _parts(statement: ast.stmt) -> Iterator[ast.AST]:
    """Nodes of a statement itself; of a ``with`` its whole block, of other compound ones the header."""
    if isinstance(statement, ast.With | ast.AsyncWith):
        yield from ast.walk(statement)
        return
    waiting: list[ast.AST] = [statement]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += [c for c in ast.iter_child_nodes(node) if not isinstance(c, ast.stmt | ast.excepthandler)]


def _reads(statement: ast.stmt) -> Iterator[str]:
    for node in _parts(statement):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and node.id not in ("self", "cls"):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load) and _is_self(node.value):
            yield f"self.{node.attr}"
    if isinstance(statement, ast.AugAssign):
        yield from _targets(statement.target)


def _writes(statement: ast.stmt) -> Iterator[str]:
    if isinstance(statement, Function | ast.ClassDef):
        yield statement.name
        return
    for node in _parts(statement):
        if isinstance(node, ast.Name | ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            yield from _targets(node)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING:
            yield from _targets(node.func.value)
    if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        yield from (n for argument in statement.value.args for n in _targets(argument))  # it may be filled in
        if isinstance(statement.value.func, ast.Attribute):
            yield from _targets(statement.value.func.value)


def _targets(node: ast.expr) -> Iterator[str]:
    """What is bound or changed when something is stored in ``node``: a name, or ``self.x``."""
    while isinstance(node, ast.Subscript | ast.Starred | ast.Attribute):
        if isinstance(node, ast.Attribute) and _is_self(node.value):
            yield f"self.{node.attr}"
            return
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id in ("self", "cls")


def _yields(statement: ast.stmt) -> bool:
    return any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _parts(statement))


def _name(node: ast.expr) -> str:
    """The last word of what is called."""
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""
