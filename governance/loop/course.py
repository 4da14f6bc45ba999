"""What L2 repair knows of the patches that it tried: how to go on from them, and when to stop (pure)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from governance.dossier import Dossier, Feedback
from governance.irongate.battery import diff_hash
from governance.repair.proposal import Proposal
from ledger.ids import sha256_hex
from ledger.vocabulary import State

SHOWN_DIFF = 1_500
HINTS = 2
"""Branches beside an own one that a prompt tells of."""
SIBLING = "repair.sibling"
"""Rule of the feedback that tells of another branch."""


class Trouble(StrEnum):
    """What kind of failure a branch ended in."""

    NONE = "none"
    SYNTAX = "syntax"
    IMPORT = "import"
    TYPE = "type"
    TEST = "test"
    FLAKY = "flaky"
    ENVIRONMENT = "environment"
    TIMEOUT = "timeout"


class Stop(StrEnum):
    """Why L2 ended without a patch."""

    DEADLINE = "deadline"
    ITERATIONS = "iterations"
    NO_PROGRESS = "no progress"
    OSCILLATION = "oscillation"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A patch that was tried. ``dossier`` is what its author was told, ``measure`` what fails under it, and how."""

    dossier: Dossier
    proposal: Proposal
    text: str  # the diagnosis
    trouble: Trouble
    measure: frozenset[str] = frozenset()
    diff: str = ""
    fit: bool = False  # to be tested: a patch, and not too large a one

    @property
    def feedback(self) -> Feedback:
        """For whoever goes on from here."""
        shown = f"\nYour patch was:\n{self.diff[:SHOWN_DIFF]}" if self.diff else ""
        return Feedback(phase=State.GENERATE, rule=f"repair.{self.trouble.value}", text=f"{self.text}{shown}")

    @property
    def hint(self) -> Feedback:
        """For those beside it."""
        text = f"Another attempt at the same did not do it either. {self.text[:600]}\n{self.diff[:SHOWN_DIFF]}"
        return Feedback(phase=State.GENERATE, rule=SIBLING, text=text)


@dataclass(slots=True)
class Course:
    """How the layers went so far: digests of the patches with what failed under them, and of each layer's measure."""

    seen: set[str] = field(default_factory=set)
    measures: list[str] = field(default_factory=list)
    rounds: int = 0

    def after(self, layer: Sequence[Branch]) -> Stop | None:
        """Why to stop behind a layer that has not repaired anything; None to go on."""
        self.rounds += 1
        if all(branch.trouble is Trouble.ENVIRONMENT for branch in layer):
            return Stop.ENVIRONMENT
        tested = [branch for branch in layer if branch.measure]
        fresh = [branch for branch in tested if signature(branch) not in self.seen]
        if tested and not fresh:
            return Stop.OSCILLATION
        self.seen.update(signature(branch) for branch in fresh)
        if fresh:
            self.measures.append(digest(ranked(fresh)[0].measure))
        same = len(self.measures) >= 3 and self.measures[-1] == self.measures[-2] == self.measures[-3]
        return Stop.NO_PROGRESS if same else None


def noted(course: Course, layer: Sequence[Branch]) -> dict[str, Any]:
    """For the record: a layer, and all that is needed to go on behind it."""
    best = ranked(layer)
    return {
        "round": course.rounds,
        "trouble": best[0].trouble.value,
        "branches": [[branch.trouble.value, len(branch.measure)] for branch in layer],
        "seen": sorted(course.seen),
        "measures": course.measures,
        "hints": [b.hint.text for b in best[:HINTS]],
    }


def resumed(note: Mapping[str, Any], dossier: Dossier) -> tuple[Course, Dossier]:
    """What :func:`noted` said, and a dossier that tells of it."""
    course = Course(seen=set(note["seen"]), measures=list(note["measures"]), rounds=note["round"])
    for text in note["hints"]:
        dossier = dossier.with_feedback(Feedback(phase=State.GENERATE, rule=SIBLING, text=text))
    return course, dossier


def digest(measure: frozenset[str], patch: str = "") -> str:
    """Of what fails under a patch, and of the patch."""
    return sha256_hex("\n".join((patch, *sorted(measure))).encode())[:16]


def signature(branch: Branch) -> str:
    """A patch and what fails under it."""
    candidate = branch.proposal.candidate
    return digest(branch.measure, diff_hash(candidate) if candidate else "")


def ranked(layer: Sequence[Branch]) -> list[Branch]:
    """Best first: what repairs, what does so now and then, then fewer failing tests; what runs no test last. Pure.

    A file that cannot be loaded is one failure, however many tests stand in it.
    """
    place = {Trouble.NONE: 0, Trouble.FLAKY: 1, Trouble.TEST: 2, Trouble.TYPE: 2}
    return sorted(layer, key=lambda b: (place.get(b.trouble, 3), len(b.measure) or math.inf))


def next_layer(layer: Sequence[Branch], branches: int) -> list[Dossier]:
    """What the authors of the next layer are told: how their branch went, and what those beside it have learned. Pure.

    The better half of a layer is gone on with, and the next one grows from it alone; of those that are dropped it is
    told what they have learned.
    """
    best = ranked(layer)[: (branches + 1) // 2]
    told = []
    for branch in best:
        dossier = branch.dossier
        for other in [other for other in layer if other is not branch][:HINTS]:
            dossier = dossier.with_feedback(other.hint)
        told.append(dossier.with_feedback(branch.feedback))
    return told
