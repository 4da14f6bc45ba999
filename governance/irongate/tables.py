"""Tables that are written as text: one line for many words instead of one line a word."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """The words of a text, which blanks and newlines part."""
    return frozenset(text.split())


def word_list(text: str) -> tuple[str, ...]:
    """The same in their order."""
    return tuple(text.split())
