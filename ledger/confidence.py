"""How sure a claim is, corrected by what became of earlier ones of its kind. Pure; whole basis points, no floats."""

from __future__ import annotations

from typing import Final

CERTAIN_BP: Final = 10_000
EVEN_BP: Final = 5_000
PRIOR: Final = 2
"""How many outcomes what is asserted counts for."""


def calibrated_bp(asserted_bp: int, *, hits: int, n: int) -> int:
    """0..10000: what was asserted, drawn toward ``hits`` of ``n`` the more outcomes there are.

    The mean of a Beta posterior. With nothing asserted (``EVEN_BP``) it is ``(1 + hits) / (2 + n)``.
    """
    return (PRIOR * asserted_bp + CERTAIN_BP * hits) // (PRIOR + n)
