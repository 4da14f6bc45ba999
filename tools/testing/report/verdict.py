"""From a finished test process to a ``TestRun``. Pure.

The code under test runs in the process that writes the report, so the report is untrusted. It is accepted when every
line has the run's key and its own number, the end record is the last line and has the process's exit status, every
collected id has a result, and all expected ids are there. Anything else is INCONCLUSIVE.
"""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ledger.vocabulary import Outcome, ProbeAnswer, RunCoverage, RunStatus, TestResult, TestRun
from tools.process import Finished
from tools.testing.report.comparisons import HeardComparisons, PassedTestVerdict, standings
from tools.testing.report.events import (
    ANSWERS,
    CHANGES,
    EVERYTHING,
    LAST_LINE,
    Collected,
    CollectError,
    ComparedLine,
    Cover,
    EndLine,
    Entered,
    Event,
    Guarded,
    Instrumented,
    Internal,
    Modules,
    Probe,
    ResultLine,
    Running,
    Screened,
    Sentinel,
    Start,
    parse_event,
)
from tools.testing.report.watch import UNWATCHED, Watch
from tools.testing.warm import Hung, frames_of

IMPORT_TIME = ""  # the coverage key of lines that ran while test modules were imported
TIME_LIMIT = "TimeLimit"
"""The exception name of a test that was stopped."""
ROOM = 10_000_000
"""Limit of what is kept of one report, in numbers; other values count as several."""
RESULT, FRAME, COVERED, COMPARED, ID = 16, 12, 10, 4, 3
_SHOWN = 3
_USAGE, _INTERNAL = 4, 3  # pytest's exit statuses


@dataclass(slots=True)
class _Report:
    """The parsed report, and its first ``flaw``. ``room``: how much more of it can be kept."""

    flaw: str = ""
    room: int = ROOM
    start: Start | None = None
    end: EndLine | None = None
    collected: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    strays: tuple[tuple[str, str], ...] = ()
    internal: str = ""
    running: str = ""
    broken: list[TestResult] = field(default_factory=list)
    results: list[TestResult] = field(default_factory=list)
    coverage: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    cut: list[str] = field(default_factory=list)
    answers: list[ProbeAnswer] = field(default_factory=list)
    screened: dict[int, frozenset[str]] = field(default_factory=dict)
    instrumented: dict[str, tuple[int, ...]] = field(default_factory=dict)
    heard: dict[str, HeardComparisons] = field(default_factory=dict)
    sentinels: list[Sentinel] = field(default_factory=list)
    guarded: Guarded | None = None
    entered: Entered | None = None

    def take(self, event: Event) -> str:
        """Keep one event; returns a clause if it is invalid."""
        if isinstance(event, Cover):
            return self._cover(event)
        self.room -= _room(event)
        if self.room < 0:
            return "tells more than is kept of a report"
        match event:
            case Start():
                self.start = event
            case CollectError():
                self.broken.append(_result(event, Outcome.ERROR, 0))
            case Collected():
                self.collected, self.missing = event.ids, event.missing
            case Running():
                self.running = event.id
            case ResultLine():
                self.running = ""
                self.results.append(_result(event, event.out, event.ms))
            case Probe() if len(self.answers) < ANSWERS:
                self.answers += [ProbeAnswer(key=k, asked=_line_of(a), said=_line_of(b)) for k, a, b in event.rows]
            case Screened() if event.i < CHANGES:
                count = len(self.collected)
                self.screened[event.i] = frozenset(self.collected[at] for at in event.passed if at < count)
            case Instrumented():
                self.instrumented.setdefault(event.file, event.lines)
            case ComparedLine():
                self.heard[event.id] = HeardComparisons(rows=event.rows, more=event.more, lines=frozenset(event.lines))
            case Sentinel():
                self.sentinels.append(event)
            case Guarded():
                self.guarded = event
            case Entered():
                self.entered = event
            case Internal():
                self.internal = event.message
            case Modules():
                self.strays = event.bad
            case EndLine():
                self.end = event
        return ""

    def _cover(self, event: Cover) -> str:
        """Keep the coverage of one test. When there is no room left, the test counts as cut."""
        if not all(_are_ranges(flat) for flat in event.files.values()):
            return "names no lines of a file"
        room = _room(event)
        if room > self.room:
            self.room -= 1
            self.cut.append(event.id)
            return "" if self.room >= 0 else "tells more than is kept of a report"
        self.room -= room
        self.coverage[event.id] = {path: tuple(_lines(flat)) for path, flat in sorted(event.files.items())}
        self.cut += [event.id] if event.cut else []
        return ""


