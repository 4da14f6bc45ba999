"""What a closure check comes to."""

from __future__ import annotations

from ledger.vocabulary import Frozen


class ClosureAnswer(Frozen):
    """The answer, and the sentence that says what it rests on.

    ``gone``: what the check speaks of is not there any more, so nobody can do anything about it. That is not closed.
    """

    closed: bool
    reason: str
    gone: bool = False
