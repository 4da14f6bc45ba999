"""How many refusals become entries of the ledger: a stranger must not be able to fill the disk with them. Pure."""

from __future__ import annotations

from collections.abc import Iterator

EACH, ALL, WINDOW_S = 5, 20, 60.0


class Ration:
    """In each window the first refusals of a rule are recorded one by one, the rest of them as a number."""

    def __init__(self) -> None:
        self._since = float("-inf")
        self._recorded: dict[str, int] = {}
        self._counted: dict[str, int] = {}

    def allows(self, rule: str, now_s: float) -> bool:
        """True when this refusal is to be recorded; else it is counted. ``now_s``: monotonic seconds."""
        if now_s - self._since >= WINDOW_S:
            self._since = now_s
            self._recorded.clear()
        if self._recorded.get(rule, 0) < EACH and sum(self._recorded.values()) < ALL:
            self._recorded[rule] = self._recorded.get(rule, 0) + 1
            return True
        self._counted[rule] = self._counted.get(rule, 0) + 1
        return False

    def due(self, now_s: float) -> bool:
        """Are there counts of a window that is over?"""
        return bool(self._counted) and now_s - self._since >= WINDOW_S

    def take_counts(self) -> Iterator[tuple[str, int]]:
        """What was counted and not yet recorded, once."""
        counted, self._counted = self._counted, {}
        yield from sorted(counted.items())
