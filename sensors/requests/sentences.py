"""Rules for requests in a person's words, spoken or typed. Pure."""

from __future__ import annotations

import re
import unicodedata


def word_set(words: str) -> frozenset[str]:
    """A set of words from a text of them."""
    return frozenset(words.split())


VERBS = word_set(
    """
    accept add allow avoid bump cache catch change check clean cleanup compute convert cover create
    deprecate document drop emit enable ensure extract fix forbid format guard handle ignore implement
    improve inline introduce keep let limit log make mend merge move optimise optimize parse prevent raise
    refactor refuse reject remove rename repair replace report return rewrite round simplify skip sort speed
    split start stop support swap tidy trim turn unify update upgrade use validate verify warn wrap write
    """
)
"""Words with which a person asks for a change of a program."""

_BLANK = re.compile(r"[\s\u200b\ufeff]+")
_CALLED = re.compile(r"^(?:(?:hey|ok|okay|hello)[\s,]+)?(?:ouroboros|ouro)\b[\s,:.!]*", re.I)
_POLITE = re.compile(
    r"^(?:please|kindly|now|so|well|and|(?:could|can|would|will) (?:you|we)(?: please)?|let'?s|you should)\b[\s,:]*",
    re.I,
)
_THANKS = re.compile(r"(?:[\s,]+(?:please|thanks|thank you|now|for me))?[\s.!?,;]*$", re.I)
_NEGATED = re.compile(r"^(?:do not|don'?t|never|no|not|stop trying|nobody|forget|wait)\b", re.I)


def squeeze(text: str) -> str:
    """One line: blanks of every kind are one, typographic quotes are plain, what cannot be printed is gone."""
    plain = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("\u2018", "'")
    return _BLANK.sub(" ", "".join(c if c.isprintable() else " " for c in plain)).strip()


def bare(text: str) -> str:
    """A request without address, politeness and the full stop: ``Ouro, please fix it now.`` is ``fix it``."""
    said = squeeze(text)
    while True:
        shorter = _THANKS.sub("", _POLITE.sub("", _CALLED.sub("", said)))
        if shorter == said:
            return said
        said = shorter


def words_of(text: str) -> tuple[str, ...]:
    """The words of a request as they are compared: small letters, without marks at their ends."""
    words = (word.strip(".,;:!?\"'`()[]") for word in bare(text).casefold().split())
    return tuple(word for word in words if word)


def is_negated(text: str) -> bool:
    """``Don't fix it`` asks for nothing."""
    return _NEGATED.match(bare(text)) is not None


def is_imperative(text: str) -> bool:
    """Whether it begins with a verb of change and has an object."""
    words = words_of(text)
    return len(words) > 1 and words[0] in VERBS and not is_negated(text)
