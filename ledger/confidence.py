"""Calibration: an asserted confidence corrected by past outcomes. Pure; whole basis points, no floats."""

from __future__ import annotations

from typing import Final

CERTAIN_BP: Final = 10_000
EVEN_BP: Final = 5_000
PRIOR: Final = 2
"""Weight of the asserted confidence, as a number of outcomes."""


def calibrated_bp(asserted_bp: int, *, hits: int, n: int) -> int:
    """``asserted_bp`` combined with ``hits`` of ``n`` past outcomes, as basis points (0..10000).

    The mean of a Beta posterior. With the neutral assertion ``EVEN_BP`` it is ``(1 + hits) / (2 + n)``.
    """
    return (PRIOR * asserted_bp + CERTAIN_BP * hits) // (PRIOR + n)
