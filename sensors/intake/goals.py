"""What the owner wants done first: goals that are declared in a committed file, and which signals serve one. Pure.

``[[goal]]`` tables with ``text``, ``paths``, ``words`` and ``until``. A goal moves what serves it forward in the queue,
and does nothing else: nothing that decides whether a change may land reads any of this.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from fnmatch import fnmatchcase
from typing import Annotated, Final

from pydantic import AfterValidator, Field, ValidationError, model_validator

from ledger.frozen import inside
from ledger.parsers import UnreadableText
from ledger.parsers.toml import read_toml
from ledger.sources import SOURCES
from ledger.vocabulary import Frozen, Signal

PATH: Final = ".ouro/goals.toml"
DECLARED: Final = 2  # points by which a declared goal moves a signal forward
LARGEST_BYTES: Final = 64 * 1024
MOST_GOALS: Final = 20
Word = Annotated[str, Field(min_length=2, max_length=60)]
Paths = Annotated[str, Field(min_length=1, max_length=300), AfterValidator(inside)]


class BadGoals(ValueError):
    """The file is malformed; the text gives the reason."""


class DeclaredGoal(Frozen):
    """One goal as the owner declared it. ``until``: the last day (UTC) on which it counts; None: until it is removed.

    ``paths`` name files, or folders with all that is in them; ``*`` matches anything, slashes too.
    """

    text: str = Field(min_length=1, max_length=300)
    paths: tuple[Paths, ...] = Field((), max_length=20)
    words: tuple[Word, ...] = Field((), max_length=20)
    until: date | None = None

    @model_validator(mode="after")
    def _says_what(self) -> DeclaredGoal:
        if not self.paths and not self.words:
            raise ValueError("it names neither paths nor words")
        return self


class Goals(Frozen):
    """All of them, in the order of the file."""

    goal: tuple[DeclaredGoal, ...] = Field((), max_length=MOST_GOALS)


class GoalFacts(Frozen):
    """What alignment is decided by: all that a signal and a day have to do with it."""

    targets: tuple[str, ...]
    text: str
    outside: bool  # its words were written by somebody else: they count for nothing
    day: date

    @classmethod
    def of(cls, signal: Signal, day: date) -> GoalFacts:
        """The facts of a signal."""
        return cls(targets=signal.targets, text=signal.goal, outside=SOURCES[signal.source].from_outside, day=day)


class Alignment(Frozen):
    """``points`` that a signal is moved forward by, and why; 0 and empty for none."""

    points: int = 0
    why: str = ""


def goals_of(data: bytes, redact: Callable[[str], str] = str) -> Goals:
    """What a file declares, without secrets. Raises ``BadGoals``."""
    if len(data) > LARGEST_BYTES:
        raise BadGoals(f"it is larger than {LARGEST_BYTES} bytes")
    try:
        return Goals.model_validate(read_toml(redact(data.decode("utf-8"))))
    except UnicodeDecodeError as error:
        raise BadGoals("it is not UTF-8") from error
    except UnreadableText as error:
        raise BadGoals(str(error)) from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise BadGoals(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def alignment(goals: Goals, facts: GoalFacts) -> Alignment:
    """The first goal, in the order of the file, that is not over and that a signal serves.

    It serves a goal when one of its files is among the goal's paths, or when its own words hold one of the goal's.
    """
    for goal in goals.goal:
        if goal.until is not None and facts.day > goal.until:
            continue
        served = _by_path(goal, facts) or _by_word(goal, facts)
        if served:
            return Alignment(points=DECLARED, why=f"{goal.text}: {served}")
    return Alignment()


def _by_path(goal: DeclaredGoal, facts: GoalFacts) -> str:
    hits = (target for target in facts.targets for pattern in goal.paths if _covers(pattern, target))
    return next((f"its path covers {hit}" for hit in hits), "")


def _covers(pattern: str, path: str) -> bool:
    folder = pattern.rstrip("/")
    return path == folder or path.startswith(f"{folder}/") or fnmatchcase(path, pattern)


def _by_word(goal: DeclaredGoal, facts: GoalFacts) -> str:
    if facts.outside:
        return ""
    text = facts.text.casefold()
    hits = (word for word in goal.words if re.search(rf"(?<!\w){re.escape(word.casefold())}(?!\w)", text))
    return next((f"the signal says {hit!r}" for hit in hits), "")
