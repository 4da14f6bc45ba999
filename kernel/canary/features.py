"""Features measured at every token. Each one grows with the trouble, so that "above normal" is always bad.

| name | what | detects |
|---|---|---|
| repeat | share of the last 32 tokens that occur more than once among them | stutter, short cycles |
| echo | share of recent 4-grams that occurred earlier in the answer (running mean) | endless patterns |
| copy | root of the length of the current copy of the answer's own text | a repeated paragraph |
| loop | root of the tokens of that copy that came after its cycle had closed | cycles of any period |
| prompt | root of the length of the current copy of the prompt | echo of the prompt |
| margin | -log(1 - margin), running mean of the margin | a model that no longer hesitates |
| entropy | running mean of the entropy, nats | garbage |
| surprise | running mean of -logprob of the chosen token, nats | garbage |

Clean code repeats too: rows of a table, imports, test cases. But each row brings something new, which ends a copy after
a few tokens and lowers the margin for a moment; a loop does neither. The root keeps one long and legitimate copy (an
edit writes most of its prompt again) comparable with a short one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import log, sqrt

from kernel.canary.copies import CopyTracker
from kernel.canary.reading import TokenStep

STUCK = ("repeat", "echo", "copy", "loop", "prompt", "margin")  # the answer repeats itself
LOST = ("entropy", "surprise")  # the tokens are improbable
FEATURES = STUCK + LOST
WINDOW = 32  # tokens of the self-repeat
SHARE = 1 / 16  # weight of the newest token in a running mean
WORST_NATS = 12.0  # cap: one very improbable token must not weigh like several
DOUBT = 0.01  # a margin of 1 counts as 0.99: files keep three digits
QUIET_START = (0.5, 0.0, 0.0)  # initial means of margin, entropy, surprise; absent values raise nothing


class RepeatWindow:
    """Share of repeated tokens among the last ``WINDOW``; low until the window is full."""

    def __init__(self) -> None:
        self._tokens: deque[int] = deque()
        self._counts: dict[int, int] = {}

    def push(self, token: int) -> float:
        self._tokens.append(token)
        self._counts[token] = self._counts.get(token, 0) + 1
        if len(self._tokens) > WINDOW:
            gone = self._tokens.popleft()
            self._counts[gone] -= 1
            if not self._counts[gone]:
                del self._counts[gone]
        return (len(self._tokens) - len(self._counts)) / WINDOW

    def __len__(self) -> int:
        return len(self._tokens)


class FeatureTracker:
    """Features of one generation, O(1) time per token. Memory: one number and one table entry a token."""

    def __init__(self, prompt: Sequence[int] = ()) -> None:
        self.copies = CopyTracker(prompt)
        self.window = RepeatWindow()
        self._echo = 0.0
        self._margin, self._entropy, self._surprise = QUIET_START

    def push(self, step: TokenStep) -> tuple[float, ...]:
        """Feature values in the order of ``FEATURES``. A value that is None in the step leaves its mean unchanged."""
        copies = self.copies
        copies.push(step.token)
        repeat = self.window.push(step.token)
        self._echo += SHARE * (copies.seen - self._echo)
        if step.margin is not None:
            self._margin += SHARE * (step.margin - self._margin)
        if step.entropy is not None:
            self._entropy += SHARE * (step.entropy - self._entropy)
        if step.logprob is not None:
            self._surprise += SHARE * (min(-step.logprob, WORST_NATS) - self._surprise)
        run = sqrt(copies.run)
        return (
            repeat,
            self._echo,
            run if copies.own else 0.0,
            sqrt(copies.stale),
            0.0 if copies.own else run,
            -log(max(1.0 - self._margin, 0.0) + DOUBT),
            self._entropy,
            self._surprise,
        )
