"""From red tests to signals: one signal for each cause. Pure."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

from ledger.ids import new_signal_id
from ledger.vocabulary import Evidence, Signal, Source, TestResult, TestsPass, Urgency
from sensors.bus import fingerprint
from sensors.ports import Redact

MAX_IDS = 50
# Bytes, as a signal holds them: a character may take six. Together they stay below what a signal may hold, whatever the
# tests of a hostile repository say.
ID_BUDGET = 24_000  # of test ids in one signal: parametrised ids can be very long
LONGEST_ID = 8_000  # a longer one is told by its file
LONGEST_FILE = 6_000
SHORT = 200
MESSAGE = 3_000
MAX_EVIDENCE = 5


NO_NETWORK = (
    "Name or service not known",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "nodename nor servname provided",
    "No address associated with hostname",
)
"""What the C library says where there is no network, in whatever exception."""


class Cause(NamedTuple):
    """What failing tests have in common: where the deepest frame inside the repository stands, and what was raised."""

    file: str
    exception: str


def weight(text: str) -> int:
    """How many bytes a text takes in a signal, which is JSON."""
    return len(json.dumps(text, ensure_ascii=False).encode("utf-8", "surrogatepass")) - 2


def cut(text: str, most: int) -> str:
    """The text, or as much of its beginning as takes ``most`` bytes, with three dots."""
    if weight(text) <= most:
        return text
    fits = bisect_right(range(min(len(text), most)), most - 3, key=lambda count: weight(text[:count])) - 1
    return f"{text[: max(0, fits)]}..."


def _inside(path: str) -> bool:
    return bool(path) and not path.startswith("/") and ".." not in path.split("/")


def needs_network(result: TestResult) -> bool:
    """A test that failed for want of a network, which no test has behind the sandbox: no code repairs that."""
    said = f"{result.message}\n{result.detail}"
    return any(words in said for words in NO_NETWORK)


def cause_of(result: TestResult) -> Cause:
    """The file of the deepest frame inside the repository; a test without frames is its own file."""
    own = result.id.split("::")[0]
    deepest = next((frame.path for frame in reversed(result.frames) if _inside(frame.path)), own)
    return Cause(deepest, result.exception)


def by_cause(results: Iterable[TestResult]) -> dict[Cause, tuple[TestResult, ...]]:
    """Red results grouped by cause, each group and the groups in a stable order."""
    groups: dict[Cause, list[TestResult]] = {}
    for result in sorted(results, key=lambda r: r.id):
        groups.setdefault(cause_of(result), []).append(result)
    return {cause: tuple(groups[cause]) for cause in sorted(groups)}


def named(results: Sequence[TestResult]) -> tuple[str, ...]:
    """The test ids that a signal names: sorted, at most 50, bounded in length. A file stands for all tests in it."""
    ids: list[str] = []
    budget = ID_BUDGET
    told = {result.id if weight(result.id) <= LONGEST_ID else result.id.partition("::")[0] for result in results}
    for test in sorted(told):
        budget -= weight(test)
        if len(ids) == MAX_IDS or (ids and budget < 0):
            break
        ids.append(test)
    return tuple(ids)


def key_of(ids: Sequence[str], cause: Cause) -> str:
    """sha256 over the sorted ids, the exception type and the file."""
    return fingerprint(*sorted(ids), cause.exception, cause.file)


def _one_line(text: str, limit: int) -> str:
    return cut(next((part.strip() for part in text.splitlines() if part.strip()), ""), limit)


def goal_of(ids: Sequence[str], cause: Cause, message: str) -> str:
    """One sentence: which test, how it fails, where."""
    exception = cut(cause.exception, SHORT)
    more = f" and {len(ids) - 1} more" if len(ids) > 1 else ""
    said = _one_line(message, SHORT)
    how = ": ".join(part for part in (exception, said) if part and not said.startswith(f"{part}:")) or "it is red"
    return f"Make {cut(ids[0], 4 * SHORT)}{more} pass ({how}, in {cut(cause.file, SHORT)})."


def signals_of(
    red: Iterable[TestResult],
    *,
    base: str,
    snapshot: str | None,
    green_before: Collection[str],
    depth: int,
    seen_at: str,
    redact: Redact,
) -> tuple[Signal, ...]:
    """One signal for each cause among ``red`` at a tree.

    Critical when all of its tests were green at the parent commit, else high.
    """
    found = []
    for cause, results in by_cause(red).items():
        ids = named(results)
        urgency = Urgency.CRITICAL if set(ids) <= set(green_before) else Urgency.HIGH
        found.append(
            Signal(
                id=new_signal_id(),
                source=Source.TEST_FAILURE,
                goal=redact(goal_of(ids, cause, redact(results[0].message))),
                targets=(cause.file,) if _inside(cause.file) and weight(cause.file) <= LONGEST_FILE else (),
                urgency=urgency,
                evidence=tuple(_evidence(result, snapshot or base, redact) for result in results[:MAX_EVIDENCE]),
                key=key_of(ids, cause),
                closure=TestsPass(ids=ids),
                base=base,
                snapshot=snapshot,
                depth=depth,
                seen_at=seen_at,
            )
        )
    return tuple(found)


def _evidence(result: TestResult, tree: str, redact: Redact) -> Evidence:
    said = result.message or result.detail or result.outcome.value
    return Evidence(
        claim=f"{cut(result.id, 4 * SHORT)} is red at {tree[:12]}, twice in a row.",
        evidence=cut(redact(said), MESSAGE),
        confidence_bp=10_000,
        source="pytest",
    )
