"""What result files say, and what is none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.performance.measurements import Better, Measurement, UnreadableMeasurements, format_value, measurements

A, B = "a" * 40, "b" * 40


def test_pytest_benchmark() -> None:
    stats = {"min": 0.1, "max": 9.0, "mean": 1.0, "stddev": 0.2, "rounds": 5, "median": 0.25, "ops": 4}
    told = {
        "machine_info": {"node": "box"},
        "commit_info": {"id": A, "time": "2026-01-05T12:00:00+00:00", "dirty": True, "branch": "main"},
        "benchmarks": [{"group": None, "name": "test_x", "fullname": "tests/bench.py::test_x", "stats": stats}],
        "datetime": "2026-01-05T12:00:00.000000+00:00", "version": "5.1.0",
    }  # fmt: skip
    expected = Measurement(name="tests/bench.py::test_x", value=0.25, unit="s", commit=A, dirty=True)
    assert measurements(json.dumps(told).encode()) == (expected,)


def test_a_plain_object() -> None:
    told = {"parse": 0.5, "through": {"value": 12, "unit": "MB/s", "direction": "higher"}}
    assert measurements(json.dumps(told, indent=2).encode()) == (
        Measurement(name="parse", value=0.5),
        Measurement(name="through", value=12, unit="MB/s", better=Better.HIGHER),
    )


def test_lines_of_which_the_last_of_a_name_and_commit_counts() -> None:
    rows = [("x", 1, A), ("y", 2, ""), ("x", 3, B), ("y", 4, ""), ("x", 5, A)]
    told = "\n\n".join(json.dumps({"name": n, "value": v, "commit": c}) for n, v, c in rows)
    assert [(m.name, m.value, m.commit) for m in measurements(told.encode())] == [
        ("x", 3, B),
        ("y", 4, ""),
        ("x", 5, A),
    ]
    (one,) = measurements(b'{"name": "x", "value": 7, "unit": "s"}\n')
    assert (one.name, one.value, one.unit) == ("x", 7, "s")


@pytest.mark.parametrize(
    ("told", "why"),
    [
        (b"", "names no metric"),
        (b"{}", "names no metric"),
        (b"[1]", "neither an object"),
        (b'{"a": 1', "line 1 is not JSON"),
        (b"\xff", "not UTF-8"),
        (b'{"a": NaN}', "line 1 is not JSON"),
        (b'{"a": 1e999}', "no finite number"),
        (b'{"a": true}', "no finite number"),
        (b'{"a": "1"}', "no finite number"),
        (b'{"a": null}', "no finite number"),
        (b'{"a\\n": 1}', "printable"),
        (b'{"a": {"value": 1, "direction": "up"}}', "neither"),
        (b'{"a": {"value": 1, "unit": 3}}', "unit is no text"),
        (b'{"a": {"value": 1, "commit": "HEAD; rm"}}', "not a full hexadecimal"),
        (b'{"benchmarks": {}}', "no list"),
        (b'{"benchmarks": [{"name": "x"}]}', "no stats"),
        (b'{"name": "x", "value": 1}\n[]', "line 2"),
        (b"[" * 100_000, "nested"),
        (json.dumps({str(n): n for n in range(1_001)}).encode(), "more than 1000"),
    ],
)
def test_what_is_no_result(told: bytes, why: str) -> None:
    with pytest.raises(UnreadableMeasurements, match=why):
        measurements(told)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_whatever_is_written_is_read_or_refused(data: bytes) -> None:
    try:
        found = measurements(data)
    except UnreadableMeasurements:
        return
    assert found and all(each.name.isprintable() for each in found)


@given(
    st.dictionaries(
        st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=20),
        st.floats(-1e9, 1e9),
        min_size=1,
        max_size=8,
    )
)
def test_what_was_written_is_what_is_read(told: dict[str, float]) -> None:
    if {"name", "value"} <= set(told) or "benchmarks" in told:
        return
    assert {m.name: m.value for m in measurements(json.dumps(told).encode())} == told


def test_as_a_person_reads_it() -> None:
    assert (format_value(0.123456, "s"), format_value(12, ""), format_value(1e-9, "s")) == ("0.1235 s", "12", "1e-09 s")
