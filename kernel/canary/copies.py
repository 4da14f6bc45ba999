"""Verbatim copies: is the stream, at this moment, saying again what already stands in it?

The stream is the prompt followed by the answer. A table from the hash of every ``GRAM`` tokens to the place behind
their latest occurrence finds where a copy may have begun; from there a pointer follows the original, one comparison a
token, so that the length of the copy is exact. Every token costs the same: one hash rolled on, at most two look-ups.
"""

from __future__ import annotations

from collections.abc import Sequence

GRAM = 4  # tokens; three of them stand twice in any code, five find the shortest cycles late
MODULUS = (1 << 61) - 1
BASE = 1_000_003
LEAVING = pow(BASE, GRAM, MODULUS)
SEAM = GRAM - 1  # tokens that go unseen where one copy ends and the next begins, with nothing new between them


class CopyTracker:
    """Follows the copy that the answer is in.

    ``run`` is its length in tokens of the answer (0 when there is none), ``own`` whether the original is the answer's
    own text, and ``seen`` whether the last ``GRAM`` tokens stood in the answer before. ``stale`` is how many tokens of
    the run came when everything since the original was copied too: the cycle is closed, nothing new is between a
    passage and its repetition. A prompt that ends in a copy (an answer that had already begun) is gone on with. The
    tables hold at most one entry a token.
    """

    def __init__(self, prompt: Sequence[int] = ()) -> None:
        self._stream: list[int] = []
        self._told: dict[int, int] = {}  # the prompt's
        self._said: dict[int, int] = self._told  # the answer's; the prompt is read as if it were one
        self._hash = self._length = self._barren = self._gap = 0
        self._at = -1  # the token of the stream that comes next if the copy goes on
        self._behind = 0  # the prompt's length, once it is read
        for token in prompt:
            self.push(token)
        self._behind = len(self._stream)
        self._start = (self._hash, self._length, self._barren, self._gap, self._at)
        self.reset()

    def reset(self) -> None:
        """Forget the answer, keep the prompt."""
        del self._stream[self._behind :]
        self._hash, self._length, self._barren, self._gap, self._at = self._start
        self._said = {}
        self.run = self.stale = 0
        self.own = self.seen = False

    @property
    def entries(self) -> int:
        """Size of both tables."""
        return len(self._told) + len(self._said)

    def push(self, token: int) -> None:
        """Take the next token of the stream."""
        going_on = self._at >= 0 and self._stream[self._at] == token
        key = self._roll(token)
        here = len(self._stream)
        if going_on:
            self._length += 1
            self._at += 1
        else:
            self._at = -1 if key is None else self._said.get(key, self._told.get(key, -1))
            self._length = GRAM if self._at >= 0 else 0
        self._count_barren()
        self.seen = key in self._said
        self.own = self._at > self._behind
        self.run = min(self._length, here - self._behind)
        self.stale = max(min(self.run, self._barren - (here - self._at)), 0) if self.run else 0
        if key is not None:
            self._said[key] = here

    def _count_barren(self) -> None:
        """``_barren`` is the length of the stretch, up to here, in which only copies stand."""
        self._gap = 0 if self._length else self._gap + 1
        if self._gap > SEAM:
            self._barren = 0
        else:
            self._barren = max(self._barren + 1, self._length)

    def _roll(self, token: int) -> int | None:
        """The hash of the last ``GRAM`` tokens with this one (``None`` before there are so many)."""
        self._hash = (self._hash * BASE + token + 1) % MODULUS
        self._stream.append(token)
        count = len(self._stream)
        if count > GRAM:
            self._hash = (self._hash - (self._stream[-GRAM - 1] + 1) * LEAVING) % MODULUS
        return self._hash if count >= GRAM else None
