"""Guesses of the next tokens that one pass can check together.

An edit repeats most of what it edits: behind a pair of tokens that was there before comes, more often than not, what
came behind it then.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

PAIR = 3  # tokens that have to match


class PromptLookup:
    """Where each short run of tokens was last seen; O(1) a token."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._behind: dict[tuple[int, ...], int] = {}
        self._match = 0
        for token in tokens:
            self.push(token)

    def push(self, token: int) -> None:
        self._tokens.append(token)
        if len(self._tokens) >= PAIR:
            key = tuple(self._tokens[-PAIR:])
            self._match = self._behind.get(key, 0)
            self._behind[key] = len(self._tokens)

    @property
    def hit(self) -> bool:
        """The last tokens were there before."""
        return self._match > 0

    def guess(self, most: int) -> list[int]:
        """What came behind the last tokens when they were there before; empty when they were not."""
        return self._tokens[self._match : self._match + most] if self._match else []


MOST = 6  # guesses of one draft; products with few rows take hardly longer than with one
PAUSE = 4  # tokens without guesses after drafts that were all wrong, doubled each time
LONGEST_PAUSE = 64


@dataclass(slots=True)
class Pace:
    """How many tokens to guess, by how often guesses were right: guessing in vain costs more than not guessing."""

    length: int = 2
    wrong: int = 0  # drafts in a row without a right guess
    wait: int = 0  # tokens until the next draft

    def next(self, room: int) -> int:
        """Guesses to make now, at most ``room``; 0 for none."""
        if self.wait:
            self.wait -= 1
            return 0
        return min(self.length, room)

    def told(self, guessed: int, right: int) -> None:
        """``right`` of the ``guessed`` tokens were chosen in the end."""
        if right:
            self.wrong = 0
            self.length = min(self.length + 2, MOST) if right == guessed else max(right, 1)
            return
        self.wrong += 1
        self.length = 1
        if self.wrong > 1:
            self.wait = min(PAUSE << (self.wrong - 2), LONGEST_PAUSE)
