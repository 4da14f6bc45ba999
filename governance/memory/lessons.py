"""Short lines that later ops of the same boot see: what worked and what did not.

Only code and test trouble teaches; infrastructure noise does not. When the success rate after the first lesson falls
below what it was before, the buffer is cleared: the lessons mislead.
"""

from __future__ import annotations

from collections import deque

from ledger.vocabulary import FailureClass, Operation, State

KEPT = 20
CHECK_EVERY = 10
TEACHING = frozenset({FailureClass.CODE, FailureClass.TEST})


class Lessons:
    """A bounded buffer of ``[OK] goal (files)`` and ``[FAIL:class] goal (files)`` lines."""

    def __init__(self) -> None:
        self._lines: deque[tuple[str, bool]] = deque(maxlen=KEPT)
        self._before: list[bool] = []
        self._after: list[bool] = []

    def learn(self, op: Operation, state: State, failure: FailureClass, files: tuple[str, ...]) -> str:
        """Add the line of an op that has ended, and return it."""
        success = state is State.COMPLETE
        (self._after if self._lines else self._before).append(success)
        mark = "OK" if success else f"FAIL:{failure.value}"
        line = f"[{mark}] {op.goal[:160]} ({', '.join(files[:4])})"
        self._lines.append((line, success or failure in TEACHING))
        if len(self._after) == CHECK_EVERY:
            if self._before and sum(self._after) / CHECK_EVERY < sum(self._before) / len(self._before):
                self._lines.clear()
            self._before, self._after = self._before + self._after, []
        return line

    def for_prompt(self) -> tuple[str, ...]:
        """The lines that may stand in a prompt, oldest first."""
        return tuple(line for line, teaches in self._lines if teaches)
