"""Replay: every pure decision of an op is made again from its recorded inputs, and must come out the same."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any

from governance.grounding import claim_verdict
from governance.grounding.policy import PolicySettings, grounding
from governance.grounding.sources import CandidateEvidence, sources_of, stale_of
from governance.grounding.trust import Tally, read_table, trust_from_ledger
from governance.grounding.trust_lookup import Confidence, TrustTally, doubts
from governance.irongate.candidate_gates import inspect
from governance.irongate.inspection import Inspection
from governance.irongate.registry import GATES
from governance.memory.prophecy import floors as floors_of
from governance.memory.prophecy import foretell
from governance.memory.reputation import Reputation
from governance.phases.table import MACHINE
from governance.pipeline.routes import choose_route
from governance.repair.ranking import Merits, order_of
from governance.risk.ladder import ChangeFacts, ComplexityFacts, assess, complexity
from ledger.confidence import CERTAIN_BP
from ledger.errors import TransitionRefused
from ledger.events.check import GatesJudged, InjectionMarked
from ledger.events.event import LedgerEvent, read_event
from ledger.events.intake import LaneGoverned, PostureInferred, PriorityDecided
from ledger.events.model import GroundJudged, ProximityJudged
from ledger.events.op import OpEnded, PhaseEntered, RouteChosen, TierAssigned
from ledger.events.repair import RepairsRanked
from ledger.events.sensing import WebhookRefused, WebhookTaken
from ledger.store import Ledger
from ledger.vocabulary import Entry, EntryKind, Frozen, State, Tier, Verdict
from sensors.intake.goals import GoalFacts, Goals, alignment
from sensors.intake.governing import replay_ruling
from sensors.intake.posture import Signs, infer
from sensors.intake.priority import PriorityInputs, priority

GetBlob = Callable[[str], Awaitable[bytes]]
Compared = list[tuple[str, str, str]]


class ReplayReport(Frozen):
    """``decisions``: how many were made again; ``differences``: a sentence for each that came out otherwise."""

    decisions: int
    differences: tuple[str, ...] = ()


def _tier(event: TierAssigned) -> Compared:
    derived = assess(ChangeFacts.model_validate(event.facts), floors=event.floors)
    found = [("tier", event.tier.name, derived.tier.name), ("rule", str(event.rule), str(derived.rule))]
    if event.size is not None and event.complexity is not None:
        size = ComplexityFacts.model_validate(event.size)
        found.append(("complexity", event.complexity.name, complexity(size).name))
    if event.prophecy is not None:
        found += _prophecy(event.prophecy, assess(ChangeFacts.model_validate(event.facts)).tier, event.floors)
    if event.trust is not None:
        known = [TrustTally.model_validate(row) for row in event.trust]
        found.append(("doubts", "; ".join(event.doubts), "; ".join(doubts(known))))
    return found


def _prophecy(
    payload: Mapping[str, Any], tier: Tier, floors: tuple[tuple[Tier, str], ...]
) -> list[tuple[str, str, str]]:
    """The risk from memory, and the floors that it raised: recorded and derived again."""
    known = tuple(Reputation.model_validate(each) for each in payload["reputations"])
    derived = foretell(known, payload["dependents"])
    said = floors_of(derived, tier)
    heard = tuple(floor for floor in floors if floor in said)
    return [
        ("prophecy", f"{payload['level']} {payload['risk_bp']}", f"{derived.level.name} {derived.risk_bp}"),
        ("what memory raised", str(heard), str(said)),
    ]


def _ranked(event: RepairsRanked) -> Compared:
    rows = [Merits.model_validate(row) for row in event.merits]
    derived = sorted(range(len(rows)), key=lambda number: order_of(rows[number]))
    return [("rank", str(list(range(len(rows)))), str(derived))] if rows else []


def _route(event: RouteChosen) -> Compared:
    if event.complexity is None or event.source is None or event.urgency is None:
        return []
    told = Confidence.model_validate(event.confidence) if event.confidence is not None else None  # new in the record
    derived, _ = choose_route(
        complexity=event.complexity,
        source=event.source,
        urgency=event.urgency,
        confidence_bp=told.calibrated_bp if told else CERTAIN_BP,
    )
    return [("route", event.route.value, derived.value)]


async def _priority(event: PriorityDecided, blob: GetBlob) -> Compared:
    inputs = PriorityInputs.model_validate(event.inputs)
    found = [("priority", str(event.result), str(priority(inputs)))]
    if event.alignment is not None:
        told = event.alignment
        goals, facts = (
            Goals.model_validate_json(await blob(str(told["goals"]))),
            GoalFacts.model_validate(told["facts"]),
        )
        derived = alignment(goals, facts)
        found.append(("alignment", f"{inputs.alignment} {told['why']}", f"{derived.points} {derived.why}"))
    return found


async def _gates(event: GatesJudged, blob: GetBlob) -> Compared:
    """Verdicts on a candidate; those of gates that cannot be replayed are left out."""
    inspection = Inspection.model_validate_json(await blob(event.inspection))
    recorded = by_gate(event.without_secrets or event.verdicts)
    derived = by_gate(await asyncio.to_thread(inspect, inspection))
    gates = sorted(recorded.keys() | derived.keys())
    return [(f"gate {gate}", recorded.get(gate, "silent"), derived.get(gate, "silent")) for gate in gates]


async def _verdict(event: Verdict, facts: str | bytes) -> Compared:
    """One verdict on its recorded facts, in JSON."""
    derived = await asyncio.to_thread(GATES[event.gate].judge, facts)
    return [(f"gate {event.gate}", by_gate([event])[event.gate], by_gate([derived])[event.gate])]


def _grounding(event: ProximityJudged) -> Compared:
    if event.risk is None or event.complexity is None:
        return []
    settings = PolicySettings.model_validate(event.settings)
    derived = grounding(event.risk, event.complexity, event.trust_bp, event.proximity_milli, settings)
    found = derived.model_dump(mode="json")
    return [(f"grounding {name}", str(event.asked.get(name)), str(found[name])) for name in found]


async def _ground(event: GroundJudged, blob: GetBlob) -> Compared:
    facts = claim_verdict.GroundingFacts.model_validate(event.facts)
    evidence = CandidateEvidence.model_validate_json(await blob(event.behind))
    return [
        ("sources", ", ".join(facts.sources), ", ".join(sources_of(evidence))),
        ("time of sources", str(facts.stale), str(stale_of(evidence))),
        ("ground", event.stand, claim_verdict.judge(facts).stand.value),
    ]


def by_gate(verdicts: Iterable[Verdict]) -> dict[int, str]:
    """Decisions, rules and floors of the gates that can be replayed, in order."""
    said: dict[int, list[str]] = {}
    for verdict in verdicts:
        if verdict.gate not in GATES or GATES[verdict.gate].is_replayable:
            floor = "" if verdict.floor is None else f" {verdict.floor.name}"
            said.setdefault(verdict.gate, []).append(f"{verdict.decision.value} {verdict.rule}{floor}")
    return {gate: "; ".join(each) for gate, each in said.items()}


def _edge(current: State | None, event: PhaseEntered | OpEnded) -> Compared:
    origin, wanted = event.origin, event.to
    if origin is None or origin is not (current or MACHINE.start):
        return [("transition", f"from {origin}", f"from {current or MACHINE.start}")]
    if origin is wanted and origin is MACHINE.start and current is None:
        return []
    try:
        MACHINE.check_transition(origin, wanted)
    except TransitionRefused as error:
        return [("transition", f"{origin} -> {wanted}", str(error))]
    return [("transition", wanted.value, wanted.value)]


async def _again(event: LedgerEvent, blob: GetBlob) -> Compared:
    """A decision that was recorded, and as it is made again: name, recorded and derived. Empty for other events."""
    match event:
        case TierAssigned():
            return _tier(event)
        case RouteChosen():
            return _route(event)
        case RepairsRanked():
            return _ranked(event)
        case GatesJudged():
            return await _gates(event, blob)
        case ProximityJudged():
            return _grounding(event)
        case GroundJudged():
            return await _ground(event, blob)
        case InjectionMarked():
            return await _verdict(event, await blob(event.facts))
        case WebhookTaken() | WebhookRefused():
            return await _verdict(event, json.dumps(event.facts)) if event.facts is not None else []
        case PriorityDecided():
            return await _priority(event, blob)
        case LaneGoverned():
            return [(f"governor of {event.lane}", event.result, replay_ruling(event.inputs))]
        case PostureInferred():
            return [("posture", event.result, infer(Signs.model_validate(event.inputs)).posture.value)]
    return []


async def replay_entries(entries: list[Entry], blob: GetBlob) -> ReplayReport:
    """All decisions among ``entries`` (any ops, in the order of the ledger)."""
    count, differences = 0, []
    current: dict[str, State] = {}
    for entry in entries:
        event, op = read_event(entry), entry.op_id or ""
        if isinstance(event, PhaseEntered | OpEnded):
            found = _edge(current.get(op), event)
            current[op] = event.to
        else:
            found = await _again(event, blob)
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
    (_, table), log = await read_table(ledger), (await trust_from_ledger(ledger)).tallies
    keys = sorted(table.keys() | log.keys(), key=str)
    told = [
        f"trust of {key} is {table.get(key, Tally())}, comes out as {log.get(key, Tally())}"
        for key in keys
        if table.get(key) != log.get(key)
    ]
    return len(keys), told
