"""Public functions of a Python file: their parameters, and which parameters their docstrings speak of. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from typing import Final

from ledger.vocabulary import ClosureAnswer, Frozen, ParametersDocumented
from sensors.python_source.docstrings import ELSEWHERE, decorator_name, says_something, symbols
from sensors.python_source.syntax import parse_python

AnyFunction = ast.FunctionDef | ast.AsyncFunctionDef
OWN: Final = frozenset({"self", "cls", "mcs"})
SPHINX = re.compile(r"^\s*:(?:param|parameter|arg|argument|key|keyword)\b[^:\n]*?\*{0,2}(\w+)\s*:", re.M)
GOOGLE = re.compile(r"^(\s*)(?:Args|Arguments|Parameters|Keyword Args|Keyword Arguments|Other Parameters):\s*$")
NUMPY = re.compile(r"^(\s*)(?:Parameters|Other Parameters|Keyword Arguments)\s*$")
ENTRY = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?\s*:(?:\s|$)")
NAMES = re.compile(r"^(\*{0,2}\w+(?:\s*,\s*\*{0,2}\w+)*)\s*(?::|$)")


class PythonSignature(Frozen):
    """A function, method or class (by its ``__init__``) that others may use.

    ``parameters`` in order, without ``self`` and those with stars (``starred``); ``open``: it takes any keyword.
    ``told``: what its docstring (or that of its class) has a line of its own for, with the line in the file.
    ``held``: names that the class has as attributes, which such a line may be about.
    """

    name: str
    line: int
    parameters: tuple[str, ...]
    starred: tuple[str, ...]
    open: bool
    decorators: tuple[str, ...]
    held: frozenset[str]
    told: Mapping[str, int]
    documented: bool


def signatures(data: bytes) -> dict[str, PythonSignature]:
    """Of all public functions, each that is defined once; none where the file cannot be read."""
    tree = parse_python(data)
    try:
        return _signatures(tree) if tree is not None else {}
    except RecursionError:
        return {}


def _signatures(tree: ast.Module) -> dict[str, PythonSignature]:
    nodes = list(symbols(tree.body))
    names = [name for name, _ in nodes]
    by_name = dict(nodes)
    found = {}
    for name, node in nodes:
        init = by_name.get(f"{name}.__init__") if isinstance(node, ast.ClassDef) else node
        hidden = any(part.startswith("_") for part in name.split("."))
        if hidden or names.count(name) > 1 or not isinstance(init, AnyFunction):
            continue
        if not ELSEWHERE.intersection(map(decorator_name, init.decorator_list)):
            found[name] = _signature(name, node, init)
    return found


def _signature(name: str, node: ast.stmt, init: AnyFunction) -> PythonSignature:
    args = init.args
    named = [a.arg for a in (*args.posonlyargs, *args.args, *args.kwonlyargs)]
    told: dict[str, int] = {}
    for each in {id(part): part for part in (init, node)}.values():
        told |= dict(documented_parameters(each))
    return PythonSignature(
        name=name,
        line=init.lineno,
        parameters=tuple(arg for arg in named if arg not in OWN),
        starred=tuple(arg.arg for arg in (args.vararg, args.kwarg) if arg is not None),
        open=args.kwarg is not None,
        decorators=tuple(map(decorator_name, init.decorator_list)),
        held=_attributes(node) if isinstance(node, ast.ClassDef) else frozenset(),
        told=told,
        documented=any(says_something(part) for part in (node, init) if isinstance(part, AnyFunction | ast.ClassDef)),
    )


def _attributes(node: ast.ClassDef) -> frozenset[str]:
    declared = (part.target for part in node.body if isinstance(part, ast.AnnAssign))
    names = {target.id for target in declared if isinstance(target, ast.Name)}
    return frozenset(names | {part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)})


def documented_parameters(node: ast.stmt) -> Iterator[tuple[str, int]]:
    """The parameters that a docstring has a line for, in the styles of Google, NumPy and Sphinx, with their lines."""
    text, first = _docstring(node)
    for match in SPHINX.finditer(text):
        yield match[1], first + text.count("\n", 0, match.start(1))
    lines = text.split("\n")
    for at, line in enumerate(lines):
        google, numpy = GOOGLE.match(line), NUMPY.match(line)
        if google:
            yield from _below(lines, at + 1, first, indent=len(google[1]))
        elif numpy and at + 1 < len(lines) and set(lines[at + 1].strip()) == {"-"}:
            yield from _beside(lines, at + 2, first, indent=len(numpy[1]))


def _docstring(node: ast.stmt) -> tuple[str, int]:
    """The text as in the file, and the line number of its first line."""
    if not isinstance(node, AnyFunction | ast.ClassDef) or ast.get_docstring(node, clean=False) is None:
        return "", 0
    first = node.body[0]
    assert isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return str(first.value.value), first.lineno


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _below(lines: list[str], at: int, first: int, *, indent: int) -> Iterator[tuple[str, int]]:
    """``name (type): words`` in lines that are one step further in than the heading."""
    step: int | None = None
    for number in range(at, len(lines)):
        line = lines[number]
        if not line.strip():
            continue
        if _indent(line) <= indent:
            return
        step = _indent(line) if step is None else step
        entry = ENTRY.match(line.strip())
        if _indent(line) == step and entry:
            yield entry[1], first + number


def _beside(lines: list[str], at: int, first: int, *, indent: int) -> Iterator[tuple[str, int]]:
    """``name : type`` in lines as far in as the heading, words below them."""
    for number in range(at, len(lines)):
        line = lines[number]
        if not line.strip():
            continue
        if _indent(line) < indent or (number + 1 < len(lines) and set(lines[number + 1].strip()) == {"-"}):
            return
        entry = NAMES.match(line.strip())
        if _indent(line) == indent and entry:
            for name in entry[1].split(","):
                yield name.strip(" *"), first + number


def parameters_answer(check: ParametersDocumented, data: bytes | None) -> ClosureAnswer:
    """Closed when the docstring speaks of what it has to, and of nothing that is gone."""
    if data is None:
        return ClosureAnswer(closed=False, gone=True, reason=f"there is no {check.path} any more")
    if parse_python(data) is None:
        return ClosureAnswer(closed=False, reason=f"{check.path} cannot be read as Python")
    found = signatures(data).get(check.symbol)
    if found is None:
        return ClosureAnswer(closed=False, gone=True, reason=f"there is no {check.symbol} in {check.path} any more")
    stale = [name for name in check.gone if name in found.told]
    missing = [name for name in check.told if name in found.parameters and name not in found.told]
    if stale:
        where = f"{check.path}:{found.told[stale[0]]}"
        return ClosureAnswer(closed=False, reason=f"{where} still speaks of {stale[0]}, which {check.symbol} lacks")
    if missing or not found.documented:
        what = missing[0] if missing else "anything"
        return ClosureAnswer(closed=False, reason=f"the docstring of {check.symbol} does not speak of {what}")
    return ClosureAnswer(closed=True, reason=f"the docstring of {check.symbol} speaks of its parameters")
