"""What a Python file defines, as far as duplicates and dead code need it. Pure."""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from ledger.ids import sha256_hex
from sensors.python_source.unreachable import UnreachableCode, find_unreachable, has_switched_off_branch

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef
NAMED = AnyFunction | ast.ClassDef | ast.ExceptHandler | ast.MatchAs | ast.MatchStar
UNSEEN: Final = frozenset({"ctx", "type_comment", "kind", "annotation", "returns", "type_params"})
BUILTINS: Final = frozenset(dir(builtins))
IMPLICIT: Final = frozenset({"super", "__class__", "__name__", "__file__", "__package__", "locals", "globals", "vars"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Defined:
    """A function or method. ``name`` is qualified; ``nodes``: how many its syntax tree has.

    ``shape``: digest of its code up to the names of what is local to it; the same where it does the same with the same
    things. Empty where that is not known. ``switched_off``: a part of it is closed by a constant.
    """

    name: str
    line: int
    last: int
    statements: int
    nodes: int
    shape: str
    decorators: tuple[str, ...]
    unreached: tuple[UnreachableCode, ...]
    switched_off: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Class:
    """``bases`` by the last part of their names; ``plain``: neither decorated nor made by a metaclass.

    ``bound``: names that are assigned in its body.
    """

    bases: tuple[str, ...]
    plain: bool
    bound: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Module:
    """``functions`` by qualified name, those that are defined once; ``again``: names that are defined twice.

    ``pieces``: parts of strings of which names may be put together; ``composed``: names are put together here of
    an underscore and something.
    """

    functions: Mapping[str, Defined]
    again: frozenset[str]
    classes: Mapping[str, Class]
    pieces: frozenset[str]
    composed: bool


def module_of(path: str, tree: ast.Module) -> Module:
    """All of it. Raises ``RecursionError`` for what is nested too deeply."""
    names = _bindings(path, tree)
    found: dict[str, Defined] = {}
    again: set[str] = set()
    for name, node in _functions(tree):
        if name in found:
            again.add(name)
        found[name] = _defined(name, node, names, path)
    return Module(
        functions={name: function for name, function in found.items() if name not in again},
        again=frozenset(again),
        classes={name: _class(node) for name, node in _classes(tree)},
        pieces=_pieces(tree),
        composed=_composes(tree),
    )


def _functions(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, AnyFunction]]:
    """Functions and methods by their qualified names. What is defined inside of a function is a part of it."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, AnyFunction):
            yield f"{prefix}{child.name}", child
        elif isinstance(child, ast.ClassDef):
            yield from _functions(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.stmt | ast.excepthandler):
            yield from _functions(child, prefix)


def _classes(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.ClassDef]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.ClassDef):
            yield f"{prefix}{child.name}", child
            yield from _classes(child, f"{prefix}{child.name}.")
        elif isinstance(child, ast.stmt | ast.excepthandler) and not isinstance(child, AnyFunction):
            yield from _classes(child, prefix)


def last_name(node: ast.expr) -> str:
    """``c`` of ``a.b.c``, ``a.b.c(...)`` and ``a.b.c[...]``; empty for anything else."""
    if isinstance(node, ast.Call):
        return last_name(node.func)
    if isinstance(node, ast.Subscript):
        return last_name(node.value)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _class(node: ast.ClassDef) -> Class:
    decorated = {last_name(d) for d in node.decorator_list} - {"dataclass", "final"}
    stored = (n for part in node.body if isinstance(part, ast.Assign | ast.AnnAssign) for n in ast.walk(part))
    return Class(
        bases=tuple(map(last_name, node.bases)),
        plain=not node.keywords and not decorated,
        bound=frozenset(n.id for n in stored if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)),
    )


def _defined(name: str, node: AnyFunction, names: Mapping[str, str], path: str) -> Defined:
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    written = _ShapeDigest(node, names, path)
    return Defined(
        name=name,
        line=min([node.lineno, *(d.lineno for d in node.decorator_list)]),
        last=node.end_lineno or node.lineno,
        statements=sum(isinstance(part, ast.stmt) for each in body for part in ast.walk(each)),
        nodes=sum(1 for _ in ast.walk(node)),
        shape="" if written.implicit else sha256_hex("\n".join(written.parts)),
        decorators=tuple(map(last_name, node.decorator_list)),
        unreached=find_unreachable(node),
        switched_off=has_switched_off_branch(node),
    )


# --- what names stand for in a module ---


def _absolute(path: str, level: int, module: str | None) -> str:
    """The module of a ``from`` import, made absolute by the place of the file that has it."""
    if not level:
        return module or ""
    folders = PurePosixPath(path).parts[:-1]
    return ".".join([*folders[: len(folders) - level + 1], *([module] if module else [])])


def _top(node: ast.AST) -> Iterator[ast.AST]:
    """Statements of a module that are carried out when it is imported, but for those inside of classes."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt | ast.excepthandler):
            yield child
            if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from _top(child)


def _imported(path: str, node: ast.AST) -> Iterator[tuple[str, tuple[str, str]]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.asname or alias.name.partition(".")[0], (alias.name, "")
    elif isinstance(node, ast.ImportFrom):
        for alias in node.names:
            yield alias.asname or alias.name, (_absolute(path, node.level, node.module), alias.name)


def imported_names(node: ast.AST) -> tuple[str, ...]:
    """The names that an import binds."""
    return tuple(name for name, _ in _imported("", node))


def _bindings(path: str, tree: ast.Module) -> dict[str, str]:
    """What each name of a module refers to: the same word in two modules only where it is the same thing."""
    found: dict[str, set[str]] = {}
    for node in _top(tree):
        for name, (module, what) in _imported(path, node):
            found.setdefault(name, set()).add(f"{module}:{what}")
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            found.setdefault(node.name, set()).add(f"own:{path}")
        elif isinstance(node, ast.stmt):
            stored = [n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)]
            for name in stored:
                found.setdefault(name, set()).add(f"own:{path}")
    return {name: "|".join(sorted(places)) for name, places in found.items()}


# --- shapes ---


def _locals(node: AnyFunction) -> Iterator[str]:
    """Names that are bound somewhere inside of a function."""
    for part in ast.walk(node):
        if isinstance(part, ast.arg):
            yield part.arg
        elif isinstance(part, ast.Name) and not isinstance(part.ctx, ast.Load):
            yield part.id
        elif part is not node and isinstance(part, NAMED) and part.name:
            yield part.name
        elif isinstance(part, ast.MatchMapping) and part.rest:
            yield part.rest
        elif isinstance(part, ast.Import | ast.ImportFrom):
            yield from (alias.asname or alias.name.partition(".")[0] for alias in part.names)


class _ShapeDigest:
    """The parts of a function's syntax tree in order, local names by the order in which they come."""

    def __init__(self, node: AnyFunction, names: Mapping[str, str], path: str) -> None:
        shared = {n for p in ast.walk(node) if isinstance(p, ast.Global | ast.Nonlocal) for n in p.names}
        self._local = frozenset(_locals(node)) - shared
        self._numbers: dict[str, int] = {}
        self._names = names
        self._path = path
        self._own = node.name
        self.implicit = False
        self.parts: list[str] = []
        for expression in (*node.decorator_list, node.args):
            self._write(expression)
        self.parts.append(type(node).__name__)
        self._body(node.body)

    def _body(self, body: list[ast.stmt]) -> None:
        first = body[0] if body else None
        words = (
            isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str)
        )
        for statement in body[1:] if words else body:
            self._write(statement)

    def _name(self, name: str) -> str:
        if name in self._local:
            return f"#{self._numbers.setdefault(name, len(self._numbers))}"
        if name in IMPLICIT:
            self.implicit = True
        if name == self._own and name not in BUILTINS:
            return "#itself"
        standard = f"builtin:{name}" if name in BUILTINS else f"own:{self._path}:{name}"
        return f"{name}={self._names.get(name, standard)}"

    def _write(self, node: ast.AST) -> None:
        if isinstance(node, ast.Name):
            self.parts.append(self._name(node.id))
            return
        if isinstance(node, ast.Constant):
            self.parts.append(f"{type(node.value).__name__} {node.value!r}")
            return
        self.parts.append(type(node).__name__)
        if isinstance(node, ast.ImportFrom):
            self.parts.append(_absolute(self._path, node.level, node.module))
        for field, value in ast.iter_fields(node):
            if field not in UNSEEN and not (isinstance(node, ast.ImportFrom) and field in ("module", "level")):
                self._field(node, field, value)

    def _field(self, node: ast.AST, field: str, value: object) -> None:
        if isinstance(value, ast.AST):
            self._write(value)
        elif isinstance(value, list):
            if field == "body" and isinstance(node, AnyFunction | ast.ClassDef):
                self._body(value)
                return
            self.parts.append(f"{field} {len(value)}")
            for each in value:
                self._field(node, "", each)
        elif isinstance(value, str):
            bound = isinstance(node, ast.arg | ast.ExceptHandler | ast.MatchAs | ast.MatchStar | ast.MatchMapping)
            bound = bound or (isinstance(node, AnyFunction | ast.ClassDef) and field == "name")
            bound = bound or (isinstance(node, ast.alias) and field == "asname")
            self.parts.append(self._name(value) if bound else f"{field} {value}")
        else:
            self.parts.append(f"{field} {value!r}")


# --- names that are put together ---


def _pieces(tree: ast.Module) -> frozenset[str]:
    """String constants that begin or end like the part of a name does: ``visit_`` of ``f"visit_{kind}"``."""
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    ends = (text.replace("%s", "").replace("{}", "") for text in texts if len(text) <= 80)
    return frozenset(
        text
        for text in ends
        if text.replace("_", "a").isalnum() and text.strip("_") and (text.endswith("_") or text.startswith("_"))
    )


def _composes(tree: ast.Module) -> bool:
    """Whether something is appended to a bare underscore, as ``f"_{name}"`` does."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr) and len(node.values) > 1:
            first = node.values[0]
            if isinstance(first, ast.Constant) and first.value in ("_", "__"):
                return True
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add | ast.Mod):
            first = node.left
            if isinstance(first, ast.Constant) and first.value in ("_", "__", "_%s", "__%s"):
                return True
    return False
