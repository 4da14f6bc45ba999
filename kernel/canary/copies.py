"""Detection of verbatim copies in a token stream (the prompt followed by the answer).

A table from the hash of every ``GRAM`` tokens to the position after their latest occurrence finds where a copy may
begin. From there a pointer follows the original with one comparison a token, so the length of the copy is exact.
Constant time per token: one rolling hash and at most two look-ups.
"""

from __future__ import annotations

from collections.abc import Sequence

GRAM = 4  # tokens; runs of three repeat in any code, runs of five find the shortest cycles late
MODULUS = (1 << 61) - 1
BASE = 1_000_003
LEAVING = pow(BASE, GRAM, MODULUS)
SEAM = GRAM - 1  # tokens not matched where one copy ends and the next begins directly after it


class CopyTracker:
    """The copy that the end of the answer belongs to.

    ``run``: its length in tokens of the answer (0 without one). ``own``: its original is in the answer, not in the
    prompt. ``seen``: the last ``GRAM`` tokens occurred earlier in the answer. ``stale``: tokens of the run added since
    the cycle closed, that is, since everything after the original was itself a copy. A prompt that ends inside a copy
    (an answer already begun) is continued. The tables hold at most one entry a token.
    """

    def __init__(self, prompt: Sequence[int] = ()) -> None:
        self._stream: list[int] = []
        self._prompt_grams: dict[int, int] = {}
        self._answer_grams: dict[int, int] = self._prompt_grams  # the prompt is read as if it were an answer
        self._hash = self._length = self._barren = self._gap = 0
        self._at = -1  # position of the token that would continue the copy
        self._prompt_length = 0  # set after the prompt is read
        for token in prompt:
            self.push(token)
        self._prompt_length = len(self._stream)
        self._answer_grams = {}
        self.run = self.stale = 0
        self.own = self.seen = False

    @property
    def entries(self) -> int:
        """Size of both tables."""
        return len(self._prompt_grams) + len(self._answer_grams)

    def push(self, token: int) -> None:
        """Adds the next token of the stream."""
        continues = self._at >= 0 and self._stream[self._at] == token
        key = self._roll(token)
        here = len(self._stream)
        if continues:
            self._length += 1
            self._at += 1
        else:
            self._at = -1 if key is None else self._answer_grams.get(key, self._prompt_grams.get(key, -1))
            self._length = GRAM if self._at >= 0 else 0
        self._count_barren()
        self.seen = key in self._answer_grams
        self.own = self._at > self._prompt_length
        self.run = min(self._length, here - self._prompt_length)
        self.stale = max(min(self.run, self._barren - (here - self._at)), 0) if self.run else 0
        if key is not None:
            self._answer_grams[key] = here

    def _count_barren(self) -> None:
        """Updates ``_barren``, the length of the stretch up to here that consists of copies only."""
        self._gap = 0 if self._length else self._gap + 1
        if self._gap > SEAM:
            self._barren = 0
        else:
            self._barren = max(self._barren + 1, self._length)

    def _roll(self, token: int) -> int | None:
        """Hash of the last ``GRAM`` tokens including this one; None before there are that many."""
        self._hash = (self._hash * BASE + token + 1) % MODULUS
        self._stream.append(token)
        count = len(self._stream)
        if count > GRAM:
            self._hash = (self._hash - (self._stream[-GRAM - 1] + 1) * LEAVING) % MODULUS
        return self._hash if count >= GRAM else None
