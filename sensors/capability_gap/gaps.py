"""Finds capability gaps in the entries of an op that has ended. Pure.

A gap is a tool that a model called and that does not exist here, a file for which ops found no candidate, or a missing
model or sandbox. Sightings are counted per op: ten calls of a tool in one op are one sighting.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import NamedTuple

from ledger.events.check import GateJudged, ToolCalled
from ledger.events.event import LedgerEvent, read_event
from ledger.events.op import CandidateProposed, OpEnded, OpStarted
from ledger.sources import SOURCES
from ledger.vocabulary import Entry, Frozen, OpOutcome, RootCause
from sensors.capability_gap import SPEC
from sensors.requests.sentences import VERBS, words_of

MAX_FILES = 4
NOWHERE = "names no file"
_TOOL = re.compile(r"[A-Za-z_][\w.-]{0,59}")
_NOT_OFFERED = {
    "policy.unknown_tool": "there is no tool of that name; an MCP server could provide it",
    "tools.unknown": "there is no tool of that name; an MCP server could provide it",
    "policy.mcp_not_connected": "its MCP server is not connected",
    "policy.mcp_not_listed": "its MCP server has it and tools.mcp.servers does not list it",
}
_WITHOUT_CANDIDATE = frozenset({RootCause.NO_CANDIDATE, RootCause.PROVIDER_BAD_OUTPUT})
_MISSING_PARTS = {
    RootCause.PROVIDER_UNAVAILABLE: "the model could not be reached or has no weights",
    RootCause.SANDBOX_MISSING: "no sandbox or no pytest was there",
}

Events = Sequence[tuple[Entry, LedgerEvent]]


class GapKind(StrEnum):
    TOOL = "tool"  # called by models, not available
    FILE = "file"  # ops about this file end without a candidate
    GOAL = "goal"  # ops that name no file end without a candidate
    MISSING = "missing"  # a provider or a sandbox was not available


class Gap(NamedTuple):
    """``name``: the tool, the path, or the root cause. ``why``: a clause for the owner."""

    kind: GapKind
    name: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.name}"


class SeenGap(NamedTuple):
    """A gap, and the sequence number of the entry that shows it."""

    gap: Gap
    seq: int


class OpSightings(Frozen):
    """The gaps of an op that has ended. ``served``: names of gaps that the op shows to be closed."""

    op: str
    goal_class: str
    depth: int = 0
    gaps: tuple[SeenGap, ...] = ()
    served: tuple[tuple[str, int], ...] = ()


def entropy(classes: Iterable[str]) -> float:
    """Shannon entropy, in bits, of how sightings spread over goal classes: ``-sum(p * log2(p))``.

    It is 0 when only one kind of goal meets a gap, and ``log2(k)`` when ``k`` kinds meet it equally often. A gap that
    only one kind of goal meets is most likely a fault of that goal, or one signal that is retried; a gap that all kinds
    of goals meet is a missing capability.
    """
    counts = Counter(classes)
    total = counts.total()
    return sum(n / total * math.log2(total / n) for n in counts.values()) if total else 0.0


def goal_class(origin: str, goal: str) -> str:
    """The kind of a goal: its source; for a goal in a person's words also its first word, if that is a known verb."""
    if origin not in {source.value for source, facts in SOURCES.items() if facts.is_free_text}:
        return origin
    first = next(iter(words_of(goal)), "")
    return f"{origin}: {first if first in VERBS else 'other'}"


def is_real(classes: Sequence[str], *, least: int, least_entropy_milli: int) -> bool:
    """Whether a gap was seen often enough, and for enough kinds of goals, to be reported."""
    return len(classes) >= least and round(1000 * entropy(classes)) >= least_entropy_milli


def read_gaps(entries: Sequence[Entry]) -> OpSightings | None:
    """The gaps in the entries of one op; None if the op has not ended, or was itself about a gap."""
    events = [(entry, read_event(entry)) for entry in entries]
    started = next((event for _, event in events if isinstance(event, OpStarted)), None)
    last = next(((entry, event) for entry, event in reversed(events) if isinstance(event, OpEnded)), None)
    if started is None or last is None or last[0].op_id is None or started.origin == SPEC.source:
        return None
    origin = started.origin.value if started.origin else ""
    entry, ended = last
    return OpSightings(
        op=str(entry.op_id),
        goal_class=goal_class(origin, started.goal),
        depth=started.depth,
        gaps=tuple({seen.gap: seen for seen in (*_tool_gaps(events), *_outcome_gaps(entry, ended))}.values()),
        served=(*_used_tools(events), *_closed_by_commit(events, entry, ended)),
    )


def _tool_gaps(events: Events) -> Iterable[SeenGap]:
    for entry, event in events:
        if isinstance(event, GateJudged) and event.rule in _NOT_OFFERED and _TOOL.fullmatch(event.tool):
            yield SeenGap(Gap(GapKind.TOOL, event.tool, _NOT_OFFERED[event.rule]), entry.seq)


def _outcome_gaps(entry: Entry, ended: OpEnded) -> Iterable[SeenGap]:
    cause, files = ended.root_cause, ended.targets[:MAX_FILES]
    if cause in _MISSING_PARTS:
        yield SeenGap(Gap(GapKind.MISSING, cause.value, _MISSING_PARTS[cause]), entry.seq)
    if cause in _WITHOUT_CANDIDATE:
        for path in files:
            yield SeenGap(Gap(GapKind.FILE, path, "ops about it ended without a candidate"), entry.seq)
        if not files:
            yield SeenGap(Gap(GapKind.GOAL, NOWHERE, "ops for such goals ended without a candidate"), entry.seq)


def _used_tools(events: Events) -> Iterable[tuple[str, int]]:
    for entry, event in events:
        if isinstance(event, ToolCalled) and event.ok:
            yield str(Gap(GapKind.TOOL, event.tool)), entry.seq


def _closed_by_commit(events: Events, entry: Entry, ended: OpEnded) -> Iterable[tuple[str, int]]:
    """Gaps closed by a completed op: its files can be changed, and model and sandbox are available."""
    if ended.to is not OpOutcome.COMPLETE:
        return
    files = ended.targets[:MAX_FILES]
    changed = (path for _, e in events if isinstance(e, CandidateProposed) for path in e.paths[:MAX_FILES])
    yield from ((str(Gap(GapKind.FILE, path)), entry.seq) for path in dict.fromkeys((*files, *changed)))
    yield from ((str(Gap(GapKind.MISSING, cause.value)), entry.seq) for cause in _MISSING_PARTS)
    if not files:
        yield str(Gap(GapKind.GOAL, NOWHERE)), entry.seq