def _room(event: Event) -> int:
    """How much of :data:`ROOM` an event takes, at most."""
    match event:
        case ResultLine() | CollectError():
            return RESULT + FRAME * len(event.frames)
        case Collected():
            return ID * (len(event.ids) + len(event.missing))
        case Cover():
            covered = sum(max(0, last - first + 1) for flat in event.files.values() for first, last in _pairs(flat))
            return COVERED * (1 + len(event.files)) + covered
        case ComparedLine():
            return RESULT + COMPARED * (len(event.rows) + len(event.lines))
        case Screened():
            return RESULT + COMPARED * len(event.passed)
        case Instrumented():
            return RESULT + len(event.lines)
        case Sentinel() | Guarded():
            return RESULT
        case Entered():
            return RESULT + FRAME * (len(event.files) + len(event.functions))
    return 1


def _result(event: CollectError | ResultLine, outcome: Outcome, ms: int) -> TestResult:
    return TestResult(
        id=event.id,
        outcome=outcome,
        duration_ms=ms,
        exception=event.exc,
        message=event.message,
        detail=event.detail,
        frames=frames_of(event.frames),
    )


def _pairs(flat: Sequence[int]) -> Iterator[tuple[int, int]]:
    return zip(flat[::2], flat[1::2], strict=False)


def _are_ranges(flat: Sequence[int]) -> bool:
    """Whether these are first and last lines of ascending ranges, so that their sum is the number of lines.

    An empty module begins in line 0, from Python 3.12 on.
    """
    if len(flat) % 2 or (flat and not (flat[0] >= 0 and flat[-1] <= LAST_LINE)):
        return False
    pairs = list(_pairs(flat))
    return all(first <= last for first, last in pairs) and all(a[1] < b[0] for a, b in pairwise(pairs))


def _lines(flat: Sequence[int]) -> Iterator[int]:
    return (line for first, last in _pairs(flat) for line in range(first, last + 1))


def _line_of(text: str) -> str:
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def _read(data: bytes, key: str, told: Collection[str]) -> _Report:
    report = _Report()
    number = begin = 0
    while (end := data.find(b"\n", begin)) >= 0:
        event = parse_event(data[begin:end])
        begin, number = end + 1, number + 1
        if event is None:
            wrong = "is not one that the reporter writes"
        elif event.k != key or event.n != number - 1:
            wrong = "was not written by the reporter"
        elif event.e not in told:
            wrong = f"tells what was not asked for ({event.e})"
        elif report.end is not None:
            report.flaw = "the report goes on after its end record"
            return report
        else:
            wrong = report.take(event)
        if wrong:
            report.flaw = f"line {number} of the report {wrong}"
            return report
    if begin < len(data):
        report.flaw = "the report is torn"
    return report


def judge(
    finished: Finished,
    *,
    key: str,
    expected: Collection[str] = (),
    output_chars: int = 20_000,
    hung: Hung | None = None,
    watched: Watch = UNWATCHED,
    told: Collection[str] = EVERYTHING,
) -> TestRun:
    """The verdict on one finished test process.

    ``told``: the kinds of events that the run may report. ``expected`` ids must have been collected. RED and GREEN are
    given only for an accepted report. ``hung`` is the test at which the process was stopped: that test is red, and
    those after it have no result (see :func:`join_runs`).
    """
    report = _read(finished.report, key, told)
    output = _clip(finished.output.decode("utf-8", errors="replace"), output_chars)
    if hung is not None and not report.flaw and hung.id in report.collected:
        report.results.append(_stopped(hung, finished))
        status, reason = _lost(report, expected) or (RunStatus.RED, f"{hung.id} was stopped at its time limit.")
    else:
        status, reason = _verdict(finished, report, output, expected)
    weighed = _weighed(report, watched)
    if status in (RunStatus.GREEN, RunStatus.RED):
        spoilt = _spoilt(report, watched, over=hung is None) or _contradicted(weighed)
        status, reason = (RunStatus.INCONCLUSIVE, spoilt) if spoilt else (status, reason)
    return TestRun(
        status=status,
        reason=reason,
        collected=tuple(dict.fromkeys(report.collected)),
        results=(*report.broken, *_merged(report)),
        duration_ms=finished.duration_ms,
        output=output,
        coverage=report.coverage,
        answers=tuple(report.answers),
        screened={} if report.flaw else report.screened,
        cut=tuple(report.cut),
        unsure={test: each.unsure for test, each in weighed.items() if each.unsure},
        doubted={test: each.doubt for test, each in weighed.items() if each.doubt},
        seen=_seen(report),
    )


