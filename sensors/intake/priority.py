"""Priority of a signal: one formula for first entry, retry and replay. Lower runs first. Pure."""

from __future__ import annotations

from typing import Final

from pydantic import Field

from ledger.confidence import calibrated_bp
from ledger.sources import SOURCES
from ledger.vocabulary import Frozen, Source, Urgency

SURE_BP: Final = 9_000
MAX_BLOCKED: Final = 3

URGENCY_BOOST: Final[dict[Urgency, int]] = {
    Urgency.CRITICAL: 3,
    Urgency.HIGH: 1,
    Urgency.NORMAL: 0,
    Urgency.LOW: 0,
}


class PriorityInputs(Frozen):
    """Everything that the formula reads; stored with each claim, so that replay can recompute it."""

    source: Source
    urgency: Urgency
    files: int = Field(ge=0)
    confidence_bp: int = Field(ge=0, le=10_000)  # stated by the sensor
    hits: int = Field(default=0, ge=0)  # earlier claims of this source that came true
    outcomes: int = Field(default=0, ge=0)  # graded earlier claims of this source
    behind: int = Field(default=0, ge=0)  # other queued signals that wait for the same files
    alignment: int = Field(default=0, ge=0, le=2)  # 2: matches a declared goal; 1: an inferred one


def size_penalty(files: int) -> int:
    """0 up to one file, 1 up to four, 2 for more."""
    if files <= 1:
        return 0
    return 1 if files <= 4 else 2


def priority(inputs: PriorityInputs) -> int:
    """Rank of the source, plus a size penalty, minus boosts for urgency, confidence, goals and waiting signals."""
    sure = 1 if calibrated_bp(inputs.confidence_bp, hits=inputs.hits, n=inputs.outcomes) >= SURE_BP else 0
    return (
        SOURCES[inputs.source].rank
        - URGENCY_BOOST[inputs.urgency]
        + size_penalty(inputs.files)
        - sure
        - min(inputs.behind, MAX_BLOCKED)
        - inputs.alignment
    )


def order_key(points: int, queued_at_ms: int, ageing_ms: int) -> int:
    """Position of a signal in the queue, with ageing; lower is sooner. ``points``: its :func:`priority`.

    Waiting for ``ageing_ms`` is worth one point. Every signal ages at the same rate, so the order of two of them does
    not depend on the present time: the queue never has to be sorted again.
    """
    return points * ageing_ms + queued_at_ms
