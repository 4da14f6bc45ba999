"""The import graph of a repository's Python files, from their text alone (pure)."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from ledger.python_source import parse

_IMPORT_LINE = re.compile(r"^\s*(?:from\s+(\.*[\w.]*)\s+import\b[ (]*([\w, ]*)|import\s+([\w., ]+))", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Mentions:
    """Imports (dotted, absolute) and string constants of one file."""

    imports: frozenset[str]
    texts: frozenset[str]


def module_names(path: str, packages: frozenset[str]) -> tuple[str, ...]:
    """Dotted names under which a file can be imported, the full path first.

    A leading folder may be left out as long as it is not a package (``src/shop/cart.py`` is ``shop.cart``).
    ``packages`` are the folders that hold an ``__init__.py``.
    """
    parts = path.removesuffix(".py").split("/")
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    names = []
    for skip in range(len(parts)):
        names.append(".".join(parts[skip:]))
        if "/".join(parts[: skip + 1]) in packages:
            break
    return tuple(name for name in names if name)


def mentions(path: str, data: bytes) -> Mentions:
    """Imports and string constants of a file; a file that does not parse is read line by line."""
    package = list(PurePosixPath(path).parts[:-1])
    tree = parse(data)
    if tree is None:
        return Mentions(_imports_by_line(package, data.decode("utf-8", errors="replace")), frozenset())
    imports: set[str] = set()
    texts: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imports |= _from(package, node.level, node.module or "", [alias.name for alias in node.names])
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) <= 200:
            texts.add(node.value)
    return Mentions(frozenset(imports), frozenset(texts))


def _from(package: list[str], level: int, module: str, names: list[str]) -> set[str]:
    if level:
        base = ".".join(package[: len(package) - (level - 1)])
        module = f"{base}.{module}".strip(".")
    return {module, *(f"{module}.{name}".strip(".") for name in names if name != "*")}


def _imports_by_line(package: list[str], text: str) -> frozenset[str]:
    found: set[str] = set()
    for source, names, plain in _IMPORT_LINE.findall(text):
        if plain:
            found |= {*_names(plain)}
        else:
            level = len(source) - len(source.lstrip("."))
            found |= _from(package, level, source.lstrip("."), _names(names))
    return frozenset(found)


def _names(listed: str) -> list[str]:
    return [name for part in listed.split(",") if (name := part.split(" as ")[0].strip())]


def graph(files: Mapping[str, bytes]) -> dict[str, frozenset[str]]:
    """For each Python file the files that it needs: what it imports or names, the packages around it, its conftests."""
    python = {path: data for path, data in files.items() if path.endswith(".py")}
    packages = frozenset(
        str(PurePosixPath(path).parent) for path in python if PurePosixPath(path).name == "__init__.py"
    )
    where: dict[str, set[str]] = {}
    for path in python:
        for name in module_names(path, packages):
            where.setdefault(name, set()).add(path)
    return {
        path: frozenset(_needs(path, mentions(path, data), where, python) - {path}) for path, data in python.items()
    }


def _needs(path: str, said: Mentions, where: Mapping[str, set[str]], python: Mapping[str, bytes]) -> set[str]:
    found: set[str] = set()
    # A text such as "shop.cart.total" (a patch target, an import by name) counts as the module that it begins with.
    dotted = {text for text in said.texts if "." in text and text.replace(".", "_").isidentifier()}
    for name in said.imports | dotted:
        parts = name.split(".")
        for count in range(1, len(parts) + 1):
            found |= where.get(".".join(parts[:count]), set())
    folder = PurePosixPath(path).parent
    for above in (folder, *folder.parents):
        for special in ("conftest.py", "__init__.py"):
            candidate = str(above / special)
            if candidate in python:
                found.add(candidate)
    return found
