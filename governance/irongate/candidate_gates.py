"""Runs every gate that judges a candidate, and sums their verdicts up. Pure: what was read is in the inspection."""

from __future__ import annotations

from collections.abc import Sequence

from governance.irongate.inspection import Inspection
from governance.irongate.verdicts import denied
from ledger.vocabulary import Decision, Tier, Verdict

SEVERITY = {Decision.ALLOW: 0, Decision.REPAIR: 1, Decision.DENY: 2}


def inspect(inspection: Inspection) -> tuple[Verdict, ...]:
    """The verdicts of all gates that judge candidates, in their order; at least one of each."""
    from governance.irongate import registry  # loads and verifies all gates: not before there is a candidate

    return tuple(verdict for gate in registry.CANDIDATE_GATES for verdict in gate.judge_candidate(inspection))


def decide(verdicts: Sequence[Verdict]) -> tuple[Decision, Tier]:
    """The worst decision and the highest floor. Without verdicts nothing was judged, so nothing is allowed."""
    if not verdicts:
        return Decision.DENY, Tier.SAFE_AUTO
    worst = max((verdict.decision for verdict in verdicts), key=SEVERITY.__getitem__)
    floor = max((verdict.floor for verdict in verdicts if verdict.floor is not None), default=Tier.SAFE_AUTO)
    return worst, floor


def objections(verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """The refusals of a candidate, worst first: one for every rule, with its first reason."""
    if not verdicts:
        return (denied(0, "unjudged", "No gate has judged the candidate."),)
    first: dict[str, Verdict] = {}
    for verdict in sorted(verdicts, key=lambda verdict: -SEVERITY[verdict.decision]):
        if verdict.decision is not Decision.ALLOW:
            first.setdefault(verdict.rule, verdict)
    return tuple(first.values())
