"""The independent sources of evidence for a candidate, each counted once. Pure.

| source | one for |
|---|---|
| `file:PATH` | each file that was read, however often and in however many pieces |
| `tests` | all failing tests that were run together, since one runner reports them |
| `search`, `callers`, `imports`, `history` | each kind of query, however often: views of the same tree |
| `web:HOST` | each host whose pages were fetched |
| `said:SOURCE` | each signal source whose text a person wrote: an issue, the owner |
| `person` | the owner's answer to a question |

A sensor's finding in a file does not count beside that file. Text written by a model is not a source, nor are its plan
and its choice of files. Calls that failed or found nothing do not count.

Each source has an age. What the op observed itself is current. A file that HEAD has changed since, and text that was
written about another commit, keep the time at which they were read or written, and weigh less (:func:`weight_of`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from urllib.parse import urlsplit

from ledger.clock import stamp, unstamp
from ledger.events.grounding import Band, band_of, weight_bp
from ledger.parsers.json import read_json
from ledger.sources import SOURCES
from ledger.vocabulary import Frozen, Operation, Source
from tools.manifest import Category, ToolUse

TESTS, FILE, SAID = "tests", "file:", "said:"
KINDS: Mapping[Category, str] = MappingProxyType(
    {
        Category.DISCOVERY: "search",
        Category.CALL_GRAPH: "callers",
        Category.STRUCTURE: "imports",
        Category.HISTORY: "history",
    }
)


class SourceAge(Frozen):
    """When a signal source's text was written (UTC stamp; empty: unknown), and whether about the op's base commit."""

    source: Source
    at: str
    same_commit: bool


class CandidateEvidence(Frozen):
    """Evidence of an op. ``failed``: its tests that ran and failed; ``read``: paths.

    ``changed``: paths that HEAD has changed since ``since``; ``words``: time stamps of signal texts. ``now``: time of
    this snapshot; empty: ages are not considered.
    """

    uses: tuple[ToolUse, ...] = ()
    read: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    said: tuple[Source, ...] = ()
    now: str = ""
    since: str = ""
    changed: tuple[str, ...] = ()
    words: tuple[SourceAge, ...] = ()


def evidence_of(
    op: Operation, uses: Iterable[ToolUse], read: Iterable[str], failed: Iterable[str]
) -> CandidateEvidence:
    """The evidence of ``op``, without ages. ``failed``: ids of tests that the runner reported as failed."""
    said = (s.source for s in op.signals if SOURCES[s.source].is_testimony)
    return CandidateEvidence(
        uses=tuple(uses), read=tuple(sorted(read)), failed=tuple(sorted(failed)), said=tuple(dict.fromkeys(said))
    )


def with_ages(known: CandidateEvidence, op: Operation, *, changed: Collection[str], now: datetime) -> CandidateEvidence:
    """The evidence with its ages. ``changed``: paths in which HEAD differs from the op's base."""
    files = {name.removeprefix(FILE) for name in sources_of(known) if name.startswith(FILE)}
    words = (SourceAge(source=s.source, at=s.seen_at, same_commit=s.base == op.base) for s in op.signals)
    return known.model_copy(
        update={
            "now": stamp(now),
            "since": op.created_at,
            "changed": tuple(sorted(files.intersection(changed))),
            "words": tuple(each for each in words if SOURCES[each.source].is_testimony),
        }
    )


def stale_of(known: CandidateEvidence) -> tuple[tuple[str, Band], ...]:
    """The sources that are older than the op, by name, with their age band."""
    if not known.now:
        return ()
    now, found = unstamp(known.now), dict[str, Band]()
    read = band_of(unstamp(known.since), now=now, same_commit=False)
    found |= {f"{FILE}{path}": read for path in known.changed}
    for each in known.words:  # of several texts of one source the most recent counts
        band = band_of(unstamp(each.at) if each.at else None, now=now, same_commit=each.same_commit)
        name = f"{SAID}{each.source.value}"
        found[name] = max(found.get(name, band), band, key=weight_bp)
    fresh = weight_bp(Band.NOW)
    return tuple((name, band) for name, band in sorted(found.items()) if weight_bp(band) < fresh)


def weight_of(sources: Sequence[str], stale: Iterable[tuple[str, Band]]) -> int:
    """Total weight of sources, in basis points of one current source."""
    bands = dict(stale)
    return sum(weight_bp(bands.get(name, Band.NOW)) for name in sources)


def sources_of(known: CandidateEvidence) -> tuple[str, ...]:
    """Names of the independent sources, sorted."""
    found = {f"{FILE}{posixpath.normpath(path)}" for path in known.read}
    found |= {name for use in known.uses if use.ok and use.found for name in _of(use)}
    found |= {TESTS} if known.failed else set()
    found |= {f"{SAID}{source.value}" for source in known.said}
    return tuple(sorted(found))


def _of(use: ToolUse) -> list[str]:
    if use.category is Category.COMPREHENSION:
        return [f"{FILE}{posixpath.normpath(path)}" for path in use.paths]
    if use.category is not None:
        return [KINDS[use.category]]
    if use.tool == "run_tests":
        return [TESTS]
    if use.tool == "ask_human":
        return ["person"]
    if use.tool == "web_fetch":
        host = _host(use.arguments)
        return [f"web:{host}"] if host else []
    return []


def _host(arguments: str) -> str:
    try:
        read = read_json(arguments)
        return urlsplit(str(read["url"])).hostname or ""
    except (ValueError, KeyError, TypeError):
        return ""
