"""Functions of a tree that are the same up to the names of what is local to them. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import combinations
from pathlib import PurePosixPath
from typing import Final

from sensors.python_source.census import SourceTree
from sensors.python_source.modules import Defined
from sensors.python_source.syntax import is_own_python, is_test

MOST_PLACES: Final = 4  # what stands in more of them is a pattern of the code base
MOST_SHARED: Final = 3  # two files that share more are copies of each other, or one is generated from the other
KEPT_APART: Final = frozenset({"v1", "v2", "_sync", "_async", "compat", "legacy", "deprecated"})  # copies on purpose

Place = tuple[str, str]  # path and qualified name


def sets_of(tree: SourceTree, *, least_statements: int) -> Mapping[str, tuple[tuple[Place, Defined], ...]]:
    """The functions of each shape that occurs in several places, by shape; generated code and copied files left out."""
    found: dict[str, list[tuple[Place, Defined]]] = {}
    for place, function in functions_of(tree):
        if function.shape and function.statements >= least_statements:
            found.setdefault(function.shape, []).append((place, function))
    several = {shape: tuple(sorted(places, key=_place)) for shape, places in found.items() if len(places) > 1}
    copies = _copies(several)
    return {
        shape: places
        for shape, places in several.items()
        if len(places) <= MOST_PLACES and not any(pair in copies or _apart(*pair) for pair in _pairs(places))
    }


def functions_of(tree: SourceTree) -> Iterator[tuple[Place, Defined]]:
    """Every function that the owner writes himself, tests left out."""
    for path, module in tree.modules():
        if is_own_python(path) and not is_test(path):
            for name, function in module.functions.items():
                yield (path, name), function


def _place(found: tuple[Place, Defined]) -> Place:
    return found[0]


def _pairs(places: tuple[tuple[Place, Defined], ...]) -> set[tuple[str, str]]:
    files = sorted({path for (path, _), _ in places})
    return set(combinations(files, 2))


def _copies(several: Mapping[str, tuple[tuple[Place, Defined], ...]]) -> frozenset[tuple[str, str]]:
    shared = Counter(pair for places in several.values() for pair in _pairs(places))
    return frozenset(pair for pair, count in shared.items() if count > MOST_SHARED)


def _apart(one: str, other: str) -> bool:
    """Whether two files are there twice on purpose: a frozen version, a variant of one name in another folder."""
    parts = (PurePosixPath(one).parts, PurePosixPath(other).parts)
    named = parts[0][-1] == parts[1][-1] != "__init__.py"
    return named or not KEPT_APART.isdisjoint({*parts[0][:-1], *parts[1][:-1]})
