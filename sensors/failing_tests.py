"""Red test results: grouped by cause, and the ids by which a signal names them. Pure."""

from __future__ import annotations

import json
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ledger.vocabulary import TestResult

MAX_IDS = 50
# Bytes, as a signal holds them: a character may take six. Together they stay below what a signal may hold, whatever the
# tests of a hostile repository say.
ID_BUDGET = 24_000  # of test ids in one signal: parametrised ids can be very long
LONGEST_ID = 8_000  # a longer one is told by its file


NO_NETWORK = (
    "Name or service not known",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "nodename nor servname provided",
    "No address associated with hostname",
)
"""What the C library says where there is no network, in whatever exception."""


class Cause(NamedTuple):
    """What failing tests have in common: the file of the deepest frame inside the repository, and what was raised."""

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


def is_inside(path: str) -> bool:
    """True for a path inside the repository."""
    return bool(path) and not path.startswith("/") and ".." not in path.split("/")


def needs_network(result: TestResult) -> bool:
    """True for a test that failed because the sandbox has no network: no code repairs that."""
    said = f"{result.message}\n{result.detail}"
    return any(words in said for words in NO_NETWORK)


def cause_of(result: TestResult) -> Cause:
    """The file of the deepest frame inside the repository; a test without frames is its own file."""
    own = result.id.split("::")[0]
    deepest = next((frame.path for frame in reversed(result.frames) if is_inside(frame.path)), own)
    return Cause(deepest, result.exception)


def by_cause(results: Iterable[TestResult]) -> dict[Cause, tuple[TestResult, ...]]:
    """Red results grouped by cause, each group and the groups in a stable order."""
    groups: dict[Cause, list[TestResult]] = {}
    for result in sorted(results, key=lambda r: r.id):
        groups.setdefault(cause_of(result), []).append(result)
    return {cause: tuple(groups[cause]) for cause in sorted(groups)}


def list_test_ids(results: Sequence[TestResult]) -> tuple[str, ...]:
    """The test ids that a signal names: sorted, at most 50, bounded in length. A file includes all tests in it."""
    ids: list[str] = []
    budget = ID_BUDGET
    told = {result.id if weight(result.id) <= LONGEST_ID else result.id.partition("::")[0] for result in results}
    for test in sorted(told):
        budget -= weight(test)
        if len(ids) == MAX_IDS or (ids and budget < 0):
            break
        ids.append(test)
    return tuple(ids)
