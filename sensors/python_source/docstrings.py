"""Public symbols of Python files, and whether they have a docstring of substance. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from ledger.ids import sha256_hex
from ledger.vocabulary import Frozen
from sensors.python_source.syntax import parse_python

Function = (ast.FunctionDef, ast.AsyncFunctionDef)
Symbol = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
WORD = re.compile(r"[^\W\d_]{2,}")
LEAST_WORDS = 3
ELSEWHERE = frozenset({"overload", "override", "setter", "deleter"})  # what says it stands at another definition


class Public(Frozen):
    """A public class, function or method. ``body`` is a digest of its code without docstrings and comments.

    That of a class leaves its methods out: each of them speaks for itself.
    """

    name: str  # ``name`` or ``Class.name``
    line: int
    lines: int
    documented: bool
    body: str


def says_something(node: Symbol) -> bool:
    """Whether a symbol has a docstring of a few words that are not all its own name's."""
    text = ast.get_docstring(node) or ""
    words = {word.casefold() for word in WORD.findall(text)}
    return len(words) >= LEAST_WORDS and not words <= {word.casefold() for word in node.name.split("_")}


def _body(node: Symbol) -> str:
    rest = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    if isinstance(node, ast.ClassDef):
        rest = [part for part in rest if not isinstance(part, Function)]
        head = [*node.bases, *node.keywords, *node.decorator_list]
    else:
        head = [node.args, *([node.returns] if node.returns else []), *node.decorator_list]
    return sha256_hex("\n".join(ast.dump(part) for part in (*head, *rest)))


def decorator_name(decorator: ast.expr) -> str:
    """The last part of a decorator's name."""
    target = decorator.func if isinstance(decorator, ast.Call) else decorator
    return target.attr if isinstance(target, ast.Attribute) else getattr(target, "id", "")


def symbols(nodes: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, Symbol]]:
    """Every class, function and method that is not inside of a function, first definition first."""
    for node in nodes:
        if isinstance(node, Symbol):
            yield f"{prefix}{node.name}", node
        if isinstance(node, ast.ClassDef):
            yield from symbols(node.body, f"{prefix}{node.name}.")


def public_symbols(data: bytes) -> tuple[Public, ...]:
    """The public symbols of a Python file, each once; none where it cannot be read as one."""
    tree = parse_python(data)
    try:
        return _public(tree) if tree is not None else ()
    except RecursionError:  # an expression that is nested too deeply: nothing that a person has written
        return ()


def _public(tree: ast.Module) -> tuple[Public, ...]:
    found: dict[str, Public] = {}
    for name, node in symbols(tree.body):
        hidden = any(part.startswith("_") for part in name.split("."))
        if hidden or name in found or ELSEWHERE.intersection(map(decorator_name, node.decorator_list)):
            continue
        lines = (node.end_lineno or node.lineno) - node.lineno + 1
        found[name] = Public(
            name=name, line=node.lineno, lines=lines, documented=says_something(node), body=_body(node)
        )
    return tuple(found.values())
