"""Doctests: tests in the docstrings of the program, so that its file is a test's file too. Pure."""

from __future__ import annotations

import ast
import doctest
from collections.abc import Iterator

from governance.irongate.syntax import parse

Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def object_of(test_id: str) -> str | None:
    """The qualified name of the object whose docstring a test is (empty: the module's own); None for other tests.

    The runner names a doctest by module and object: ``src/shop/money.py::shop.money.Price.net``.
    """
    path, _, name = test_id.partition("::")
    if not path.endswith(".py") or "::" in name or "[" in name:
        return None
    parts = path.removesuffix(".py").split("/")
    module = parts[:-1] if parts[-1] == "__init__" else parts
    for first in range(len(module)):
        dotted = ".".join(module[first:])
        if name == dotted or name.startswith(f"{dotted}."):
            return name[len(dotted) + 1 :]
    return None


def as_python(data: bytes | str, name: str) -> str:
    """The examples of an object's docstring as statements: the call, then the expected output, where that is
    Python. Empty when there are none."""
    tree = parse(data)
    return "".join(
        line
        for source, want in dict(_docstrings(tree) if tree is not None else ()).get(name, ())
        for line in (source, want if parse(want) is not None else "")
    )


def find_lost_examples(before: bytes, after: bytes | None) -> tuple[str, ...]:
    """Objects whose examples are not the first ones any more: earlier examples affect later ones."""
    old, new = parse(before), parse(after or b"")
    had, has = dict(_docstrings(old) if old is not None else ()), dict(_docstrings(new) if new is not None else ())
    return tuple(name or "the module" for name, given in had.items() if has.get(name, ())[: len(given)] != given)


def _docstrings(node: Documented, name: str = "") -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    """Name and examples of everything that has some."""
    try:
        examples = doctest.DocTestParser().get_examples(ast.get_docstring(node) or "")
    except ValueError:  # indented in a way that the runner refuses as well
        examples = []
    if examples:
        yield name, tuple((example.source, example.want) for example in examples)
    for child in node.body:
        if isinstance(child, Documented):
            yield from _docstrings(child, f"{name}.{child.name}" if name else child.name)
