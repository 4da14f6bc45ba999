"""Which variants can be tried in a program that is loaded already, and what they are there. Pure."""

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
    imported = {path: frozenset(lines) for path, lines in scene.base.coverage.get(IMPORT_TIME, {}).items()}
    return tuple(at for at, variant in enumerate(variants) if _runs_later(scene, variant, imported))


def _runs_later(scene: Scene, variant: Variant, imported: dict[str, frozenset[int]]) -> bool:
    source, lines = scene.sources[variant.path], imported.get(variant.path)
    whole = source.whole_function(variant.span)
    if lines is None or whole is None:
        return False
    touched = range(source.line_at(variant.span.start), source.line_at(variant.span.end) + 1)
    return lines.isdisjoint(touched) and variant.span.start > source.line_start(whole[0])


def changes_of(scene: Scene, variants: Sequence[Variant]) -> Changes:
    edits = [(v.path, v.span.start, v.span.end, f"{v.span.lead}{v.text}{v.span.tail}") for v in variants]
    return Changes(edits=edits, lengths={v.path: len(scene.sources[v.path].text) for v in variants})
