"""What evidence stands behind a candidate, counted so that nothing counts twice. Pure.

| source | one for |
|---|---|
| `file:PATH` | each file that was read, however often and in however many pieces |
| `tests` | the failing tests that were run, all together: one runner says it |
| `search`, `callers`, `imports`, `history` | each of these, whatever was asked: the same tree, from another side |
| `web:HOST` | each machine whose pages were fetched |
| `said:SOURCE` | each source of signals whose words are somebody's: an issue, the owner |
| `person` | the owner's answer to a question |

A sensor that found its condition in a file is not counted beside that file. What a model has written is no source: not
its plan, not its choice of files, not what it wrote before. A call that failed, or found nothing, is none either.

Each speaks of a time. What the op has seen for itself is of now; a file that HEAD has otherwise by now, and words that
were said of another commit, are of the time when they were read or said, and weigh less (:func:`weight_of`).
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from urllib.parse import urlsplit

from governance.grounding.records import Band, band_of, weight_bp
from ledger.clock import stamp, unstamp
from ledger.parsers.json import read_json
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
SAYING = frozenset({Source.MANUAL, Source.VOICE_HUMAN, Source.GITHUB_ISSUE, Source.BACKLOG, Source.WEB_INTELLIGENCE})
"""Sources whose signals hold somebody's words, and not what was found in the repository."""


class Said(Frozen):
    """When a source has said it (UTC stamp, empty: nobody knows), and whether of the commit that the op works on."""

    source: Source
    at: str
    same_commit: bool


class Behind(Frozen):
    """What an op has that may be evidence. ``failed``: its tests that were run and failed, ``read``: paths.

    ``changed``: paths that HEAD has otherwise than what was read since ``since``; ``words``: when ``said`` was said.
    ``now`` is when all this was looked at; empty: it was not asked how old it is.
    """

    uses: tuple[ToolUse, ...] = ()
    read: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    said: tuple[Source, ...] = ()
    now: str = ""
    since: str = ""
    changed: tuple[str, ...] = ()
    words: tuple[Said, ...] = ()


def behind(op: Operation, uses: Iterable[ToolUse], read: Iterable[str], failed: Iterable[str]) -> Behind:
    """The evidence of ``op``. ``failed`` are test ids that the runner has reported."""
    said = (s.source for s in op.signals if s.source in SAYING)
    return Behind(
        uses=tuple(uses), read=tuple(sorted(read)), failed=tuple(sorted(failed)), said=tuple(dict.fromkeys(said))
    )


def dated(known: Behind, op: Operation, *, changed: Collection[str], now: datetime) -> Behind:
    """The same with what tells how old it is. ``changed``: paths in which HEAD differs from the op's base."""
    files = {name.removeprefix(FILE) for name in sources_of(known) if name.startswith(FILE)}
    words = (Said(source=s.source, at=s.seen_at, same_commit=s.base == op.base) for s in op.signals)
    return known.model_copy(
        update={
            "now": stamp(now),
            "since": op.created_at,
            "changed": tuple(sorted(files.intersection(changed))),
            "words": tuple(each for each in words if each.source in SAYING),
        }
    )


def stale_of(known: Behind) -> tuple[tuple[str, Band], ...]:
    """The sources that speak of an earlier time than the op's own, by name, each with that time."""
    if not known.now:
        return ()
    now, found = unstamp(known.now), dict[str, Band]()
    read = band_of(unstamp(known.since), now=now, same_commit=False)
    found |= {f"{FILE}{path}": read for path in known.changed}
    for each in known.words:  # who has said it several times has said it last
        band = band_of(unstamp(each.at) if each.at else None, now=now, same_commit=each.same_commit)
        name = f"{SAID}{each.source.value}"
        found[name] = max(found.get(name, band), band, key=weight_bp)
    fresh = weight_bp(Band.NOW)
    return tuple((name, band) for name, band in sorted(found.items()) if weight_bp(band) < fresh)


def weight_of(sources: Sequence[str], stale: Iterable[tuple[str, Band]]) -> int:
    """What sources weigh together, in basis points of one that speaks of now."""
    bands = dict(stale)
    return sum(weight_bp(bands.get(name, Band.NOW)) for name in sources)


def sources_of(known: Behind) -> tuple[str, ...]:
    """The independent sources by name, sorted, each once."""
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
