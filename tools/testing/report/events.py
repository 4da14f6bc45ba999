"""The lines of a test report, as ``_ouro_pytest_plugin.py`` and the other plugins write them.

The report comes from inside the sandbox, so it is untrusted: lines have a strict form and bounded numbers, and JSON
that would expand to too many objects is refused before parsing (:func:`parse_event`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Literal, TypeVar

from pydantic import ConfigDict, FailFast, Field, TypeAdapter, ValidationError

from ledger.frozen import Frozen
from ledger.vocabulary import Outcome

ANSWERS = 1_000
"""Maximum number of answers; a probe gives fewer."""
ROWS = 250
"""Maximum number of comparisons of one test; the plugin reports fewer."""
CHANGES, TESTS = 10_000, 10_000
"""Maximum number of variants and tests of a screening run."""
ENTERED = 10_000
"""Maximum number of functions that a run observes."""
LINE_BYTES = 32 * 1024 * 1024
"""Size limit of one event. The longest one lists all tests of a repository."""
LAST_LINE = 10_000_000
"""Greatest line number of a source file."""
Of = TypeVar("Of")
Many = Annotated[tuple[Of, ...], FailFast()]
"""Validation stops at the first error: there may be a million entries."""
Said = Annotated[str, Field(max_length=600)]
Count = Annotated[int, Field(ge=0, le=1_000_000_000)]
Place = tuple[str, int, str]
Places = Annotated[tuple[Place, ...], Field(max_length=200), FailFast()]


class Line(Frozen):
    model_config = ConfigDict(strict=True)

    k: str
    n: Count


class Start(Line):
    e: Literal["start"]
    python: tuple[int, int]
    pytest: str
    prefix: str


class CollectError(Line):
    e: Literal["collect_error"]
    id: str
    exc: str
    message: str
    detail: str
    frames: Places


class Collected(Line):
    e: Literal["collected"]
    ids: Many[str]
    missing: Many[str]


class Running(Line):
    e: Literal["running"]
    id: str


class ResultLine(Line):
    e: Literal["result"]
    id: str
    out: Outcome
    ms: Count
    exc: str
    message: str
    detail: str
    frames: Places


class Cover(Line):
    e: Literal["cover"]
    id: str
    files: dict[str, Many[int]]
    cut: bool


class Probe(Line):
    e: Literal["probe"]
    rows: Annotated[tuple[tuple[Said, Said, Said], ...], Field(max_length=64), FailFast()]


class Screened(Line):
    e: Literal["screened"]
    i: Count
    passed: Annotated[tuple[Count, ...], Field(max_length=TESTS), FailFast()]


class Instrumented(Line):
    e: Literal["instrumented"]
    file: str
    lines: Many[Count]


class ComparedLine(Line):
    e: Literal["compared"]
    id: str
    rows: Annotated[tuple[str, ...], Field(max_length=ROWS), FailFast()]
    more: bool
    lines: Many[tuple[str, Count]]


class Sentinel(Line):
    e: Literal["sentinel"]
    name: Said
    out: Said
    fits: bool
    last: bool


class Guarded(Line):
    e: Literal["guarded"]
    changed: Annotated[tuple[tuple[Said, Said], ...], Field(max_length=64), FailFast()]


class Entered(Line):
    e: Literal["entered"]
    files: Annotated[tuple[str, ...], Field(max_length=ENTERED), FailFast()]
    functions: Annotated[tuple[tuple[str, Count, str], ...], Field(max_length=ENTERED), FailFast()]
    cut: bool


class Internal(Line):
    e: Literal["internal"]
    message: str


class Modules(Line):
    e: Literal["modules"]
    bad: Annotated[tuple[tuple[str, str], ...], Field(max_length=64), FailFast()]


class EndLine(Line):
    e: Literal["end"]
    exit: Annotated[int, Field(ge=0, le=255)]
    collected: Count
    results: Count


Event = (
    Start
    | CollectError
    | Collected
    | Running
    | ResultLine
    | Cover
    | Probe
    | Screened
    | Instrumented
    | ComparedLine
    | Sentinel
    | Guarded
    | Entered
    | Internal
    | Modules
    | EndLine
)
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="e")])

BASIC = frozenset({"start", "collect_error", "collected", "running", "result", "internal", "modules", "end"})
"""Events of every run."""
BESIDES: Mapping[str, frozenset[str]] = {
    "_ouro_trace": frozenset({"cover"}),
    "_ouro_probe": frozenset({"probe"}),
    "_ouro_screen": frozenset({"screened"}),
    "_ouro_compare": frozenset({"instrumented", "compared"}),
    "_ouro_sentinel": frozenset({"sentinel"}),
    "_ouro_guard": frozenset({"guarded"}),
    "_ouro_entered": frozenset({"entered"}),
}
"""Events of a run with one of these modules."""
EVERYTHING = BASIC.union(*BESIDES.values())


def parse_event(raw: bytes) -> Event | None:
    """The event of one line; None for an invalid one."""
    if len(raw) > LINE_BYTES or not is_modest(raw):
        return None
    try:
        return EVENT.validate_json(raw)
    except ValidationError:
        return None


NESTED = 100_000
"""Maximum number of lists, objects and named fields; coverage of ten thousand files has fewer."""
ENTRIES = 2_000_000
"""Maximum number of entries of lists and objects together."""
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""Possessive, and it matches any text from its first quotation mark on, so that no byte is read twice."""


def is_modest(text: bytes) -> bool:
    """Whether parsing ``text`` as JSON creates a bounded number of objects; the contents of strings do not count."""
    if _fits(text):
        return True
    return _fits(_STRING.sub(b"", text))


def _fits(text: bytes) -> bool:
    nested = text.count(b"[") + text.count(b"{") + text.count(b":")
    return nested <= NESTED and text.count(b",") <= ENTRIES
