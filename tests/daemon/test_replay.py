"""Replay on the record of a real repair: the same inputs give the same decisions, and other inputs are found out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from daemon.record.replay import ReplayReport, replay, replay_entries
from governance.irongate.candidate_gates import inspect
from governance.irongate.inspection import Inspection
from ledger.vocabulary import Entry, EntryKind, OpOutcome
from tests.e2e.test_repair import minus
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, lived_in, repo_with
from tests.repos import commit

DECIDED = (EntryKind.DECISION, EntryKind.VERDICT, EntryKind.TRANSITION)


@dataclass(frozen=True)
class History:
    """What one repair left in the ledger."""

    entries: tuple[Entry, ...]
    blobs: dict[str, bytes]
    op_id: str
    whole: ReplayReport
    alone: ReplayReport
    unknown: ReplayReport

    async def blob(self, sha: str) -> bytes:
        return self.blobs[sha]


async def repaired(base: Path) -> History:
    repo = repo_with(base / "shop", SHOP)
    commit(repo, "Speed up totals", {"shop/cart.py": PLUS})
    async with lived_in(config_for(base, repo), Infilling(minus)) as (core, senses):
        await senses.scan(None)
        ending = await ended(core)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        ledger = core.ledger
        entries = await ledger.entries(kinds=DECIDED)
        wanted = [str(e.payload[name]) for e in entries for name in ("inspection", "behind") if name in e.payload]
        return History(
            entries=tuple(entries),
            blobs={sha: await ledger.get_blob(sha) for sha in wanted},
            op_id=ending.op.id,
            whole=await replay(ledger, op_id=None),
            alone=await replay(ledger, op_id=ending.op.id),
            unknown=await replay(ledger, op_id="op-" + "0" * 32 + "-manual"),
        )


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """One real repair, shared: what follows only reads it."""
    return asyncio.run(repaired(tmp_path_factory.mktemp("replay")))


Tamper = Callable[[dict[str, Any]], dict[str, Any]]


def changed(history: History, event: str, tamper: Tamper, *, nth: int = 0) -> list[Entry]:
    """The entries with the payload of the ``nth`` entry that says ``event`` replaced."""
    at = [i for i, e in enumerate(history.entries) if event in (e.payload.get("event"), e.payload.get("decision"))][nth]
    entries = list(history.entries)
    entries[at] = entries[at].model_copy(update={"payload": tamper(dict(entries[at].payload))})
    return entries


def test_every_decision_of_a_repair_comes_out_the_same(history: History) -> None:
    assert history.whole.differences == ()
    # The whole record also derives trust again: source, provider, route, strategy twice, class of goal.
    assert history.whole == ReplayReport(decisions=history.alone.decisions + 6)
    events = [e.payload.get("event") for e in history.entries]
    # Two tiers of two or three words, one route, one priority, ten gates at least, every transition and the end.
    assert history.alone.decisions >= 2 + 3 + 1 + 1 + 9 + events.count("phase.entered")
    assert {"tier.assigned", "route.chosen", "gates", "phase.entered", "terminal", "ranked"} <= set(events)


def test_an_op_without_a_record_has_no_decisions(history: History) -> None:
    assert history.unknown == ReplayReport(decisions=0)


def with_facts(**facts: object) -> Tamper:
    return lambda payload: {**payload, "facts": {**payload["facts"], **facts}}


def without_verdicts_of(gate: int) -> Tamper:
    return lambda payload: {**payload, "verdicts": [v for v in payload["verdicts"] if v["gate"] != gate]}


def with_floor(gate: int) -> Tamper:
    def tamper(payload: dict[str, Any]) -> dict[str, Any]:
        rows = [{**v, "floor": 2} if v["gate"] == gate else v for v in payload["verdicts"]]
        return {**payload, "verdicts": rows}

    return tamper


DOUBTED = {"asserted_bp": 10_000, "hits": 0, "outcomes": 9}


def with_a_rival(payload: dict[str, Any]) -> dict[str, Any]:
    """One that is equal but for its trust, and should have come first."""
    (merits,) = payload["merits"]
    return {**payload, "merits": [merits, {**merits, "trust_bp": merits["trust_bp"] + 1}]}


def at_other_priority(payload: dict[str, Any]) -> dict[str, Any]:
    return {**payload, "result": payload["result"] + 1}


@pytest.mark.parametrize(
    ("event", "nth", "tamper", "named"),
    [
        ("tier.assigned", 0, with_facts(protected=["shop/cart.py"]), "tier was SAFE_AUTO, comes out as BLOCKED"),
        ("tier.assigned", 1, with_facts(deleted=["shop/cart.py"]), "tier was SAFE_AUTO"),
        ("tier.assigned", 1, lambda p: {**p, "floors": [["BLOCKED", "somebody"]]}, "comes out as BLOCKED"),
        ("tier.assigned", 0, lambda p: {**p, "complexity": "ARCHITECTURAL"}, "complexity was ARCHITECTURAL"),
        ("route.chosen", 0, lambda p: {**p, "complexity": "COMPLEX"}, "comes out as COMPLEX"),
        ("route.chosen", 0, lambda p: {**p, "route": "BACKGROUND"}, "route was BACKGROUND"),
        ("route.chosen", 0, lambda p: {**p, "confidence": DOUBTED}, "route was IMMEDIATE, comes out as STANDARD"),
        ("tier.assigned", 1, lambda p: {**p, "trust": [{"key": "goal x", "hits": 0, "outcomes": 3}]}, "doubts was"),
        ("priority", 0, at_other_priority, "priority was"),
        ("priority", 0, lambda p: {**p, "inputs": {**p["inputs"], "outcomes": 9}}, "priority was"),
        ("ranked", 0, with_a_rival, "rank was [0, 1], comes out as [1, 0]"),
        ("gates", 0, without_verdicts_of(1), "gate 1 was silent"),
        ("gates", 0, with_floor(14), "gate 14 was allow gate14.ok APPROVAL_REQUIRED"),
        ("grounding.judged", 0, with_facts(sources=["file:shop/cart.py"]), "sources was file:shop/cart.py, comes out"),
        ("grounding.judged", 0, with_facts(stale=[["tests", "older"]]), "time of sources was (('tests'"),
        ("grounding.judged", 0, with_facts(proximity_milli=900), "ground was act, comes out as reground"),
        ("grounding.judged", 0, with_facts(trust_bp=900), "ground was act, comes out as ask"),
        ("phase.entered", 3, lambda p: {**p, "to": "APPLY"}, "-> APPLY"),
        ("phase.entered", 4, lambda p: {**p, "origin": "VERIFY"}, "transition was from VERIFY"),
        ("terminal", 0, lambda p: {**p, "origin": "GENERATE"}, "transition was from GENERATE"),
        ("terminal", 0, lambda p: {**p, "to": "NOOP", "origin": "APPROVE"}, "transition was from APPROVE"),
    ],
)
async def test_a_fact_that_was_tampered_with_gives_a_difference(
    history: History, event: str, nth: int, tamper: Tamper, named: str
) -> None:
    report = await replay_entries(changed(history, event, tamper, nth=nth), history.blob)
    assert any(named in difference for difference in report.differences), report.differences
    assert all(history.op_id in difference for difference in report.differences)


async def test_another_candidate_than_the_one_that_was_judged_gives_a_difference(history: History) -> None:
    gates = next(e for e in history.entries if e.payload.get("event") == "gates")
    inspection = Inspection.model_validate_json(history.blobs[gates.payload["inspection"]])
    edit = inspection.candidate.edits[0]
    same = edit.model_copy(update={"after": inspection.originals[edit.path]})
    forged = inspection.model_copy(update={"candidate": inspection.candidate.model_copy(update={"edits": (same,)})})

    async def blob(sha: str) -> bytes:
        return forged.model_dump_json().encode() if sha == gates.payload["inspection"] else history.blobs[sha]

    report = await replay_entries(list(history.entries), blob)
    assert any("gate 14" in difference and "gate14.noop" in difference for difference in report.differences)


async def test_an_op_does_not_begin_in_the_middle(history: History) -> None:
    """Transitions that were cut off at the front are missed."""
    entered = [e for e in history.entries if e.payload.get("event") == "phase.entered"]
    rest = [e for e in history.entries if e.seq > entered[2].seq]
    report = await replay_entries(rest, history.blob)
    assert any("transition was from" in difference for difference in report.differences)


async def test_two_verdicts_of_one_gate_are_both_compared(history: History) -> None:
    """A gate may speak twice of one candidate: each word counts."""
    gates = next(e for e in history.entries if e.payload.get("event") == "gates")
    inspection = Inspection.model_validate_json(history.blobs[gates.payload["inspection"]])
    twice = inspection.candidate.model_copy(update={"edits": inspection.candidate.edits * 3})
    doubled = inspection.model_copy(update={"candidate": twice})
    rows = [v.model_dump(mode="json") for v in inspect(doubled)]
    assert sum(row["rule"] == "gate01.twice" for row in rows) == 2

    async def blob(sha: str) -> bytes:
        return doubled.model_dump_json().encode()

    entry = gates.model_copy(update={"payload": {**gates.payload, "verdicts": rows}})
    assert (await replay_entries([entry], blob)).differences == ()
    first = next(i for i, row in enumerate(rows) if row["rule"] == "gate01.twice")
    fewer = rows[:first] + rows[first + 1 :]
    entry = gates.model_copy(update={"payload": {**gates.payload, "verdicts": fewer}})
    assert len((await replay_entries([entry], blob)).differences) == 1
