"""Finds duplicate functions in a tree: equal except for their local names. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import PurePosixPath
from typing import Final

from sensors.python_source.census import SourceTree
from sensors.python_source.modules import Defined
from sensors.python_source.syntax import is_own_python, is_test

MAX_PLACES: Final = 4  # a function in more places is a convention of the code base
MAX_SHARED: Final = 3  # files with more are copies or generated
COPY_FOLDERS: Final = frozenset({"v1", "v2", "_sync", "_async", "compat", "legacy", "deprecated"})
"""Names of folders with deliberate copies."""

Place = tuple[str, str]  # path and qualified name


def duplicate_sets(tree: SourceTree, *, least_statements: int) -> Mapping[str, tuple[tuple[Place, Defined], ...]]:
    """Functions by shape (normalised code), if it occurs several times; without generated code and copied files."""
    found: dict[str, list[tuple[Place, Defined]]] = {}
    for place, function in functions_of(tree):
        if function.shape and function.statements >= least_statements:
            found.setdefault(function.shape, []).append((place, function))
    several = {shape: tuple(sorted(places, key=_place)) for shape, places in found.items() if len(places) > 1}
    copies = _copied_files(several)
    return {
        shape: places
        for shape, places in several.items()
        if len(places) <= MAX_PLACES
        and not any(pair in copies or _are_deliberate_copies(*pair) for pair in _file_pairs(places))
    }


def functions_of(tree: SourceTree) -> Iterator[tuple[Place, Defined]]:
    """Every function of hand-written code, except in tests."""
    for path, module in tree.modules():
        if is_own_python(path) and not is_test(path):
            for name, function in module.functions.items():
                yield (path, name), function


def _place(found: tuple[Place, Defined]) -> Place:
    return found[0]


def _file_pairs(places: tuple[tuple[Place, Defined], ...]) -> set[tuple[str, str]]:
    files = sorted({path for (path, _), _ in places})
    return set(combinations(files, 2))


def _copied_files(several: Mapping[str, tuple[tuple[Place, Defined], ...]]) -> frozenset[tuple[str, str]]:
    shared = Counter(pair for places in several.values() for pair in _file_pairs(places))
    return frozenset(pair for pair, count in shared.items() if count > MAX_SHARED)


def _are_deliberate_copies(one: str, other: str) -> bool:
    """Whether two files are copies on purpose: of equal name in two folders, or in a folder of :data:`COPY_FOLDERS`."""
    parts = (PurePosixPath(one).parts, PurePosixPath(other).parts)
    same_name = parts[0][-1] == parts[1][-1] != "__init__.py"
    return same_name or not COPY_FOLDERS.isdisjoint({*parts[0][:-1], *parts[1][:-1]})
