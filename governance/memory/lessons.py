"""Short lines about earlier ops of the same boot, for prompts.

Only code and test failures teach; infrastructure failures do not, and do not count. Every ten ops the success rate
since the first lesson is compared with the rate before it: when it is lower, the lessons are cleared as misleading.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from governance.memory.history import JUDGED
from ledger.vocabulary import FailureClass, Operation, OpOutcome, State

KEPT = 20
CHECK_EVERY = 10
TEACHING = frozenset({FailureClass.CODE, FailureClass.TEST})


@dataclass(slots=True)
class Rate:
    """``good`` of ``n`` ops ended well."""

    good: int = 0
    n: int = 0

    def add(self, good: int, n: int = 1) -> None:
        self.good += good
        self.n += n

    def is_below(self, other: Rate) -> bool:
        """True when this rate is strictly lower; False when either has no data."""
        return self.good * other.n < other.good * self.n


class Lessons:
    """A bounded buffer of ``[OK] goal (files)`` and ``[FAIL:class] goal (files)`` lines."""

    def __init__(self) -> None:
        self._lines: deque[str] = deque(maxlen=KEPT)
        self._before = Rate()
        self._since = Rate()

    def begin(self, good: int, n: int) -> None:
        """Add the results of earlier boots to the rate without lessons."""
        self._before.add(good, n)

    def learn(self, op: Operation, state: State, failure: FailureClass, files: tuple[str, ...]) -> str:
        """Add an op that has ended and return its line; empty when it neither succeeded nor failed."""
        success = state is OpOutcome.COMPLETE
        if not success and failure is FailureClass.NONE:
            return ""
        line = f"[{'OK' if success else f'FAIL:{failure.value}'}] {op.goal[:160]} ({', '.join(files[:4])})"
        rate = self._since if self._lines else self._before  # without lines its prompt had no lessons
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
        """The lines for a prompt, oldest first."""
        return tuple(self._lines)
