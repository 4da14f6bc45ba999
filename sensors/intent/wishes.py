"""Finds a wish in a person's text. Rules only, no model. Pure.

Three forms count: a sentence that begins with a word that asks for a change, one in the form of a wish ("I wish", "it
would be nice if", "can we"), and a complaint ("why does it always"). How sure that is depends on whether the sentence
names something that exists in the repository; a complaint that names nothing is talk.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import StrEnum

from ledger.vocabulary import Frozen
from sensors.requests.sentences import bare, is_imperative, is_negated, squeeze, word_set, words_of

LONGEST = 1_000  # characters that are looked at
LONGEST_WISH = 400
MOST_NAMES = 12
LEAST_WORDS = 3
NAMED_BP = 2_500


class WishKind(StrEnum):
    REQUEST = "request"
    WISH = "wish"
    COMPLAINT = "complaint"


SURE_BP = {WishKind.REQUEST: 6_000, WishKind.WISH: 5_000, WishKind.COMPLAINT: 3_000}

_FENCED = re.compile(r"```.*?(?:```|$)", re.S)
_QUOTED_LINES = re.compile(r"(?m)^\s*(?:>|\$ |Traceback|File \"|at |E  |\+\+\+|---|@@).*$")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_WISHED = re.compile(
    r"^(?:maybe |perhaps )?(?:i (?:really )?wish|i'?d (?:really )?(?:like|love)|i (?:would|want|need)|"
    r"it(?: would|'d) be (?:really )?(?:nice|good|great|better|cool|helpful|useful)|"
    r"we (?:should|need to|ought to|must)|(?:can|could|would|will) (?:you|we)\b|someone should|there should be|"
    r"let'?s)\b",
    re.I,
)
_SHOULD = re.compile(r"\b(?:should|ought to|must) (?:not |really |also )?\w+", re.I)
_COMPLAINED = re.compile(
    r"^(?:why|how come) .*\b(?:always|never|still|again|every time|so|not|keeps?)\b|\bkeeps? \w+ing\b|"
    r"\b(?:is|are) (?:always|still|too|so|broken|wrong|flaky)\b|\bnever works?\b|\b(?:annoy|hate)\w*\b",
    re.I,
)
_ABOUT_US = re.compile(
    r"^(?:i wish (?:i|you)\b|i (?:want|need|would like|'d like) (?:to )?(?:know|see|ask|sleep|go)\b)", re.I
)
_ASKS = re.compile(r"^(?:what|where|which|who|whose|when|how (?!come)|is|are|does|do|did|has|have)\b", re.I)
_NAME = re.compile(r"`([^`\s]{2,80})`|((?:[\w.-]+/)*[\w-]+\.\w{1,5}\b|[A-Za-z_]\w{2,60})(?:\(\))?")
_PLAIN = word_set(
    """
    about after again all also always and any are because been before being better but can could does done
    each every file files for from get had has have how into its itself just like make many maybe more much
    must need never new nice not now one only other our out over please same she should some still such test
    tests than that the their them then there these they thing things this those too use used very want was
    well were what when where which while why will wish with work works would you your
    """
)


class Wish(Frozen):
    """``text`` is the sentence. ``names`` are those of the repository that it names."""

    kind: WishKind
    text: str
    confidence_bp: int
    names: tuple[str, ...] = ()


def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text, without quoted code and output."""
    spoken = _QUOTED_LINES.sub(" ", _FENCED.sub(" ", text[:LONGEST]))
    return tuple(each for each in map(squeeze, _SENTENCE.split(spoken)) if each)


def names_in(text: str) -> tuple[str, ...]:
    """Words that could be names of files or symbols, in order; those marked as code first."""
    found = [(match[1] is None, match[1] or match[2]) for each in sentences(text) for match in _NAME.finditer(each)]
    marked = [name.removesuffix("()") for _, name in sorted(found, key=lambda pair: pair[0])]
    return tuple(dict.fromkeys(name for name in marked if name.casefold() not in _PLAIN))[:MOST_NAMES]


def infer_wish(text: str, known: Collection[str] = ()) -> Wish | None:
    """The surest wish in ``text``; None where there is none. ``known``: those of :func:`names_in` that exist."""
    found = [wish for each in sentences(text) if (wish := _wish(each, frozenset(known))) is not None]
    return max(found, key=lambda wish: wish.confidence_bp, default=None)


def _wish(sentence: str, known: frozenset[str]) -> Wish | None:
    kind = _kind(sentence)
    if kind is None or len(words_of(sentence)) < LEAST_WORDS:
        return None
    names = tuple(name for name in names_in(sentence) if name in known)
    if kind is WishKind.COMPLAINT and not names:
        return None
    sure = SURE_BP[kind] + (NAMED_BP if names else 0)
    return Wish(kind=kind, text=sentence[:LONGEST_WISH], confidence_bp=sure, names=names)


def _kind(sentence: str) -> WishKind | None:
    if is_negated(sentence) or _ABOUT_US.match(sentence):
        return None
    if is_imperative(sentence):
        return WishKind.REQUEST
    if _WISHED.match(sentence) or _WISHED.match(bare(sentence)):
        return WishKind.WISH
    if _COMPLAINED.search(sentence):
        return WishKind.COMPLAINT
    if _SHOULD.search(sentence) and not _ASKS.match(sentence) and not sentence.endswith("?"):
        return WishKind.WISH
    return None


def key_words(text: str) -> str:
    """The same for a wish in other letters, marks and politeness."""
    return " ".join(words_of(bare(text)))


_YES = re.compile(r"^(?:y|yes|yeah|yep|sure|ok|okay|please do|do it|go ahead)(?:,? please)?$", re.I)
_NO = re.compile(r"^(?:n|no|nope|nah|don'?t)\b[\s,:;.!-]*(?P<why>.*)$", re.I | re.S)


def answer_in(text: str) -> tuple[bool, str] | None:
    """A yes, or a no with its reason; None where the words are neither."""
    said = squeeze(text)
    if _YES.match(said.rstrip(" .!")):
        return True, ""
    found = _NO.match(said)
    return (False, found["why"]) if found is not None else None
