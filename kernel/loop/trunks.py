"""Beginnings of prompts that were computed lately: a search asks about the same code again and again."""

from __future__ import annotations

from collections.abc import Sequence

from kernel.loop.cache import KeyValues
from kernel.loop.packing import common


class Trunks:
    """Keeps keys and values of at most ``places`` tokens; what was not asked for the longest goes first."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._kept: list[tuple[tuple[int, ...], KeyValues]] = []

    def beginning(self, tokens: Sequence[int]) -> tuple[KeyValues, int] | None:
        """A store whose first places hold the first of ``tokens``, and how many; None when nothing begins alike."""
        best = max(self._kept, key=lambda kept: common(kept[0], tokens), default=None)
        length = common(best[0], tokens) if best is not None else 0
        return (best[1], length) if best is not None and length else None

    def keep(self, tokens: Sequence[int], store: KeyValues) -> None:
        """Remember ``store``, which holds ``tokens``, and forget what it holds as well, or what is too much."""
        own = tuple(tokens)
        kept = [row for row in self._kept if common(row[0], own) < len(row[0])]
        kept.append((own, store))
        while kept and sum(len(row[0]) for row in kept) > self._places:
            kept.pop(0)
        self._kept = kept
