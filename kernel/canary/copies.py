"""Detection of verbatim copies in a token stream (the prompt followed by the answer).

A table from the hash of every ``GRAM`` tokens to the position after their latest occurrence finds where a copy may
begin. From there a pointer follows the original with one comparison a token, so the length of the copy is exact.
Constant time per token: one rolling hash and at most two look-ups.
"""

from __future__ import annotations

from collections.abc import Sequence

GRAM = 4  # tokens; three repeat in any code, and with five the shortest cycles are found late
MODULUS = (1 << 61) - 1
BASE = 1_000_003
LEAVING = pow(BASE, GRAM, MODULUS)
SEAM = GRAM - 1  # tokens without a match between one copy and the next that directly follows


class CopyTracker:
    """Tracks whether the end of the answer is a copy of earlier tokens.

    ``run``: length of the copy in tokens of the answer (0 if there is none). ``own``: its original is in the answer,
    not in the prompt. ``seen``: the last ``GRAM`` tokens occurred earlier in the answer. ``stale``: how many tokens ago
    the answer became a cycle, that is, everything between the original and its copy is itself a copy. A copy may begin
    in the prompt (an answer already begun). The tables hold at most one entry per token.
    """

    def __init__(self, prompt: Sequence[int] = ()) -> None:
        self._stream: list[int] = []
        self._prompt_grams: dict[int, int] = {}
        self._answer_grams: dict[int, int] = self._prompt_grams  # the prompt is read as if it were an answer
        self._hash = self._length = self._copied = self._gap = 0
        self._next = -1  # position of the token that would continue the copy
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
        continues = self._next >= 0 and self._stream[self._next] == token
        key = self._roll(token)
        here = len(self._stream)
        if continues:
            self._length += 1
            self._next += 1
        else:
            self._next = -1 if key is None else self._answer_grams.get(key, self._prompt_grams.get(key, -1))
            self._length = GRAM if self._next >= 0 else 0
        self._update_copied()
        self.seen = key in self._answer_grams
        self.own = self._next > self._prompt_length
        self.run = min(self._length, here - self._prompt_length)
        self.stale = max(min(self.run, self._copied - (here - self._next)), 0) if self.run else 0
        if key is not None:
            self._answer_grams[key] = here

    def _update_copied(self) -> None:
        """Updates ``_copied``, the number of latest tokens that consist of copies only."""
        self._gap = 0 if self._length else self._gap + 1
        if self._gap > SEAM:
            self._copied = 0
        else:
            self._copied = max(self._copied + 1, self._length)

    def _roll(self, token: int) -> int | None:
        """Hash of the last ``GRAM`` tokens including this one; None before there are that many."""
        self._hash = (self._hash * BASE + token + 1) % MODULUS
        self._stream.append(token)
        count = len(self._stream)
        if count > GRAM:
            self._hash = (self._hash - (self._stream[-GRAM - 1] + 1) * LEAVING) % MODULUS
        return self._hash if count >= GRAM else None
