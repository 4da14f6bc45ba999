"""From red tests to signals: one signal for each cause. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from ledger.ids import new_signal_id
from ledger.vocabulary import Evidence, Signal, TestResult, TestsPass, Urgency
from sensors.bus import fingerprint
from sensors.failing_tests import Cause, by_cause, cut, is_inside, list_test_ids, weight
from sensors.ports import Redact
from sensors.test_failure import SPEC

LONGEST_FILE = 6_000  # bytes, as a signal holds them
SHORT = 200
MESSAGE = 3_000
MAX_EVIDENCE = 5


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
    passing_before: Collection[str],
    depth: int,
    seen_at: str,
    redact: Redact,
) -> tuple[Signal, ...]:
    """One signal for each cause among ``red`` at a tree.

    Critical when all of its tests were green at the parent commit, else high.
    """
    found = []
    for cause, results in by_cause(red).items():
        ids = list_test_ids(results)
        urgency = Urgency.CRITICAL if set(ids) <= set(passing_before) else Urgency.HIGH
        found.append(
            Signal(
                id=new_signal_id(),
                source=SPEC.source,
                goal=redact(goal_of(ids, cause, redact(results[0].message))),
                targets=(cause.file,) if is_inside(cause.file) and weight(cause.file) <= LONGEST_FILE else (),
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
