"""The judge of reports: nothing that is not whole is believed."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.vocabulary import Outcome, RunStatus, TestRun
from tools.process import Finished
from tools.testing import no_sockets
from tools.testing.report.verdict import judge
from tools.testing.warm import Hung

KEY = "k1"
IDS = ("t.py::a", "t.py::b")


def event(e: str, **fields: object) -> dict[str, object]:
    return {"e": e, **fields}


def result(test: str, out: str = "passed") -> dict[str, object]:
    return event("result", id=test, out=out, ms=1, exc="", message="", detail="", frames=[])


START = event("start", python=[3, 11], pytest="8", prefix="/p")
COLLECTED = event("collected", ids=list(IDS), missing=[])
CLEAN = event("modules", bad=[])


def end(code: int = 0, collected: int = 2, results: int = 2) -> dict[str, object]:
    return event("end", exit=code, collected=collected, results=results)


GOOD = (START, COLLECTED, *(event("running", id=i) for i in IDS), result(IDS[0]), result(IDS[1]), CLEAN, end())


def lines(*events: dict[str, object]) -> bytes:
    return b"".join(json.dumps({**e, "k": KEY, "n": n}).encode() + b"\n" for n, e in enumerate(events))


def finished(report: bytes, code: int | None = 0, output: bytes = b"") -> Finished:
    return Finished(
        code=code, signal=None if code is not None else 9, output=output, cut_bytes=0, timed_out=False, flooded=False,
        duration_ms=10, report=report,
    )  # fmt: skip


def test_a_whole_report_is_green() -> None:
    run = judge(finished(lines(*GOOD)), key=KEY, expected=IDS)
    assert (run.status, run.reason, run.collected) == (RunStatus.GREEN, "", IDS)


def test_red_needs_the_exit_status_that_goes_with_it() -> None:
    red = (*GOOD[:-3], result(IDS[1], "failed"), CLEAN)
    run = judge(finished(lines(*red, end(1)), 1), key=KEY)
    assert (run.status, run.reason) == (RunStatus.RED, "1 of 2 tests failed.")
    assert judge(finished(lines(*red, end(0)), 0), key=KEY).status is RunStatus.INCONCLUSIVE
    assert judge(finished(lines(*GOOD[:-1], end(1)), 1), key=KEY).status is RunStatus.INCONCLUSIVE


@pytest.mark.parametrize(
    ("events", "code", "word"),
    [
        (GOOD[:-1], 0, "before its report was whole"),
        (GOOD, 1, "exit status 1"),
        (GOOD, None, "signal 9"),
        ((*GOOD, end()), 0, "goes on after its end"),
        ((*GOOD[:-3], *GOOD[-2:]), 0, "counts do not match"),
        ((*GOOD[:-3], CLEAN, end(results=1)), 0, "have no result: t.py::b"),
        ((*GOOD[:-3], result("t.py::c"), *GOOD[-2:]), 0, "have no result"),
        ((*GOOD[:-2], event("modules", bad=[["shop", "/x/shop.py"]]), end()), 0, "imported shop from /x/shop.py"),
        ((START, event("collected", ids=list(IDS), missing=["t.py::z"]), *GOOD[2:]), 0, "not collected: t.py::z"),
        ((START, event("collected", ids=[], missing=[]), CLEAN, end(5, 0, 0)), 5, "No test was collected"),
        ((START, COLLECTED, event("internal", message="boom"), CLEAN, end(3, 2, 0)), 3, "internal error: boom"),
    ],
)
def test_what_is_not_whole_is_inconclusive(events: tuple[dict[str, object], ...], code: int | None, word: str) -> None:
    run = judge(finished(lines(*events), code), key=KEY)
    assert run.status is RunStatus.INCONCLUSIVE
    assert word in run.reason


def test_expected_ids_must_be_there() -> None:
    run = judge(finished(lines(*GOOD)), key=KEY, expected=(*IDS, "t.py::c"))
    assert run.status is RunStatus.INCONCLUSIVE and "t.py::c" in run.reason


def stopped_at(test: str, *events: dict[str, object], expected: tuple[str, ...] = ()) -> TestRun:
    cut = replace(finished(lines(*events)), timed_out=True, code=None, signal=9)
    return judge(cut, key=KEY, expected=expected, hung=Hung(test, ()))


def test_a_test_that_hangs_hides_none_that_are_gone() -> None:
    until = (*GOOD[:2], event("running", id=IDS[0]))
    run = stopped_at(IDS[0], *until, expected=IDS)
    assert (run.status, run.reason) == (RunStatus.RED, "t.py::a was stopped at its time limit.")
    gone = (START, event("collected", ids=list(IDS), missing=["t.py::z"]), until[-1])
    for run in (stopped_at(IDS[0], *until, expected=(*IDS, "t.py::z")), stopped_at(IDS[0], *gone)):
        assert run.status is RunStatus.INCONCLUSIVE and run.reason.endswith("not collected: t.py::z.")
        assert [r.id for r in run.red] == [IDS[0]]
    broken = event("collect_error", id="u.py", exc="SyntaxError", message="m", detail="", frames=[])
    run = stopped_at(IDS[0], START, broken, *until[1:], expected=("u.py::x",))
    assert run.status is RunStatus.RED, "why it is absent is said"


def test_a_broken_file_explains_its_absent_tests_and_no_others() -> None:
    broken = event(
        "collect_error", id="u.py", exc="SyntaxError", message="m", detail="", frames=[["u.py", 3, "<module>"]]
    )
    report = lines(START, broken, *GOOD[1:-1], end(1))
    run = judge(finished(report, 1), key=KEY, expected=("u.py::x",))
    assert run.status is RunStatus.RED and run.red[0].id == "u.py" and run.red[0].outcome is Outcome.ERROR
    assert judge(finished(report, 1), key=KEY, expected=("v.py::x",)).status is RunStatus.INCONCLUSIVE


def test_time_out_start_failure_flood_and_usage() -> None:
    cut = finished(lines(*GOOD[:3]))
    run = judge(replace(cut, timed_out=True, code=None, signal=9), key=KEY)
    assert run.status is RunStatus.TIMEOUT and "t.py::a" in run.reason
    run = judge(finished(b"", 1, b"Traceback\nNo module named pytest\n"), key=KEY)
    assert run.status is RunStatus.INFRA and "No module named pytest" in run.reason
    assert judge(replace(cut, flooded=True), key=KEY).status is RunStatus.INCONCLUSIVE
    run = judge(finished(lines(START, CLEAN, end(4, 0, 0)), 4, b"ERROR: bad option --x\nrootdir: /r\n"), key=KEY)
    assert run.status is RunStatus.INFRA and "--x" in run.reason


def test_a_test_that_was_collected_twice_is_as_good_as_its_worse_run() -> None:
    twice = event("collected", ids=[IDS[0], IDS[0]], missing=[])
    run = judge(finished(lines(START, twice, result(IDS[0], "failed"), result(IDS[0]), CLEAN, end(1)), 1), key=KEY)
    assert run.status is RunStatus.RED and [r.outcome for r in run.results] == [Outcome.FAILED]


def test_the_last_of_several_attempts_counts() -> None:
    again = (*GOOD[:-3], result(IDS[1], "failed"), event("running", id=IDS[1]), result(IDS[1]), CLEAN)
    assert judge(finished(lines(*again, end(0, 2, 3))), key=KEY).status is RunStatus.GREEN
    foreign = (*GOOD[:-2], result("t.py::x"), CLEAN)
    assert judge(finished(lines(*foreign, end(0, 2, 3))), key=KEY).status is RunStatus.INCONCLUSIVE


def test_a_socket_that_is_not_there_is_explained() -> None:
    asked = {**result(IDS[0], "failed"), "message": "OSError: [Errno 97] Address family not supported by protocol"}
    run = judge(finished(lines(*GOOD[:-4], asked, *GOOD[-3:-1], end(1)), 1), key=KEY)
    assert "tests.readable" in no_sockets.with_reason(run).reason
    other = judge(finished(lines(*GOOD[:-4], result(IDS[0], "failed"), *GOOD[-3:-1], end(1)), 1), key=KEY)
    assert run.status is RunStatus.RED and no_sockets.with_reason(other) == other


def test_coverage_and_output() -> None:
    cover = event("cover", id=IDS[0], files={"a.py": [1, 3, 7, 7]}, cut=False)
    run = judge(finished(lines(*GOOD[:-2], cover, *GOOD[-2:]), output=b"x" * 5_000), key=KEY, output_chars=1_000)
    assert run.coverage == {IDS[0]: {"a.py": (1, 2, 3, 7)}}
    assert len(run.output) < 1_100 and "4000 characters left out" in run.output


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_no_damage_turns_a_report_green(data: st.DataObject) -> None:
    """Cut, drop, repeat or alter anything: what is not the whole report is never GREEN nor RED."""
    whole = lines(*GOOD)
    rows = whole.splitlines(keepends=True)
    at = data.draw(st.integers(0, len(rows) - 1))
    kind = data.draw(st.sampled_from(["cut", "drop", "repeat", "swap", "key", "insert"]))
    if kind == "cut":
        damaged = whole[: data.draw(st.integers(0, len(whole) - 1))]
    elif kind == "drop":
        damaged = b"".join(rows[:at] + rows[at + 1 :])
    elif kind == "repeat":
        damaged = b"".join(rows[: at + 1] + rows[at:])
    elif kind == "swap":
        other = (at + 1) % len(rows)
        rows[at], rows[other] = rows[other], rows[at]
        damaged = b"".join(rows)
    elif kind == "key":
        damaged = b"".join([*rows[:at], rows[at].replace(KEY.encode(), b"k2"), *rows[at + 1 :]])
    else:
        damaged = b"".join([*rows[:at], data.draw(st.binary(max_size=20)) + b"\n", *rows[at:]])
    assert judge(finished(damaged), key=KEY).status in (RunStatus.INCONCLUSIVE, RunStatus.INFRA)
