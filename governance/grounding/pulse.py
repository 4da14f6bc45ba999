"""What the canary has said of the answers of one attempt so far. Every call of a model is felt here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Pulse:
    """The attempt's worst answer that still counted. ``begin`` where a new attempt begins."""

    proximity_milli: int = 0
    signal: str = "none"

    def begin(self) -> None:
        """An attempt from a clean context: nothing of the last one counts."""
        self.proximity_milli, self.signal = 0, "none"

    def feel(self, proximity_milli: int, signal: str) -> None:
        """Take one answer."""
        if proximity_milli > self.proximity_milli:
            self.proximity_milli, self.signal = proximity_milli, signal
