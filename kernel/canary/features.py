"""What is measured at every token. Each feature grows with the trouble, so that "above normal" is always the bad side.

| name | what | what it catches |
|---|---|---|
| repeat | share of the last 32 tokens that stand more than once among them | stutter, short cycles |
| echo | share of the recent 4-grams that the answer has said before (running mean) | patterns without end |
| copy | root of the length of the copy of its own text that the answer is in | a paragraph told twice |
| loop | root of the tokens of that copy that came after its cycle had closed | cycles, of any period |
| prompt | root of the length of the copy of the prompt that the answer is in | echo of the prompt |
| margin | -log(1 - margin), running mean of the margin | a model that no longer hesitates |
| entropy | running mean of the entropy, nats | garbage |
| surprise | running mean of -logprob of what was chosen, nats | garbage |

Clean code repeats too: rows of a table, imports, test cases. But each row brings something new, which ends a copy
after a few tokens and costs a moment of hesitation; a loop does neither. The root keeps one long and legitimate copy
(an edit writes most of its prompt again) comparable with a short one.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from math import log, sqrt

from kernel.canary.copies import CopyTracker
from kernel.canary.reading import TokenStep

STUCK = ("repeat", "echo", "copy", "loop", "prompt", "margin")  # nothing new comes
LOST = ("entropy", "surprise")  # nothing sensible comes
FEATURES = STUCK + LOST
WINDOW = 32  # tokens of the self-repeat
SHARE = 1 / 16  # of the newest token in a running mean
WORST_NATS = 12.0  # one absurd token must not look like a run of them
DOUBT = 0.01  # a margin of 1 is no more certain than 0.99: files keep three digits
QUIET_START = (0.5, 0.0, 0.0)  # of the running means of margin, entropy, surprise: what is not told raises nothing


class RepeatWindow:
    """Share of repeated tokens among the last ``WINDOW``; low while the window still fills."""

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
    """The features of one generation, in O(1) a token. Memory: one number and one table entry a token."""

    def __init__(self, prompt: Sequence[int] = ()) -> None:
        self.copies = CopyTracker(prompt)
        self.reset()

    def reset(self) -> None:
        """Forget the answer, keep the prompt."""
        self.copies.reset()
        self.window = RepeatWindow()
        self._echo = 0.0
        self._margin, self._entropy, self._surprise = QUIET_START

    def push(self, step: TokenStep) -> tuple[float, ...]:
        """The values in the order of ``FEATURES``. What a step does not tell stays where it was."""
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
