"""Whether anything in a tree still uses a function that is gone. When in doubt, it does. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

from ledger.vocabulary import Place
from sensors.python_source.census import SourceTree
from sensors.python_source.modules import imported_names
from sensors.python_source.syntax import parse_python


def stem_of(path: str) -> str:
    """The last part of the name that a Python file is imported by."""
    pure = PurePosixPath(path)
    return pure.parent.name if pure.name == "__init__.py" else pure.stem


def users(place: Place, tree: SourceTree, texts: Mapping[str, bytes]) -> str:
    """Where a function that is gone from ``place`` is still used; empty when nowhere.

    ``texts``: the Python files that hold its name.
    """
    owner, _, name = place.symbol.rpartition(".")
    found = _method_users(place.path, owner, name, tree, texts) if owner else _function_users(place.path, name, texts)
    return next(iter(found), "")


def mentions(name: str, texts: Mapping[str, bytes]) -> dict[str, bytes]:
    """Those of ``texts`` that hold a word."""
    word = re.compile(rb"(?<![A-Za-z0-9_])" + re.escape(name.encode()) + rb"(?![A-Za-z0-9_])")
    return {path: data for path, data in texts.items() if word.search(data)}


def _function_users(path: str, name: str, texts: Mapping[str, bytes]) -> Iterator[str]:
    own = parse_python(texts[path]) if path in texts else None
    if own is not None and name in _bound(own):
        return  # the name is another's now: imported, or assigned
    stem = stem_of(path)
    for each, data in texts.items():
        tree = parse_python(data)
        if tree is None:
            yield each
        elif each == path:
            yield from _at(each, _own_uses(tree, name))
        else:
            yield from _at(each, _foreign_uses(each, tree, name, stem))


def _method_users(path: str, owner: str, name: str, tree: SourceTree, texts: Mapping[str, bytes]) -> Iterator[str]:
    held = tree.files.get(path)
    module = held.module if held is not None else None
    if module is None or owner not in module.classes:
        yield from _function_users(path, owner.partition(".")[0], texts)
        return
    if name in module.classes[owner].bound or _inherits(module.classes[owner].bases, name, tree, frozenset()):
        return
    for each, data in texts.items():
        found = parse_python(data)
        if found is None:
            yield each
        else:
            yield from _at(each, (n for n in ast.walk(found) if isinstance(n, ast.Attribute) and n.attr == name))


def _at(path: str, nodes: Iterable[ast.AST]) -> Iterator[str]:
    return (f"{path}:{getattr(node, 'lineno', 1)}" for node in nodes)


def _bound(tree: ast.Module) -> set[str]:
    found = {name for node in tree.body for name in imported_names(node)}
    for node in tree.body:
        if isinstance(node, ast.Assign | ast.AnnAssign):
            found |= {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
    return found


def _own_uses(tree: ast.Module, name: str) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if (node.id if isinstance(node, ast.Name) else node.value if isinstance(node, ast.Constant) else None) == name:
            yield node


def _foreign_uses(path: str, tree: ast.Module, name: str, stem: str) -> Iterator[ast.AST]:
    """Imports of ``name`` from a module that is called ``stem``, attributes of such a module, and paths in strings."""
    modules = {stem} | {bound for node in ast.walk(tree) for bound in _modules(node, stem)}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            source = (node.module or "").rpartition(".")[2]
            named = {alias.name for alias in node.names}
            if (source == stem or not source) and named & {name, "*"}:
                yield node
        elif isinstance(node, ast.Attribute) and node.attr == name:
            value = node.value
            of = value.id if isinstance(value, ast.Name) else value.attr if isinstance(value, ast.Attribute) else ""
            if of in modules:
                yield node
        elif isinstance(node, ast.Constant) and str(node.value).endswith((f"{stem}.{name}", f"{stem}:{name}")):
            yield node


def _modules(node: ast.AST, stem: str) -> Iterator[str]:
    """Names that a module called ``stem`` is bound to."""
    if isinstance(node, ast.Import | ast.ImportFrom):
        for alias in node.names:
            if alias.name.rpartition(".")[2] == stem and alias.asname:
                yield alias.asname


def _inherits(bases: tuple[str, ...], name: str, tree: SourceTree, above: frozenset[str]) -> bool:
    """Whether a class of the tree that is called like one of ``bases`` has a method, or inherits it."""
    for base in bases:
        if base in above:
            continue
        for _, module in tree.modules():
            for qualified, each in module.classes.items():
                if qualified.rpartition(".")[2] == base and (
                    f"{qualified}.{name}" in module.functions
                    or name in each.bound
                    or _inherits(each.bases, name, tree, above | {base})
                ):
                    return True
    return False