def _seen(report: _Report) -> RunCoverage | None:
    """Observed files and functions that the tests loaded or entered; None without observation."""
    event = report.entered
    if event is None or report.flaw:
        return None
    return RunCoverage(files=frozenset(event.files), functions=frozenset(event.functions), cut=event.cut)


def _weighed(report: _Report, watched: Watch) -> dict[str, PassedTestVerdict]:
    """The repeated comparisons of passed tests, by test; empty where they were not requested."""
    if not watched.sources or report.flaw:
        return {}
    passed = [result.id for result in _merged(report) if result.outcome is Outcome.PASSED]
    return standings(passed, report.heard, report.instrumented, watched.sources)


def _contradicted(weighed: Mapping[str, PassedTestVerdict]) -> str:
    wrong = next(((test, each.wrong) for test, each in weighed.items() if each.wrong), None)
    return f"{wrong[0]} is said to have passed, but {wrong[1]}." if wrong else ""


def _spoilt(report: _Report, watched: Watch, *, over: bool) -> str:
    """Why the test machinery cannot be trusted; empty where it can. ``over``: the run was not stopped."""
    if not watched.sentinels:
        return ""
    passed = next((s for s in report.sentinels if s.out == "passed" or (s.out == "failed" and not s.fits)), None)
    if passed is not None:
        return "Tests pass that cannot: one of our own that has to fail did not, so something here makes tests pass."
    changed = report.guarded.changed if report.guarded is not None else ()
    if changed:
        what, where = changed[0]
        more = f", and {len(changed) - 1} more" if len(changed) > 1 else ""
        by = f" ({where})" if where else ""
        return f"The tests or the program have changed what gives the verdict: {what}{by}{more}."
    if not over or not report.results:
        return ""
    failed = {s.name for s in report.sentinels if s.out == "failed"}
    if failed != watched.sentinels or not any(s.last for s in report.sentinels) or report.guarded is None:
        return "The sentinel tests, which show whether failures are reported, have not run."
    return ""


def join_runs(first: TestRun, rest: TestRun) -> TestRun:
    """One run made of two: ``first`` ended at a test that was stopped, ``rest`` ran the tests after it."""
    results = (*first.results, *rest.results)
    status, reason = rest.status, rest.reason
    if rest.status in (RunStatus.GREEN, RunStatus.RED):
        status = RunStatus.RED
        reason = f"{sum(r.outcome.red for r in results)} of {len(results)} tests failed."
    return TestRun(
        status=status,
        reason=reason,
        collected=first.collected,
        results=results,
        duration_ms=first.duration_ms + rest.duration_ms,
        output=f"{first.output}\n{rest.output}",
        coverage={**first.coverage, **rest.coverage},
        answers=first.answers + rest.answers,
        cut=first.cut + rest.cut,
        unsure={**first.unsure, **rest.unsure},
        doubted={**first.doubted, **rest.doubted},
        seen=rest.seen,
    )


def _stopped(hung: Hung, finished: Finished) -> TestResult:
    where = "".join(f"\n{f.path}:{f.line}: in {f.function}" for f in hung.frames)
    return TestResult(
        id=hung.id,
        outcome=Outcome.FAILED,
        duration_ms=finished.duration_ms,
        exception=TIME_LIMIT,
        message=f"The test did not end: it was stopped at its time limit{', here:' + where if where else '.'}",
        frames=hung.frames,
    )


def _verdict(finished: Finished, report: _Report, output: str, expected: Collection[str]) -> tuple[RunStatus, str]:
    where = f" in {report.running}" if report.running else ""
    if finished.timed_out:
        return RunStatus.TIMEOUT, f"The tests were stopped after {finished.duration_ms / 1000:.0f} s{where}."
    if report.start is None and not report.flaw:
        return RunStatus.INFRA, f"pytest could not be started: {_last_line(output)}."
    if finished.flooded:
        return RunStatus.INCONCLUSIVE, f"The tests wrote too much output and were stopped{where}."
    if report.flaw:
        return RunStatus.INCONCLUSIVE, f"The test report cannot be believed: {report.flaw}."
    if report.end is None:
        return (
            RunStatus.INCONCLUSIVE,
            f"The test process ended{where} ({_ending(finished)}) before its report was whole.",
        )
    if finished.code != report.end.exit:
        return RunStatus.INCONCLUSIVE, f"pytest said {report.end.exit}, but the process had {_ending(finished)}."
    if report.strays:
        name, file = report.strays[0]
        return RunStatus.INCONCLUSIVE, f"The tests imported {name} from {file}, which is not the copy under test."
    return _verdict_on_whole(report, report.end, output, expected)


