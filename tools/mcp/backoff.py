"""Exponential backoff with jitter before a server is restarted. Pure."""

from __future__ import annotations


def delay_s(failures: int, *, first_s: float, most_s: float, draw: float) -> float:
    """Seconds after the ``failures``-th failure in a row (from 1): doubled each time, bounded.

    ``draw`` in [0, 1) subtracts up to half of it, so that servers which failed together do not restart together.
    """
    whole = min(most_s, first_s * 2.0 ** min(failures - 1, 40))
    return whole * (1.0 - draw / 2)
