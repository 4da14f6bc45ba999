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
"""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from ledger.vocabulary import Frozen, Operation, Source
from tools.manifest import Category, ToolUse

TESTS = "tests"
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


class Behind(Frozen):
    """What an op has that may be evidence. ``failed``: its tests that were run and failed, ``read``: paths."""

    uses: tuple[ToolUse, ...] = ()
    read: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    said: tuple[Source, ...] = ()


def behind(op: Operation, uses: Iterable[ToolUse], read: Iterable[str], failed: Iterable[str]) -> Behind:
    """The evidence of ``op``. ``failed`` are test ids that the runner has reported."""
    said = (s.source for s in op.signals if s.source in SAYING)
    return Behind(
        uses=tuple(uses), read=tuple(sorted(read)), failed=tuple(sorted(failed)), said=tuple(dict.fromkeys(said))
    )


def sources_of(known: Behind) -> tuple[str, ...]:
    """The independent sources by name, sorted, each once."""
    found = {f"file:{posixpath.normpath(path)}" for path in known.read}
    found |= {name for use in known.uses if use.ok and use.found for name in _of(use)}
    found |= {TESTS} if known.failed else set()
    found |= {f"said:{source.value}" for source in known.said}
    return tuple(sorted(found))


def _of(use: ToolUse) -> list[str]:
    if use.category is Category.COMPREHENSION:
        return [f"file:{posixpath.normpath(path)}" for path in use.paths]
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
        read = json.loads(arguments)
        return urlsplit(str(read["url"])).hostname or ""
    except (ValueError, KeyError, TypeError):
        return ""
