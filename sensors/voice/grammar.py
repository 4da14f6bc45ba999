"""A small grammar of spoken sentences. Pure.

An order is one of a closed list; approving and rejecting are recognised so that they can be refused by name. A sentence
that begins with a verb of change is a goal. Anything else is unclear, and ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import dropwhile
from typing import Literal

from ledger.vocabulary import Frozen
from sensors.requests.replies import IT, Goal, Order, OrderName
from sensors.requests.sentences import bare, is_imperative, is_negated, word_set, words_of

LEAST_REFERENCE = 3  # letters of an id: fewer are misheard too easily


class Forbidden(Frozen):
    """What is never done because it was spoken. ``typed``: what to type instead."""

    rule: Literal["voice.approval", "voice.typed"]
    typed: str


class Unclear(Frozen):
    """``why`` is a sentence for the speaker."""

    why: str


Meaning = Order | Forbidden | Goal | Unclear

_WHOLE: Mapping[str, OrderName] = {
    "status": "status",
    "show status": "status",
    "show the status": "status",
    "what is the status": "status",
    "what's the status": "status",
    "how is it going": "status",
    "how are you doing": "status",
    "ops": "ops",
    "operations": "ops",
    "show ops": "ops",
    "show the ops": "ops",
    "list ops": "ops",
    "list the ops": "ops",
    "show operations": "ops",
    "list operations": "ops",
    "what are you doing": "ops",
    "what is running": "ops",
    "what's running": "ops",
    "pause": "pause",
    "pause work": "pause",
    "pause everything": "pause",
    "take a break": "pause",
    "resume": "resume",
    "resume work": "resume",
    "unpause": "resume",
}
_AIMED: Mapping[str, OrderName] = {
    "show": "show",
    "describe": "show",
    "cancel": "cancel",
    "abort": "cancel",
    "stop": "cancel",
    "retry": "retry",
}
_AGREES = word_set("approve approved confirm confirmed lgtm")
_ASSENTS = word_set("yes yeah yep ok okay sure")
_AGREES_OR_GOAL = word_set("accept allow apply commit deny land merge refuse reject ship decline push")
_TYPED = word_set("answer drop forget posture reload shutdown undo revert quit restart")
_CHANGE = word_set("change changes op operation diff patch repair proposal candidate commit everything all")
_IT = word_set("it that this them")
_FILLING = word_set("the a an op operation signal number id sig change please and")
_SPELT = {
    "zero": "0",
    "oh": "0",
    "one": "1",
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "alpha": "a",
    "alfa": "a",
    "bravo": "b",
    "charlie": "c",
    "delta": "d",
    "echo": "e",
    "foxtrot": "f",
}
_HEX = re.compile(r"(?:op-|sig-)?([0-9a-f]{1,32})")


def reference(words: Sequence[str]) -> str | None:
    """The end of an id that ``words`` spell (``op seven f three a``: ``7f3a``), or :data:`IT`; None: neither."""
    left = list(dropwhile(_FILLING.__contains__, words))
    if all(word in _IT for word in left):  # also nothing at all: "cancel the op"
        return IT
    begins = range(len(words) - len(left) + 1)  # where all the rest is spelt, "a" is a letter
    return next((spelt for begin in begins if (spelt := _spelt(words[begin:]))), None)


def _spelt(words: Iterable[str]) -> str | None:
    found = [_HEX.fullmatch(_SPELT.get(word, word)) for word in words]
    spelt = "".join(each[1] for each in found if each)
    return spelt if all(found) and len(spelt) >= LEAST_REFERENCE else None


def parse(text: str) -> Meaning:
    """What ``text`` means. Total: every text means something, most of them nothing."""
    words = words_of(text)
    if not words:
        return Unclear(why="I heard nothing.")
    whole = _WHOLE.get(" ".join(words))
    if whole is not None:
        return Order(name=whole)
    if is_negated(text):
        return Unclear(why="That says what not to do; I do nothing.")
    if words[0] in _ASSENTS and not _is_about_a_change(words[1:]):
        return parse(bare(text).partition(" ")[2])  # "okay, pause"
    return _forbidden(words) or _aimed(words) or _goal(text)


def _is_about_a_change(words: Sequence[str]) -> bool:
    """Can what follows "approve" or "yes" be a change that waits? Nothing at all can."""
    return reference(words) is not None or not _CHANGE.isdisjoint(words)


def _forbidden(words: Sequence[str]) -> Forbidden | None:
    first, rest = words[0], words[1:]
    meant = reference(rest)
    about_a_change = _is_about_a_change(rest)
    if first in _AGREES or first in _ASSENTS or words[:2] in (("go", "ahead"), ("do", "it"), ("looks", "good")):
        return Forbidden(rule="voice.approval", typed=_typed("approve", meant))
    if first in _AGREES_OR_GOAL and about_a_change:
        agrees = first not in ("reject", "refuse", "deny", "decline")
        return Forbidden(rule="voice.approval", typed=_typed("approve" if agrees else "reject", meant))
    if words[:2] == ("shut", "down"):
        return Forbidden(rule="voice.typed", typed="ouro --help")
    if first in _TYPED and (about_a_change or not rest):
        known = first if first in ("answer", "drop", "posture", "undo") else ""
        return Forbidden(rule="voice.typed", typed=_typed(known, meant) if known else "ouro --help")
    return None


def _typed(command: str, meant: str | None) -> str:
    return f"ouro {command}" if command == "posture" else f"ouro {command} {meant if meant and meant != IT else 'OP'}"


def _aimed(words: Sequence[str]) -> Order | Unclear | None:
    if words[0] == "try" and words[-1] == "again":
        words = ("retry", *words[1:-1])
    name = _AIMED.get(words[0])
    if name is None:
        return None
    meant = reference(words[1:])
    if meant is not None and (len(words) > 1 or words[0] != "stop"):
        return Order(name=name, target=meant)
    if words[0] == "stop" and len(words) > 2:
        return None  # "stop rounding up in total": a goal
    return Unclear(why=f"I did not understand what to {words[0]}: spell the end of its id, or say it.")


def _goal(text: str) -> Goal | Unclear:
    said = bare(text)
    if not is_imperative(text):
        return Unclear(why="That is no order that I know, and no goal.")
    if all(word in _IT | _FILLING for word in words_of(text)[1:]):
        return Unclear(why=f"Say what to {words_of(text)[0]}.")
    return Goal(text=said)
