"""Parsers for word tables written as text, which need fewer lines than lists of literals."""

from __future__ import annotations


def word_set(text: str) -> frozenset[str]:
    """The words of a text, split at white space."""
    return frozenset(text.split())


def word_list(text: str) -> tuple[str, ...]:
    """The words of a text in their order."""
    return tuple(text.split())