def _verdict_on_whole(report: _Report, end: EndLine, output: str, expected: Collection[str]) -> tuple[RunStatus, str]:
    """The verdict on a report that is complete in form."""
    inconclusive = RunStatus.INCONCLUSIVE
    if report.internal or end.exit == _INTERNAL:
        return inconclusive, f"pytest had an internal error: {_last_line(report.internal or output)}."
    if end.exit == _USAGE and not report.broken:
        return RunStatus.INFRA, f"pytest refused its arguments or configuration: {_complaint(output)}."
    if len(report.collected) != end.collected or len(report.results) != end.results:
        return inconclusive, "The test report cannot be believed: its counts do not match its lines."
    silent = sorted(Counter(report.collected) - Counter(result.id for result in report.results))
    if silent:
        return inconclusive, f"{len(silent)} collected tests have no result{_named(silent)}."
    strange = sorted({result.id for result in report.results} - {*report.collected})
    if strange:
        return inconclusive, f"{len(strange)} results are of tests that were not collected{_named(strange)}."
    lost = _lost(report, expected)
    if lost is not None:
        return lost
    results = _merged(report)
    red = [r for r in (*report.broken, *results) if r.outcome.red]
    if bool(red) != bool(end.exit) and report.collected:
        return inconclusive, f"pytest ended with {end.exit}, which does not fit its {len(red)} failures."
    if red:
        return RunStatus.RED, f"{len(red)} of {len(results) + len(report.broken)} tests failed."
    if not report.collected:
        return inconclusive, "No test was collected."
    if all(result.outcome is Outcome.SKIPPED for result in results):
        return inconclusive, f"No test ran: all {len(results)} were skipped."
    return RunStatus.GREEN, ""


def _lost(report: _Report, expected: Collection[str]) -> tuple[RunStatus, str] | None:
    """The verdict when expected tests are missing; None when all are there."""
    absent = (*report.missing, *(set(expected) - set(report.collected)))
    broken = frozenset(result.id.removesuffix("conftest.py").rstrip("/") for result in report.broken)
    lost = sorted(test for test in absent if not _explained(test, broken))
    if not lost:
        return None
    return RunStatus.INCONCLUSIVE, f"{len(lost)} tests that had to run were not collected{_named(lost)}."


def _explained(test: str, broken: Collection[str]) -> bool:
    """Whether a test is missing because its file, folder or conftest could not be imported (which is red already)."""
    parts = test.partition("::")[0].split("/")
    places = ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
    return "" in broken or "." in broken or any(place in broken for place in places)


def _merged(report: _Report) -> tuple[TestResult, ...]:
    """One result for each id.

    If failed tests are rerun by the owner's settings there are more results than collected tests, and the last count.
    Of a test that was collected twice the worse result counts.
    """
    by_id: dict[str, list[TestResult]] = {}
    for result in report.results:
        by_id.setdefault(result.id, []).append(result)
    times = Counter(report.collected)
    last = (runs[-times[test] :] if times[test] else runs for test, runs in by_id.items())
    return tuple(next((run for run in runs if run.outcome.red), runs[-1]) for runs in last)


def _ending(finished: Finished) -> str:
    if finished.code == 128 + signal.SIGXFSZ:
        return "it wrote more than it may"
    return f"signal {finished.signal}" if finished.code is None else f"exit status {finished.code}"


def _named(ids: Sequence[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return f": {', '.join(ids[:_SHOWN])}{more}" if ids else ""


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else "it said nothing"


def _complaint(text: str) -> str:
    """The last line with "error": below it pytest writes only the places of its files."""
    return _last_line("\n".join(line for line in text.splitlines() if "error" in line.lower()) or text)


def _clip(text: str, limit: int) -> str:
    if len(text) <= limit:
        return text
    head = limit // 2
    return f"{text[:head]}\n... {len(text) - limit} characters left out ...\n{text[-(limit - head) :]}"
