"""Short lines that later ops of the same boot see: what worked and what did not.

Only code and test trouble teaches; infrastructure noise does not, nor does it count. Every ten ops the success rate
since the first lesson is compared with that before it: where it is worse the buffer is cleared, for lessons mislead.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from governance.memory.history import JUDGED
from ledger.vocabulary import FailureClass, Operation, State

KEPT = 20
CHECK_EVERY = 10
TEACHING = frozenset({FailureClass.CODE, FailureClass.TEST})


@dataclass(slots=True)
class Rate:
    """How many of ``n`` ops ended well."""

    good: int = 0
    n: int = 0

    def add(self, good: int, n: int = 1) -> None:
        self.good += good
        self.n += n

    def is_below(self, other: Rate) -> bool:
        """False where either knows nothing."""
        return self.good * other.n < other.good * self.n


class Lessons:
    """A bounded buffer of ``[OK] goal (files)`` and ``[FAIL:class] goal (files)`` lines."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=KEPT)
        self._before = Rate()
        self._since = Rate()

    def begin(self, good: int, n: int) -> None:
        """What ops of earlier boots came to, which had none of these lessons."""
        self._before.add(good, n)

    def learn(self, op: Operation, state: State, failure: FailureClass, files: tuple[str, ...]) -> str:
        """Take in an op that has ended, and return its line; empty where it neither succeeded nor failed."""
        success = state is State.COMPLETE
        if not success and failure is FailureClass.NONE:
            return ""
        line = f"[{'OK' if success else f'FAIL:{failure.value}'}] {op.goal[:160]} ({', '.join(files[:4])})"
        rate = self._since if self._lines else self._before  # with no line yet it was told nothing
        if success or failure in TEACHING:
            self._lines.append(line)
        if success or failure in JUDGED:
            rate.add(success)
            self._check()
        return line

    def _check(self) -> None:
        is_time = self._since.n > 0 and self._since.n % CHECK_EVERY == 0
        if is_time and self._since.is_below(self._before):
            self._lines.clear()
            self._before.add(self._since.good, self._since.n)
            self._since = Rate()

    def for_prompt(self) -> tuple[str, ...]:
        """The lines that may stand in a prompt, oldest first."""
        return tuple(self._lines)
