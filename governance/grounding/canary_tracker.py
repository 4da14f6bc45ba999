"""Worst canary reading of the current attempt, updated after each model call."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class CanaryTracker:
    """The highest proximity among the attempt's accepted answers, and its signal."""

    proximity_milli: int = 0
    signal: str = "none"

    def begin(self) -> None:
        """Reset for an attempt that starts from a clean context."""
        self.proximity_milli, self.signal = 0, "none"

    def feel(self, proximity_milli: int, signal: str) -> None:
        """Update with one answer."""
        if proximity_milli > self.proximity_milli:
            self.proximity_milli, self.signal = proximity_milli, signal
