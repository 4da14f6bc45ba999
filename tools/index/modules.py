"""Resolution of Python imports to files, by the paths of a tree alone. Pure.

Packages are folders with or without ``__init__.py``. A leading folder that is no package may be left out of a name
(``src/shop/cart.py`` is ``shop.cart``); of several matching files the nearest to the importer is chosen. What tests add
to ``sys.path`` is unknown, so the result errs on the side of too many files.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tools.index.facts import Import
from tools.testing.selection.imports import module_names

ROOTS = frozenset({"", "src", "lib"})  # folders from which a file may shadow a module of the standard library
SUFFIXES = (".py", ".pyi")


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """Targets of one import: files of the tree, or a module ``outside`` of it. ``lost``: it should be in the tree."""

    files: tuple[str, ...] = ()
    outside: str = ""
    lost: bool = False


class Modules:
    """The Python files of a tree by the names under which they can be imported."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._files = frozenset(path for path in paths if path.endswith(SUFFIXES))
        packages = frozenset(path.rpartition("/")[0] for path in self._files if _stem(path) == "__init__")
        self._where: dict[str, list[str]] = {}
        self._tops: set[str] = set()
        for path in sorted(self._files):
            for name in module_names(_as_py(path), packages):
                self._where.setdefault(name, []).append(path)
                self._tops.add(name.partition(".")[0])
        self._packages = packages

    def name_of(self, path: str) -> str:
        """The name under which a file is imported, judged by its path; empty for ``__init__.py`` at the top."""
        names = module_names(_as_py(path), self._packages)
        parts = path.split("/")
        if any("/".join(parts[:count]) in self._packages for count in range(1, len(parts))):
            return names[-1] if names else ""
        return next((name for name in names if _root(path, name) in ROOTS - {""}), names[0] if names else "")

    def files_of(self, name: str) -> tuple[str, ...]:
        """Every file that can be imported as ``name``."""
        return tuple(self._where.get(name, ()))

    def resolve(self, importer: str, said: Import) -> Targets:
        """The targets of an import in ``importer``: the module, and the sub-modules that it names."""
        if said.level:
            return self._relative(importer, said)
        base = self._absolute(importer, said.module)
        found = [base] if base else []
        for name in said.names:
            inside = self._beside(base, name) if base else self._absolute(importer, f"{said.module}.{name}")
            found += [inside] if inside else []
        if found:
            return Targets(files=tuple(dict.fromkeys(found)))
        top = said.module.partition(".")[0]
        return Targets(outside=said.module, lost=top in self._tops and top not in sys.stdlib_module_names)

    def _relative(self, importer: str, said: Import) -> Targets:
        parts = importer.split("/")[:-1]
        if said.level - 1 > len(parts):
            return Targets(outside=_dotted(said), lost=True)
        folder = "/".join([*parts[: len(parts) - (said.level - 1)], *(said.module.split(".") if said.module else ())])
        base = self._at(folder) if said.module else self._first(f"{folder}/__init__" if folder else "__init__")
        as_package = base is None or _stem(base) == "__init__"
        inside = [self._at(f"{folder}/{name}" if folder else name) for name in said.names] if as_package else []
        found = [path for path in (base, *inside) if path is not None]
        return Targets(files=tuple(dict.fromkeys(found))) if found else Targets(outside=_dotted(said), lost=True)

    def _beside(self, package: str, name: str) -> str | None:
        """A sub-module of the package whose ``__init__`` is ``package``."""
        return self._at(f"{package.rpartition('/')[0]}/{name}".lstrip("/")) if _stem(package) == "__init__" else None

    def _at(self, place: str) -> str | None:
        """The module at a path without suffix; a package takes precedence over a file of the same name."""
        return self._first(f"{place}/__init__") or self._first(place)

    def _first(self, place: str) -> str | None:
        return next((place + suffix for suffix in SUFFIXES if place + suffix in self._files), None)

    def _absolute(self, importer: str, name: str) -> str | None:
        fitting = self._where.get(name, [])
        if name.partition(".")[0] in sys.stdlib_module_names:
            fitting = [path for path in fitting if _root(path, name) in ROOTS]
        if len(fitting) < 2:
            return fitting[0] if fitting else None
        return min(fitting, key=lambda path: _distance(importer, path, name))


def _dotted(said: Import) -> str:
    return "." * said.level + said.module


def _as_py(path: str) -> str:
    return path.rpartition(".")[0] + ".py"


def _stem(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


def _root(path: str, name: str) -> str:
    """The folder from which ``path`` is imported as ``name``."""
    place = path.rpartition(".")[0].removesuffix("/__init__")
    return place[: -len(name)].rstrip("/")


def _distance(importer: str, path: str, name: str) -> tuple[int, int, bool, int, str]:
    """Sort key, nearest first: a root that shares more folders with the importer, a shorter root, packages, ``.py``."""
    root = _root(path, name)
    shared = 0
    for here, there in zip(importer.split("/")[:-1], root.split("/") if root else (), strict=False):
        if here != there:
            break
        shared += 1
    return -shared, root.count("/") + bool(root), _stem(path) != "__init__", path.endswith(".pyi"), path


Graph = Mapping[str, Mapping[str, int]]  # importer -> target -> line of the import that names it first


def graph(modules: Modules, imports: Mapping[str, Sequence[Import]]) -> dict[str, dict[str, int]]:
    """The import graph of the tree. ``imports``: the imports of each file."""
    found: dict[str, dict[str, int]] = {}
    for path, rows in imports.items():
        edges = found.setdefault(path, {})
        for said in rows:
            for target in modules.resolve(path, said).files:
                if target != path:
                    edges.setdefault(target, said.line)
    return found


def reverse_graph(edges: Graph) -> dict[str, dict[str, int]]:
    """The reversed graph: the importers of each file, with the line."""
    found: dict[str, dict[str, int]] = {}
    for path, targets in edges.items():
        for target, line in targets.items():
            found.setdefault(target, {})[path] = line
    return found


def rings(
    edges: Graph, start: str, depth: int, *, shown: Callable[[str], bool] = lambda path: True
) -> Iterator[list[tuple[str, str, int]]]:
    """Files reached from ``start`` in one step, in two, ... : (file, from which file, line), each file once.

    Files that are not ``shown`` are left out and not followed.
    """
    seen = {start}
    front = [start]
    for _ in range(depth):
        ring: list[tuple[str, str, int]] = []
        for path in front:
            for target, line in sorted(edges.get(path, {}).items()):
                if target not in seen and shown(target):
                    seen.add(target)
                    ring.append((target, path, line))
        yield ring
        front = [path for path, _, _ in ring]
