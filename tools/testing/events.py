"""The lines of a test report, as ``_ouro_pytest_plugin.py`` and the plugins beside it write them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from ledger.vocabulary import Frozen, Outcome

ANSWERS = 1_000
"""More than a probe ever gives."""
ROWS = 1_000
"""More comparisons than are ever told of one test."""
CHANGES, TESTS = 10_000, 10_000
"""More than are ever screened at once."""
ENTERED = 10_000
"""More functions than are ever looked for."""
Said = Annotated[str, Field(max_length=600)]


class Line(Frozen):
    k: str
    n: int


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
    frames: tuple[tuple[str, int, str], ...]


class Collected(Line):
    e: Literal["collected"]
    ids: tuple[str, ...]
    missing: tuple[str, ...]


class Running(Line):
    e: Literal["running"]
    id: str


class Result(Line):
    e: Literal["result"]
    id: str
    out: Outcome
    ms: int
    exc: str
    message: str
    detail: str
    frames: tuple[tuple[str, int, str], ...]


class Cover(Line):
    e: Literal["cover"]
    id: str
    files: dict[str, tuple[int, ...]]
    cut: bool


class Probe(Line):
    e: Literal["probe"]
    rows: Annotated[tuple[tuple[Said, Said, Said], ...], Field(max_length=64)]


class Screened(Line):
    e: Literal["screened"]
    i: Annotated[int, Field(ge=0)]
    passed: Annotated[tuple[int, ...], Field(max_length=TESTS)]


class Instrumented(Line):
    e: Literal["instrumented"]
    file: str
    lines: tuple[int, ...]


class Compared(Line):
    e: Literal["compared"]
    id: str
    rows: Annotated[tuple[str, ...], Field(max_length=ROWS)]
    more: bool
    lines: tuple[tuple[str, int], ...]


class Sentinel(Line):
    e: Literal["sentinel"]
    name: str
    out: str
    fits: bool
    last: bool


class Guarded(Line):
    e: Literal["guarded"]
    changed: Annotated[tuple[tuple[Said, Said], ...], Field(max_length=64)]


class Entered(Line):
    e: Literal["entered"]
    files: Annotated[tuple[str, ...], Field(max_length=ENTERED)]
    functions: Annotated[tuple[tuple[str, int, str], ...], Field(max_length=ENTERED)]
    cut: bool


class Internal(Line):
    e: Literal["internal"]
    message: str


class Modules(Line):
    e: Literal["modules"]
    bad: tuple[tuple[str, str], ...]


class End(Line):
    e: Literal["end"]
    exit: int
    collected: int
    results: int


Event = (
    Start | CollectError | Collected | Running | Result | Cover | Probe | Screened | Instrumented | Compared
    | Sentinel | Guarded | Entered | Internal | Modules | End
)  # fmt: skip
EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="e")])
