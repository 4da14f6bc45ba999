"""Which variants can be tried in a program that is loaded already, and which tests they can change. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from governance.repair.ranking import Variant
from governance.repair.scene import Scene
from ledger.vocabulary import TestResult
from tools.testing.report import IMPORT_TIME, TIME_LIMIT
from tools.testing.runner import Changes

FEWEST = 4
"""Fewer are tried at once as they would be afterwards: a screen has a start of its own."""


def can_be_screened(failing: Collection[TestResult]) -> bool:
    """Tests that were collected and that end."""
    return all("::" in result.id and result.exception != TIME_LIMIT for result in failing)


def fit(scene: Scene, variants: Sequence[Variant]) -> tuple[int, ...]:
    """Those that change a function of which no line ran while it was imported: nothing of it stands in memory else."""
    paths = {variant.path for variant in variants}
    imported = {path: _imported(scene, path) for path in paths}
    return tuple(at for at, variant in enumerate(variants) if _later(scene, variant, imported[variant.path]))


def reached(scene: Scene, variant: Variant) -> tuple[str, ...] | None:
    """The failing tests and those that ran the function that a variant changes, or may have: of some not all lines are
    known. None: any test may be concerned."""
    path = variant.path
    whole = scene.sources[path].whole_function(variant.span)
    if whole is None or not _later(scene, variant, _imported(scene, path)):
        return None
    inside = range(whole[0], whole[1] + 1)
    ran = {test for test, files in scene.base.coverage.items() if any(line in inside for line in files.get(path, ()))}
    ran |= {*scene.base.cut, *(result.id for result in scene.failing)}
    asked = tuple(test for test in scene.base.collected if test in ran)
    return asked if len(asked) == len(ran - {IMPORT_TIME}) else None  # a file that could not be collected, for one


def _imported(scene: Scene, path: str) -> frozenset[int] | None:
    """The lines of a file that ran while it was imported; None where nobody looked, or it was not imported then."""
    lines = scene.base.coverage.get(IMPORT_TIME, {}).get(path)
    return None if lines is None else frozenset(lines)


def _later(scene: Scene, variant: Variant, imported: frozenset[int] | None) -> bool:
    source = scene.sources[variant.path]
    whole = source.whole_function(variant.span)
    if imported is None or whole is None:
        return False
    touched = range(source.line_at(variant.span.start), source.line_at(variant.span.end) + 1)
    return imported.isdisjoint(touched) and variant.span.start > source.line_start(whole[0])


def changes_of(scene: Scene, variants: Sequence[Variant]) -> Changes:
    edits = [(v.path, v.span.start, v.span.end, f"{v.span.lead}{v.text}{v.span.tail}") for v in variants]
    return Changes(edits=edits, lengths={v.path: len(scene.sources[v.path].text) for v in variants})
