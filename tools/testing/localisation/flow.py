"""Backward data flow from the statement at which a test failed. Pure.

In each frame of the traceback, the values that the line reads are followed to the statements that assign them, to the
conditions around these, and into the functions that they call, if the failing test ran these. A called function is
followed from its return values, or from its assignments if it returns none. Attributes that a method reads are followed
to the methods that write them.
"""

from __future__ import annotations

import ast
from collections import deque
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, field

from ledger.vocabulary import TestResult
from tools.testing.localisation.slices import Body, Function, Slice

STEPS = 6
"""Maximum depth of calls that are followed."""
CONSTRUCTORS = frozenset({"__init__", "__new__", "__post_init__"})

Place = tuple[str, int]  # path and line


@dataclass(frozen=True, slots=True)
class Scope:
    """A function of a file; ``owner`` is its class."""

    path: str
    node: Function
    owner: str
    body: Body

    @property
    def last(self) -> int:
        return self.node.end_lineno or self.node.lineno


@dataclass(slots=True)
class _File:
    scopes: list[Scope] = field(default_factory=list)
    classes: set[str] = field(default_factory=set)


def trace_values(
    red: Iterable[TestResult], coverage: Mapping[str, Mapping[str, Collection[int]]], files: Mapping[str, ast.Module]
) -> dict[Place, int]:
    """The lines on which values of the failing tests depend, with the number of calls between (at most :data:`STEPS`).

    ``files``: syntax trees of tests and program by path; ``coverage``: executed lines by test and file.
    """
    known = {path: _index_file(path, tree) for path, tree in files.items()}
    found: dict[Place, int] = {}
    for result in red:
        ran = {path: frozenset(lines) for path, lines in coverage.get(result.id, {}).items()}
        for place, steps in _trace_test(result, ran, known).items():
            found[place] = max(steps, found.get(place, 0))
    return found


def _trace_test(result: TestResult, ran: Mapping[str, frozenset[int]], known: Mapping[str, _File]) -> dict[Place, int]:
    reached = [scope for path in ran.keys() & known.keys() for scope in known[path].scopes if _has_run(scope, ran)]
    classes = frozenset(name for file in known.values() for name in file.classes)
    waiting: deque[tuple[Scope, frozenset[str], frozenset[int], int]] = deque()
    for frame in result.frames:
        scope = _function_at(known.get(frame.path), frame.line)
        if scope is not None:
            waiting.append((scope, frozenset(), frozenset({frame.line}), 0))
    found: dict[Place, int] = {}
    seen: dict[tuple[str, int], set[str]] = {}
    while waiting:
        scope, names, lines, step = waiting.popleft()
        part = scope.body.sliced(names=names, lines=lines)
        for line in part.lines & ran.get(scope.path, frozenset()):
            found[scope.path, line] = max(step, found.get((scope.path, line), 0))
        if step == STEPS:
            continue
        for other in reached:
            wanted = _dependency(other, scope, part, classes)
            before = seen.setdefault((other.path, other.node.lineno), set())
            if wanted is not None and not (wanted or {""}) <= before:
                before |= wanted or {""}
                waiting.append((other, frozenset(wanted), frozenset() if wanted else other.body.given, step + 1))
    return found


def _dependency(other: Scope, scope: Scope, part: Slice, classes: Set[str]) -> set[str] | None:
    """What a slice of ``scope`` depends on in another function: attributes that it writes, or an empty set for its
    return values; None if there is no dependency."""
    name = other.node.name
    inner = scope.path == other.path and scope.node is not other.node and _encloses(scope, other)
    constructs = name in CONSTRUCTORS and (other.owner in part.called or bool({"cls", "type"} & part.called))
    is_operator = name.startswith("__") and name.endswith("__") and name not in CONSTRUCTORS
    if inner or constructs or is_operator or name in part.named:
        return set()
    if other.owner and other.path == scope.path:
        return {each for each in part.read if each.startswith("self.")} & other.body.written or None
    return None


def _index_file(path: str, tree: ast.Module) -> _File:
    file = _File()
    waiting: list[tuple[ast.AST, str]] = [(tree, "")]
    while waiting:
        node, owner = waiting.pop()
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Function):
                file.scopes.append(Scope(path, child, owner, Body(child)))
                waiting.append((child, ""))
            elif isinstance(child, ast.ClassDef):
                file.classes.add(child.name)
                waiting.append((child, child.name))
            elif not isinstance(child, ast.expr):
                waiting.append((child, owner))
    return file


def _has_run(scope: Scope, ran: Mapping[str, frozenset[int]]) -> bool:
    first = scope.node.body[0].lineno
    return any(first <= line <= scope.last for line in ran.get(scope.path, ()))


def _function_at(file: _File | None, line: int) -> Scope | None:
    """The innermost function at a line."""
    scopes = [s for s in (file.scopes if file else ()) if s.node.lineno <= line <= s.last]
    return max(scopes, key=lambda scope: scope.node.lineno, default=None)


def _encloses(outer: Scope, inner: Scope) -> bool:
    return outer.node.lineno < inner.node.lineno and inner.last <= outer.last
