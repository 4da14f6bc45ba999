"""Blast radius of a change: its transitive dependents in the import graph, weighted by missing test coverage."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from governance.irongate.paths import is_test_path
from governance.risk.codebase import Codebase
from governance.risk.ladder import blast_score

BUILD_FILES = frozenset(
    {"pyproject.toml", "setup.py", "setup.cfg", "Makefile", "CMakeLists.txt", "tox.ini", "noxfile.py"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Blast:
    """Blast radius in basis points (``score_bp``) and its inputs. ``dependents``: non-test files that import a target,
    directly or transitively; ``uncovered``: those of them that no test imports.
    """

    dependents: int
    uncovered: int
    score_bp: int
    is_ourselves: bool


def build_files(paths: Collection[str]) -> tuple[str, ...]:
    """Those of ``paths`` that are build configuration files."""
    return tuple(p for p in paths if PurePosixPath(p).name in BUILD_FILES)


def reach(graph: Mapping[str, Collection[str]], starts: Collection[str]) -> frozenset[str]:
    """Files that import one of ``starts``, directly or transitively. ``graph`` maps a file to the files it imports."""
    importers: dict[str, set[str]] = {}
    for file, imported in graph.items():
        for target in imported:
            importers.setdefault(target, set()).add(file)
    found: set[str] = set()
    frontier = list(starts)
    while frontier:
        for file in importers.get(frontier.pop(), ()):
            if file not in found:
                found.add(file)
                frontier.append(file)
    return frozenset(found - set(starts))


def measure(graph: Mapping[str, Collection[str]], targets: Collection[str], *, is_ourselves: bool) -> Blast:
    """The blast radius of changing ``targets``. Pure."""
    dependents = {f for f in reach(graph, targets) if not is_test_path(f)}
    tested: set[str] = set()
    frontier = [f for f in graph if is_test_path(f)]
    while frontier:
        for imported in graph.get(frontier.pop(), ()):
            if imported not in tested:
                tested.add(imported)
                frontier.append(imported)
    uncovered = len(dependents - tested)
    score = blast_score(dependents=len(dependents), uncovered=uncovered)
    return Blast(dependents=len(dependents), uncovered=uncovered, score_bp=score, is_ourselves=is_ourselves)


def blast_of(codebase: Codebase, targets: Collection[str]) -> Blast:
    """The blast radius of changing ``targets`` in one commit."""
    return measure(codebase.imports, targets, is_ourselves=codebase.is_ourselves)
