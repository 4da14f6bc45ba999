"""What comes out of the sandbox is a claim: any bytes give a result or a named problem, in bounded time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.vocabulary import RunStatus
from tests.tools.testing.test_report import GOOD, IDS, KEY, event, finished, lines
from tools.testing.report.comparisons import HeardComparisons, Meter, PassedTestVerdict, standings, weigh
from tools.testing.report.events import BASIC, BESIDES, EVENT, is_modest
from tools.testing.report.verdict import judge
from tools.testing.report.watch import Watch
from tools.testing.warm import Frames

ENDED = {
    "code": 0, "signal": None, "timed_out": False, "flooded": False, "hung": "", "frames": [], "ms": 1, "head": "",
    "tail": "", "bytes": 0, "spent": "",
}  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
KINDS = sorted(BASIC.union(*BESIDES.values()))
NUMBERS = st.integers(-(2**70), 2**70) | st.sampled_from([0, -1, 10**400, 2**31])


def said(**changed: object) -> bytes:
    payload = json.dumps({**ENDED, **changed}).encode()
    return b"X%08x" % len(payload) + payload


def frames_of(data: bytes, *, report_bytes: int = 1_000) -> Frames:
    frames = Frames(report_bytes, 1_000)
    frames.take(data)
    return frames


@pytest.mark.parametrize(
    "header", [b"R-0000009", b"R+0000009", b"R0x00000a", b"R 0000009", b"R0000_001", b"R0000000A", b"R00000000"]
)
def test_a_length_is_eight_small_digits_and_no_other_number(header: bytes) -> None:
    assert frames_of(header + b"x" * 40).flaw


def test_frames_keep_no_more_than_they_were_given_room_for() -> None:
    assert frames_of(b"R00010001").flaw, "more at once than the process ever reads"
    assert frames_of(b"X7fffffff").flaw
    piece = b"R%08x" % 600 + b"x" * 600
    assert not frames_of(piece).flaw and frames_of(piece * 2).flaw
    assert frames_of(b"X%08x" % 400_000 + b"[" * 400_000).flaw
    frames = frames_of(b"R00000000")
    frames.take(b"x" * 1_000)
    assert len(frames._rest) < 100, "behind a flaw nothing is kept"


@pytest.mark.parametrize(
    "changed",
    [
        {"ms": 10**400}, {"ms": -1}, {"ms": "1"}, {"ms": 1.0}, {"bytes": 2**60}, {"code": 256}, {"code": -1},
        {"code": None}, {"signal": 9}, {"signal": 65, "code": None}, {"frames": [["a", 1, "f"]] * 201}, {"hung": None},
        {"timed_out": 1}, {"more": 1}, {"head": "\ud800"},
    ],
)  # fmt: skip
def test_the_end_of_a_run_has_one_form(changed: dict[str, object]) -> None:
    assert frames_of(said()).end is not None
    frames = frames_of(said(**changed))
    assert frames.flaw and frames.end is None


def test_frames_of_a_traceback_lie_in_the_repository() -> None:
    wrong = [["../x", 1, "f"], ["/etc/passwd", 1, "f"], [".git/config", 1, "f"], ["a//b", 1, "f"], ["a.py", 0, "f"]]
    wrong += [["a.py", 10**8, "f"], ["a\x1b[2J.py", 1, "f"], ["a.py", 1, "f\n"], ["", 1, "f"]]
    ended = frames_of(said(hung="t.py::a", frames=[*wrong, ["a/b.py", 3, "g"]])).ended()
    assert ended.hung is not None and [(f.path, f.line) for f in ended.hung.frames] == [("a/b.py", 3)]


@given(st.lists(st.binary(max_size=30) | st.dictionaries(st.sampled_from(sorted(ENDED)), JSON | NUMBERS).map(
    lambda changed: said(**changed)
)), st.integers(1, 50))  # fmt: skip
@settings(deadline=None)
def test_any_bytes_of_a_conversation_end_in_a_result_or_a_flaw(pieces: list[bytes], size: int) -> None:
    frames, data = Frames(1_000, 1_000), b"".join(pieces)
    for start in range(0, len(data), size):
        frames.take(data[start : start + size])
    if frames.end is not None and not frames.flaw:
        run = judge(frames.ended().finished, key=KEY, hung=frames.ended().hung)
        assert run.status is not RunStatus.GREEN and run.reason


LINES = st.builds(
    lambda kind, more: {"e": kind, **more},
    st.sampled_from(KINDS),
    st.dictionaries(
        st.sampled_from(["id", "ids", "missing", "files", "lines", "rows", "passed", "i", "ms", "frames", "out", "exit",
                         "more", "cut", "file", "bad", "changed", "name", "fits", "last", "collected", "results"]),
        JSON | NUMBERS | st.lists(st.tuples(st.text(max_size=3), NUMBERS)), max_size=8,
    ),
)  # fmt: skip


@given(st.lists(LINES | st.sampled_from(GOOD), max_size=8), st.binary(max_size=20), st.integers(0, 8))
@settings(deadline=None, max_examples=150)
def test_any_lines_are_a_verdict_with_a_reason(events: list[dict[str, object]], junk: bytes, at: int) -> None:
    text = lines(*events)
    for data in (text, text + junk, b"\n".join([*text.split(b"\n")[:at], junk])):
        run = judge(finished(data), key=KEY, watched=Watch(sources={"t.py": "def test_a():\n    assert a == b\n"}))
        assert run.reason or list(events) == list(GOOD)


@given(st.lists(JSON.map(json.dumps) | st.text(max_size=30) | st.builds(
    lambda op, a, b, c: json.dumps(["t.py", 1, op, a, b, c]),
    st.sampled_from(["==", "in", "count", "raises", "is", "<", "always", "same", "no such"]), JSON, JSON, JSON,
), max_size=4))  # fmt: skip
@settings(deadline=None, max_examples=200)
def test_any_rows_are_weighed(rows: list[str]) -> None:
    weigh(HeardComparisons(rows=tuple(rows), more=False, lines=frozenset()), [("t.py", 1, 2)])
    weigh(HeardComparisons(rows=tuple(rows), more=False, lines=frozenset()), ())


def covering(files: object) -> bytes:
    return lines(*GOOD[:-2], event("cover", id=IDS[0], files=files, cut=False), *GOOD[-2:])


def test_coverage_that_is_no_coverage_is_not_believed() -> None:
    for flat in ([1], [-1, 3], [5, 4], [1, 100_000] * 20_000, [1, 10**9], [1, 5, 5, 9], [-3, 2], [1, 10**400]):
        assert "cannot be believed" in judge(finished(covering({"calc.py": flat})), key=KEY).reason, flat


def test_more_coverage_than_is_kept_counts_as_cut() -> None:
    run = judge(finished(covering({f"{n}.py": [1, 9_000_000] for n in range(50)})), key=KEY)
    assert run.status is RunStatus.GREEN and run.cut == (IDS[0],) and not run.coverage


def test_what_was_not_asked_for_is_a_flaw() -> None:
    run = judge(finished(covering({"calc.py": [1, 2]})), key=KEY, told=BASIC)
    assert run.status is RunStatus.INCONCLUSIVE and "was not asked for (cover)" in run.reason


def row(operation: str, left: object, right: object, came: bool = True) -> str:
    return json.dumps(["t.py", 1, operation, left, right, came], separators=(",", ":"))


COLLIDING = [["i", hex((2**61 - 1) * n)] for n in range(1, 900)]


@pytest.mark.parametrize(
    "text",
    [
        row("count", ["l", [["l", [n]] for n in range(1_000)]], ["l", [["l", [n]] for n in range(999, -1, -1)]]),
        row("==", ["S", COLLIDING[:400]], ["S", COLLIDING[:400]]),
        row("count", ["l", COLLIDING[:400]], ["l", COLLIDING[399::-1]]),
        row("==", ["d", [[key, 1] for key in COLLIDING[:700]]], None, came=False),
    ],
)
def test_comparing_ends_however_it_was_chosen(text: str) -> None:
    """Far more rows than there are steps for."""
    heard = {f"t.py::{n}": HeardComparisons(rows=(text,) * 10, more=False, lines=frozenset()) for n in range(100)}
    began = time.thread_time()
    found = standings([*heard], heard, {}, {})
    assert time.thread_time() - began < 30
    assert not any(each.wrong for each in found.values())
    assert "more than is compared by another process" in list(found.values())[-1].unsure


def test_what_honest_tests_compare_costs_a_small_part_of_it() -> None:
    numbers = ["l", list(range(1_900))]
    meter, rows = Meter(), tuple(row(operation, numbers, numbers) for operation in ("==", "count", "same"))
    for _ in range(100):
        assert weigh(HeardComparisons(rows=rows, more=False, lines=frozenset()), (), meter) == PassedTestVerdict()


def test_a_row_is_bounded_in_length_and_depth() -> None:
    bottomless = f'["t.py",1,"==",{"[" * 9_000}{"]" * 9_000},1,true]'
    for text in (row("==", ["l", list(range(150_000))], 1), row("==", "x" * 30_000, ""), "[" * 20_000, bottomless):
        assert weigh(HeardComparisons(rows=(text,), more=False, lines=frozenset()), ()).wrong
    deep: object = 1
    for _ in range(200):
        deep = ["l", [deep]]
    for text in (row("==", deep, ["?", "X", 2]), row("==", ["<", "X", 2, deep], deep)):
        found = weigh(HeardComparisons(rows=(text,), more=False, lines=frozenset()), ())
        assert found.wrong or found.unsure


BOMBS: dict[str, Callable[[], bytes]] = {
    "empty lines": lambda: b"\n" * 60_000_000,
    "lists in a list": lambda: b'{"e":"collected","k":"k1","n":0,"missing":[],"ids":[' + b"[]," * 20_000_000 + b"1]}\n",
    "wrong entries": lambda: b'{"e":"collected","k":"k1","n":0,"missing":[],"ids":[' + b"1," * 15_000_000 + b"1]}\n",
    "fields": lambda: b'{"e":"cover","k":"k1","n":0,"id":"","cut":false,"files":{'
    + b",".join(b'"%x":1' % n for n in range(3_000_000)) + b"}}\n",
    "lines": lambda: lines(*(event("cover", id=str(n), files={"a": [1, 900_000]}, cut=False) for n in range(1_000))),
    "frames": lambda: lines(*(
        event("result", id="a", out="failed", ms=1, exc="", message="", detail="", frames=[["a", 1, "f"]] * 200)
        for _ in range(6_000)
    )),
    "ids": lambda: lines(event("collected", ids=[f"{n:x}" for n in range(1_900_000)], missing=[]), *(
        event("collected", ids=[f"{n:x}" for n in range(100_000)], missing=[]) for _ in range(50)
    )),
    "missing and broken": lambda: lines(
        *(event("collect_error", id=str(n), exc="", message="", detail="", frames=[]) for n in range(50_000)),
        event("collected", ids=[], missing=[f"{n}/x" for n in range(300_000)]),
    ),
    "quotes": lambda: b'"' + b'\\"' * 30_000_000 + b"\n",
}  # fmt: skip
MOST = 1_500


@pytest.mark.parametrize("name", BOMBS)
def test_a_report_as_large_as_any_is_read_within_bounds(name: str) -> None:
    """In a process that gets no more memory than is allowed for it."""
    code = (
        "import resource, sys, time; from tests.tools.testing.test_claims import *\n"
        f"data = BOMBS[{name!r}](); assert len(data) <= 64 << 20, len(data)\n"
        f"resource.setrlimit(resource.RLIMIT_DATA, ({MOST << 20}, {MOST << 20}))\n"
        "began = time.process_time(); run = judge(finished(data), key=KEY)\n"
        "print(run.status, time.process_time() - began, run.reason[:200])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2_000:]
    assert float(done.stdout.split()[1]) < 30, done.stdout


def test_strings_hold_nothing_for_a_parser() -> None:
    inside = json.dumps({"e": "x", "text": '[{:,"\\' * 200_000}).encode()
    assert is_modest(inside) and not is_modest(b'"x"' + b"[" * 100_001) and not is_modest(b'["\\"",' + b"{" * 100_001)
    assert is_modest(b'"\\' * 1_000) and EVENT is not None
