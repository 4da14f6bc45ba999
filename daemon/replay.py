"""Replay: every pure decision of an op is made again from its recorded inputs, and must come out the same."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from governance import fsm
from governance.grounding import standing
from governance.grounding.consulted import Confidence, Standing, doubts
from governance.grounding.policy import PolicySettings, grounding
from governance.grounding.sources import Behind, sources_of, stale_of
from governance.grounding.trust import Tally, from_log, in_table
from governance.irongate import g10_signatures
from governance.irongate.battery import Inspection, inspect
from governance.irongate.registry import GATES
from governance.memory.prophecy import floors as floors_of
from governance.memory.prophecy import foretell
from governance.memory.reputation import Reputation
from governance.repair.ranking import Merits, order_of
from governance.risk import ChangeFacts, ComplexityFacts, assess, complexity
from governance.routes import choose_route
from ledger.confidence import CERTAIN_BP
from ledger.errors import TransitionRefused
from ledger.store import Ledger
from ledger.vocabulary import Complexity, Entry, EntryKind, Frozen, SourceClass, State, Tier, Urgency, Verdict
from sensors.intake.goals import GoalFacts, Goals, alignment
from sensors.intake.governing import ruled_again
from sensors.intake.posture import Signs, infer
from sensors.intake.priority import PriorityInputs, priority

GetBlob = Callable[[str], Awaitable[bytes]]


class ReplayReport(Frozen):
    """``decisions``: how many were made again; ``differences``: a sentence for each that came out otherwise."""

    decisions: int
    differences: tuple[str, ...] = ()


def _tier(payload: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    facts = ChangeFacts.model_validate(payload["facts"])
    floors = tuple((Tier[name], why) for name, why in payload["floors"])
    derived = assess(facts, floors=floors)
    found = [("tier", str(payload["tier"]), derived.tier.name), ("rule", str(payload["rule"]), str(derived.rule))]
    if "size" in payload:
        size = ComplexityFacts.model_validate(payload["size"])
        found.append(("complexity", str(payload["complexity"]), complexity(size).name))
    if "prophecy" in payload:
        found += _prophecy(payload["prophecy"], assess(facts).tier, floors)
    if "trust" in payload:
        known = [Standing.model_validate(row) for row in payload["trust"]]
        found.append(("doubts", "; ".join(payload["doubts"]), "; ".join(doubts(known))))
    return found


def _prophecy(
    payload: Mapping[str, Any], tier: Tier, floors: tuple[tuple[Tier, str], ...]
) -> list[tuple[str, str, str]]:
    """From what memory held of the files to what it said, and that this was among the floors."""
    known = tuple(Reputation.model_validate(each) for each in payload["reputations"])
    derived = foretell(known, payload["dependents"])
    said = floors_of(derived, tier)
    heard = tuple(floor for floor in floors if floor in said)
    return [
        ("prophecy", f"{payload['level']} {payload['risk_bp']}", f"{derived.level.name} {derived.risk_bp}"),
        ("what memory raised", str(heard), str(said)),
    ]


def _ranked(payload: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    rows = [Merits.model_validate(row) for row in payload.get("merits", ())]
    derived = sorted(range(len(rows)), key=lambda number: order_of(rows[number]))
    return [("rank", str(list(range(len(rows)))), str(derived))] if rows else []


def _route(payload: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    told = Confidence.model_validate(payload["confidence"]) if "confidence" in payload else None  # new in the record
    derived, _ = choose_route(
        complexity=Complexity[payload["complexity"]],
        source=SourceClass(payload["source"]),
        urgency=Urgency[payload["urgency"]],
        confidence_bp=told.calibrated_bp if told else CERTAIN_BP,
    )
    return [("route", str(payload["route"]), derived.value)]


async def _priority(payload: Mapping[str, Any], blob: GetBlob) -> list[tuple[str, str, str]]:
    inputs = PriorityInputs.model_validate(payload["inputs"])
    found = [("priority", str(payload["result"]), str(priority(inputs)))]
    if "alignment" in payload:
        told = payload["alignment"]
        goals, facts = (
            Goals.model_validate_json(await blob(str(told["goals"]))),
            GoalFacts.model_validate(told["facts"]),
        )
        derived = alignment(goals, facts)
        found.append(("alignment", f"{inputs.alignment} {told['why']}", f"{derived.points} {derived.why}"))
    return found


def _governed(payload: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    return [(f"governor of {payload['lane']}", str(payload["result"]), ruled_again(payload["inputs"]))]


def _posture(payload: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    derived = infer(Signs.model_validate(payload["inputs"]))
    return [("posture", str(payload["result"]), derived.posture.value)]


DECIDED: Mapping[object, Callable[[Mapping[str, Any]], list[tuple[str, str, str]]]] = {
    "governor": _governed,
    "posture": _posture,
}
"""Decisions of the intake: they have this field in place of an event."""


async def _gates(payload: Mapping[str, Any], blob: GetBlob) -> list[tuple[str, str, str]]:
    """Gate 15 keeps findings only, never the secret, and is not made again."""
    inspection = Inspection.model_validate_json(await blob(str(payload["inspection"])))
    recorded = by_gate(Verdict.model_validate(row) for row in payload.get("without_secrets") or payload["verdicts"])
    derived = by_gate(await asyncio.to_thread(inspect, inspection))
    gates = sorted(recorded.keys() | derived.keys())
    return [(f"gate {gate}", recorded.get(gate, "silent"), derived.get(gate, "silent")) for gate in gates]


async def _outside(payload: Mapping[str, Any], blob: GetBlob) -> list[tuple[str, str, str]]:
    recorded = Verdict.model_validate({name: payload[name] for name in Verdict.model_fields})
    derived = await asyncio.to_thread(GATES[18].judge, await blob(str(payload["facts"])))
    return [("gate 18", by_gate([recorded])[18], by_gate([derived])[18])]


def _grounding(payload: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    derived = grounding(
        Tier[payload["risk"]],
        Complexity[payload["complexity"]],
        int(payload["trust_bp"]),
        int(payload["proximity_milli"]),
        PolicySettings.model_validate(payload["settings"]),
    )
    recorded, found = payload["asked"], derived.model_dump(mode="json")
    return [(f"grounding {name}", str(recorded.get(name)), str(found[name])) for name in found]


async def _ground(payload: Mapping[str, Any], blob: GetBlob) -> list[tuple[str, str, str]]:
    facts = standing.Facts.model_validate(payload["facts"])
    evidence = Behind.model_validate_json(await blob(str(payload["behind"])))
    return [
        ("sources", ", ".join(facts.sources), ", ".join(sources_of(evidence))),
        ("time of sources", str(facts.stale), str(stale_of(evidence))),
        ("ground", str(payload["stand"]), standing.judge(facts).stand.value),
    ]


def _webhook(payload: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    recorded = Verdict.model_validate({name: payload[name] for name in Verdict.model_fields})
    derived = g10_signatures.check(g10_signatures.Facts.model_validate(payload["facts"]))
    return [("gate 10", by_gate([recorded])[10], by_gate([derived])[10])]


def by_gate(verdicts: Iterable[Verdict]) -> dict[int, str]:
    """All that each gate said, in order: decision, rule and floor."""
    said: dict[int, list[str]] = {}
    for verdict in verdicts:
        if verdict.gate != 15:
            floor = "" if verdict.floor is None else f" {verdict.floor.name}"
            said.setdefault(verdict.gate, []).append(f"{verdict.decision.value} {verdict.rule}{floor}")
    return {gate: "; ".join(each) for gate, each in said.items()}


def _edge(current: State | None, payload: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    origin, wanted = State(str(payload["origin"])), State(str(payload["to"]))
    if origin is not (current or fsm.START):
        return [("transition", f"from {origin}", f"from {current or fsm.START}")]
    if origin is wanted and origin is fsm.START and current is None:
        return []
    try:
        fsm.transition(origin, wanted)
    except TransitionRefused as error:
        return [("transition", f"{origin} -> {wanted}", str(error))]
    return [("transition", wanted.value, wanted.value)]


async def replay_entries(entries: list[Entry], blob: GetBlob) -> ReplayReport:
    """All decisions among ``entries`` (any ops, in the order of the ledger)."""
    count, differences = 0, []
    current: dict[str, State] = {}
    for entry in entries:
        payload, event, op = entry.payload, entry.payload.get("event"), entry.op_id or ""
        found: list[tuple[str, str, str]] = []
        if event == "tier.assigned":
            found = _tier(payload)
        elif event == "route.chosen":
            found = _route(payload)
        elif event == "ranked":
            found = _ranked(payload)
        elif event == "gates":
            found = await _gates(payload, blob)
        elif event == "grounding.decided":
            found = _grounding(payload)
        elif event == "grounding.judged":
            found = await _ground(payload, blob)
        elif event == "outside.marked":
            found = await _outside(payload, blob)
        elif event in ("webhook.taken", "webhook.refused") and "facts" in payload:
            found = _webhook(payload)
        elif payload.get("decision") == "priority":
            found = await _priority(payload, blob)
        elif payload.get("decision") in DECIDED:
            found = DECIDED[payload["decision"]](payload)
        elif event in ("phase.entered", "terminal"):
            found = _edge(current.get(op), payload)
            current[op] = State(str(payload["to"]))
        count += len(found)
        differences += [
            f"{entry.seq} ({op}): {name} was {recorded}, comes out as {derived}"
            for name, recorded, derived in found
            if recorded != derived
        ]
    return ReplayReport(decisions=count, differences=tuple(differences))


async def replay(ledger: Ledger, *, op_id: str | None) -> ReplayReport:
    """Make every recorded decision of ``op_id`` (None: of all ops) again."""
    kinds = (EntryKind.DECISION, EntryKind.VERDICT, EntryKind.TRANSITION)
    report = await replay_entries(await ledger.entries(op_id=op_id, kinds=kinds), ledger.get_blob)
    if op_id is not None:
        return report
    count, differences = await _trust(ledger)
    return ReplayReport(decisions=report.decisions + count, differences=(*report.differences, *differences))


async def _trust(ledger: Ledger) -> tuple[int, list[str]]:
    """Trust is derived again from every grade of the record, and compared with its table."""
    (_, table), log = await in_table(ledger), (await from_log(ledger)).tallies
    keys = sorted(table.keys() | log.keys(), key=str)
    told = [
        f"trust of {key} is {table.get(key, Tally())}, comes out as {log.get(key, Tally())}"
        for key in keys
        if table.get(key) != log.get(key)
    ]
    return len(keys), told
