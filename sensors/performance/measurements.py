"""Parses a benchmark's result file: pytest-benchmark's JSON, plain JSON, or JSON Lines (docs/formats.md). Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any

from ledger.parsers.json import read_json
from ledger.vocabulary import Frozen

MOST_METRICS = 1_000
NAME_CHARS, UNIT_CHARS = 200, 20
LARGEST = 1e300  # differences and multiples of what is measured stay finite


class Better(StrEnum):
    LOWER = "lower"
    HIGHER = "higher"


class Measurement(Frozen):
    """One value of one metric. ``commit``: the measured one by the file; empty when it names none."""

    name: str
    value: float
    unit: str = ""
    better: Better = Better.LOWER
    commit: str = ""
    dirty: bool = False  # measured with uncommitted edits, as the file says itself


class UnreadableMeasurements(ValueError):
    """The file is not a benchmark result; the text gives the reason."""


def measurements(data: bytes) -> tuple[Measurement, ...]:
    """Every metric that the file names; of a name and commit that occur twice, the last. Raises `Unreadable`."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnreadableMeasurements("it is not UTF-8") from error
    found: dict[tuple[str, str], Measurement] = {}
    for each in _read(text):
        found.pop((each.name, each.commit), None)
        found[each.name, each.commit] = each
        if len(found) > MOST_METRICS:
            raise UnreadableMeasurements(f"it names more than {MOST_METRICS} metrics")
    if not found:
        raise UnreadableMeasurements("it names no metric")
    return tuple(found.values())


def _read(text: str) -> Iterator[Measurement]:
    try:
        whole = read_json(text)
    except ValueError:
        yield from _lines(text)
        return
    if not isinstance(whole, dict):
        raise UnreadableMeasurements("it is neither an object nor lines of objects")
    if "benchmarks" in whole:
        yield from _pytest_benchmark(whole)
    elif "name" in whole and "value" in whole:  # JSON Lines of one line
        yield _one(_text(whole, "name"), whole)
    else:
        for name, said in whole.items():
            yield _one(name, said if isinstance(said, dict) else {"value": said})


def _lines(text: str) -> Iterator[Measurement]:
    for number, line in enumerate(text.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            said = read_json(line)
        except ValueError as error:
            raise UnreadableMeasurements(f"line {number} is not JSON: {error}") from error
        if not isinstance(said, dict):
            raise UnreadableMeasurements(f"line {number} is not an object")
        yield _one(_text(said, "name"), said)


def _pytest_benchmark(whole: Mapping[str, Any]) -> Iterator[Measurement]:
    """The median of each: one slow round proves nothing."""
    info = whole.get("commit_info")
    info = info if isinstance(info, dict) else {}
    commit = info.get("id") if isinstance(info.get("id"), str) else ""
    listed = whole["benchmarks"]
    if not isinstance(listed, list):
        raise UnreadableMeasurements("its benchmarks are no list")
    for each in listed:
        stats = each.get("stats") if isinstance(each, dict) else None
        if not isinstance(stats, dict):
            raise UnreadableMeasurements("a benchmark has no stats")
        name = each.get("fullname") or each.get("name")
        if not isinstance(name, str):
            raise UnreadableMeasurements("a benchmark has no name")
        said = {"value": stats.get("median"), "unit": "s", "commit": commit, "dirty": info.get("dirty") is True}
        yield _one(name, said)


def _one(name: str, said: Mapping[str, Any]) -> Measurement:
    if not name.isprintable() or not 0 < len(name) <= NAME_CHARS:
        raise UnreadableMeasurements(f"a metric's name is not 1 to {NAME_CHARS} printable characters")
    value = said.get("value")
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise UnreadableMeasurements(f"{name!r} has no finite number as its value")
    unit, commit = _text(said, "unit", ""), _text(said, "commit", "")
    if not unit.isprintable() or len(unit) > UNIT_CHARS:
        raise UnreadableMeasurements(f"the unit of {name!r} is not up to {UNIT_CHARS} printable characters")
    if commit and (len(commit) > 64 or not set(commit) <= set("0123456789abcdef")):
        raise UnreadableMeasurements(f"the commit of {name!r} is not a full hexadecimal name")
    better = _text(said, "direction", Better.LOWER.value)
    if better not in list(Better):
        raise UnreadableMeasurements(f'the direction of {name!r} is neither "lower" nor "higher"')
    dirty = said.get("dirty") is True
    return Measurement(name=name, value=float(value), unit=unit, better=Better(better), commit=commit, dirty=dirty)


def _text(said: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = said.get(key, default)
    if not isinstance(value, str):
        raise UnreadableMeasurements(f"a metric's {key} is no text")
    return value


def format_value(value: float, unit: str) -> str:
    """As a person reads it."""
    digits = f"{value:.4g}" if math.isfinite(value) else str(value)
    return f"{digits} {unit}".rstrip()
