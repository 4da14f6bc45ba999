"""State of L2 repair: results of tried patches, ranking, and stop conditions. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from governance.irongate.op.g19_recursion import diff_hash
from governance.pipeline.dossier import Dossier, Feedback
from governance.repair.proposal import Proposal
from ledger.events.repair import RepairRoundEnded
from ledger.ids import sha256_hex
from ledger.vocabulary import Phase

SHOWN_DIFF = 1_500
HINTS = 2
"""Number of sibling branches described in a prompt."""
SIBLING = "repair.sibling"
"""Feedback rule of a hint about another branch."""


class BranchTrouble(StrEnum):
    """Kind of failure of a branch."""

    NONE = "none"
    SYNTAX = "syntax"
    IMPORT = "import"
    TYPE = "type"
    TEST = "test"
    FLAKY = "flaky"
    ENVIRONMENT = "environment"
    TIMEOUT = "timeout"


class RepairStop(StrEnum):
    """Why L2 repair ended without a patch."""

    DEADLINE = "deadline"
    ITERATIONS = "iterations"
    NO_PROGRESS = "no progress"
    OSCILLATION = "oscillation"
    ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A tried patch. ``dossier``: its author's prompt context; ``measure``: the tests that fail with it, and how."""

    dossier: Dossier
    proposal: Proposal
    text: str  # the diagnosis
    trouble: BranchTrouble
    measure: frozenset[str] = frozenset()
    diff: str = ""
    fit: bool = False  # whether to test it: it has a patch that is not too large

    @property
    def feedback(self) -> Feedback:
        """Feedback for the next attempt on this branch."""
        shown = f"\nYour patch was:\n{self.diff[:SHOWN_DIFF]}" if self.diff else ""
        return Feedback(phase=Phase.GENERATE, rule=f"repair.{self.trouble.value}", text=f"{self.text}{shown}")

    @property
    def hint(self) -> Feedback:
        """Feedback for attempts on sibling branches."""
        text = f"Another attempt at the same did not do it either. {self.text[:600]}\n{self.diff[:SHOWN_DIFF]}"
        return Feedback(phase=Phase.GENERATE, rule=SIBLING, text=text)


@dataclass(slots=True)
class LayeredRepair:
    """Progress of the layers: digests of patches with their failures, and of each layer's best measure."""

    seen: set[str] = field(default_factory=set)
    measures: list[str] = field(default_factory=list)
    rounds: int = 0

    def after(self, layer: Sequence[Branch]) -> RepairStop | None:
        """Add a layer without a repair; returns the stop condition it meets, else None."""
        self.rounds += 1
        if all(branch.trouble is BranchTrouble.ENVIRONMENT for branch in layer):
            return RepairStop.ENVIRONMENT
        tested = [branch for branch in layer if branch.measure]
        fresh = [branch for branch in tested if signature(branch) not in self.seen]
        if tested and not fresh:
            return RepairStop.OSCILLATION
        self.seen.update(signature(branch) for branch in fresh)
        if fresh:
            self.measures.append(digest(rank_layer(fresh)[0].measure))
        same = len(self.measures) >= 3 and self.measures[-1] == self.measures[-2] == self.measures[-3]
        return RepairStop.NO_PROGRESS if same else None


def round_event(key: str, state: LayeredRepair, layer: Sequence[Branch]) -> RepairRoundEnded:
    """Event of a layer, with everything needed to resume after it."""
    best = rank_layer(layer)
    return RepairRoundEnded(
        search=key,
        round=state.rounds,
        trouble=best[0].trouble.value,
        branches=tuple((branch.trouble.value, len(branch.measure)) for branch in layer),
        seen=tuple(sorted(state.seen)),
        measures=tuple(state.measures),
        hints=tuple(b.hint.text for b in best[:HINTS]),
    )


def resume_state(event: RepairRoundEnded, dossier: Dossier) -> tuple[LayeredRepair, Dossier]:
    """Inverse of :func:`round_event`: the state, and the dossier with the recorded hints."""
    state = LayeredRepair(seen=set(event.seen), measures=list(event.measures), rounds=event.round)
    for text in event.hints:
        dossier = dossier.with_feedback(Feedback(phase=Phase.GENERATE, rule=SIBLING, text=text))
    return state, dossier


def digest(measure: frozenset[str], patch: str = "") -> str:
    """Hash of the failures under a patch and of the patch."""
    return sha256_hex("\n".join((patch, *sorted(measure))).encode())[:16]


def signature(branch: Branch) -> str:
    """Digest that identifies a patch together with its failures."""
    candidate = branch.proposal.candidate
    return digest(branch.measure, diff_hash(candidate) if candidate else "")


def rank_layer(layer: Sequence[Branch]) -> list[Branch]:
    """Best first: repaired, flaky, then by number of failing tests; branches that ran no test last. Pure.

    A file that cannot be imported counts as one failure, however many tests it contains.
    """
    place = {BranchTrouble.NONE: 0, BranchTrouble.FLAKY: 1, BranchTrouble.TEST: 2, BranchTrouble.TYPE: 2}
    return sorted(layer, key=lambda b: (place.get(b.trouble, 3), len(b.measure) or math.inf))


def next_layer(layer: Sequence[Branch], branches: int) -> list[Dossier]:
    """Dossiers for the next layer: each branch's own feedback plus hints from its siblings. Pure.

    Only the better half of a layer is continued; the others contribute hints.
    """
    best = rank_layer(layer)[: (branches + 1) // 2]
    dossiers = []
    for branch in best:
        dossier = branch.dossier
        for other in [other for other in layer if other is not branch][:HINTS]:
            dossier = dossier.with_feedback(other.hint)
        dossiers.append(dossier.with_feedback(branch.feedback))
    return dossiers
