"""What could not be served: read out of the entries of an op that has ended. Pure.

A gap is a tool that is not offered, or a file on which ops found nothing to propose, or something that is missing on
this machine. One sighting is one op: a model that asks ten times in one op has asked once.
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

MOST_FILES = 4
NOWHERE = "names no file"
_TOOL = re.compile(r"[A-Za-z_][\w.-]{0,59}")
_NOT_OFFERED = {
    "policy.unknown_tool": "there is no tool of that name; an MCP server may bring it",
    "tools.unknown": "there is no tool of that name; an MCP server may bring it",
    "policy.mcp_not_connected": "its MCP server is not connected",
    "policy.mcp_not_listed": "its MCP server has it and tools.mcp.servers does not list it",
}
_NOTHING = frozenset({RootCause.NO_CANDIDATE, RootCause.PROVIDER_BAD_OUTPUT})
_MISSING = {
    RootCause.PROVIDER_UNAVAILABLE: "the model could not be reached or has no weights",
    RootCause.SANDBOX_MISSING: "no sandbox or no pytest was there",
}

Events = Sequence[tuple[Entry, LedgerEvent]]


class GapKind(StrEnum):
    TOOL = "tool"  # asked for by models, not offered
    FILE = "file"  # ops about it end without a candidate
    GOAL = "goal"  # the same of ops that name no file
    MISSING = "missing"  # a provider or a sandbox, for whole ops


class Gap(NamedTuple):
    """``name``: of the tool, the path, or the root cause. ``why`` is a sentence's end for the owner."""

    kind: GapKind
    name: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.name}"


class OpGaps(NamedTuple):
    """A gap, and the entry in which it was met."""

    gap: Gap
    seq: int


class OpSeen(Frozen):
    """The gaps of an op that has ended. ``served``: names of gaps that it shows to be closed."""

    op: str
    goal_class: str
    depth: int = 0
    gaps: tuple[OpGaps, ...] = ()
    served: tuple[tuple[str, int], ...] = ()


def entropy(classes: Iterable[str]) -> float:
    """Shannon entropy, in bits, of how sightings spread over goal classes: ``-sum(p * log2(p))``.

    It is 0 when one kind of goal alone meets a gap, and ``log2(k)`` when ``k`` kinds meet it equally often. So it
    measures how little can be guessed of the goal from the fact that the gap was met. A gap that one kind of goal keeps
    meeting is most likely a fault of that goal, or one signal that is tried again and again; what goals of every kind
    meet is missing from what we can do.
    """
    counts = Counter(classes)
    total = counts.total()
    return sum(n / total * math.log2(total / n) for n in counts.values()) if total else 0.0


def goal_class(origin: str, goal: str) -> str:
    """The kind of a goal: who brought it, and of a goal in a person's words also the word that it begins with."""
    if origin not in {source.value for source, facts in SOURCES.items() if facts.is_free_text}:
        return origin
    first = next(iter(words_of(goal)), "")
    return f"{origin}: {first if first in VERBS else 'other'}"


def is_real(classes: Sequence[str], *, least: int, least_entropy_milli: int) -> bool:
    """Was it met often enough, by goals that are scattered enough? Confirmed by more, never by less."""
    return len(classes) >= least and round(1000 * entropy(classes)) >= least_entropy_milli


def read(entries: Sequence[Entry]) -> OpSeen | None:
    """The gaps in the entries of one op; None when it has not ended, or was about a gap itself."""
    events = [(entry, read_event(entry)) for entry in entries]
    started = next((event for _, event in events if isinstance(event, OpStarted)), None)
    last = next(((entry, event) for entry, event in reversed(events) if isinstance(event, OpEnded)), None)
    if started is None or last is None or last[0].op_id is None or started.origin == SPEC.source:
        return None
    origin = started.origin.value if started.origin else ""
    entry, ended = last
    return OpSeen(
        op=str(entry.op_id),
        goal_class=goal_class(origin, started.goal),
        depth=started.depth,
        gaps=tuple({seen.gap: seen for seen in (*_tools(events), *_ended_by(entry, ended))}.values()),
        served=(*_used(events), *_completed(events, entry, ended)),
    )


def _tools(events: Events) -> Iterable[OpGaps]:
    for entry, event in events:
        if isinstance(event, GateJudged) and event.rule in _NOT_OFFERED and _TOOL.fullmatch(event.tool):
            yield OpGaps(Gap(GapKind.TOOL, event.tool, _NOT_OFFERED[event.rule]), entry.seq)


def _ended_by(entry: Entry, ended: OpEnded) -> Iterable[OpGaps]:
    cause, files = ended.root_cause, ended.targets[:MOST_FILES]
    if cause in _MISSING:
        yield OpGaps(Gap(GapKind.MISSING, cause.value, _MISSING[cause]), entry.seq)
    if cause in _NOTHING:
        for path in files:
            yield OpGaps(Gap(GapKind.FILE, path, "ops about it ended without a candidate"), entry.seq)
        if not files:
            yield OpGaps(Gap(GapKind.GOAL, NOWHERE, "ops for such goals ended without a candidate"), entry.seq)


def _used(events: Events) -> Iterable[tuple[str, int]]:
    for entry, event in events:
        if isinstance(event, ToolCalled) and event.ok:
            yield str(Gap(GapKind.TOOL, event.tool)), entry.seq


def _completed(events: Events, entry: Entry, ended: OpEnded) -> Iterable[tuple[str, int]]:
    """A commit on a file shows that work on it succeeds, and that model and sandbox are there."""
    if ended.to is not OpOutcome.COMPLETE:
        return
    files = ended.targets[:MOST_FILES]
    changed = (path for _, e in events if isinstance(e, CandidateProposed) for path in e.paths[:MOST_FILES])
    yield from ((str(Gap(GapKind.FILE, path)), entry.seq) for path in dict.fromkeys((*files, *changed)))
    yield from ((str(Gap(GapKind.MISSING, cause.value)), entry.seq) for cause in _MISSING)
    if not files:
        yield str(Gap(GapKind.GOAL, NOWHERE)), entry.seq
