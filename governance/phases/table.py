"""Maps states to phase functions."""

from __future__ import annotations

from collections.abc import Mapping

from governance.phases.apply import apply
from governance.phases.approve import approve
from governance.phases.classify import classify
from governance.phases.expand import expand
from governance.phases.gate import gate
from governance.phases.generate import generate
from governance.phases.plan import plan
from governance.phases.route import route
from governance.phases.validate import validate
from governance.phases.verify import verify
from governance.pipeline.orchestrator import Phase
from ledger.vocabulary import State

PHASES: Mapping[State, Phase] = {
    State.CLASSIFY: classify,
    State.ROUTE: route,
    State.CONTEXT_EXPANSION: expand,
    State.PLAN: plan,
    State.GENERATE: generate,
    State.VALIDATE: validate,
    State.GATE: gate,
    State.APPROVE: approve,
    State.APPLY: apply,
    State.VERIFY: verify,
}
"""COMPLETE, the eleventh, is run by the orchestrator itself (:mod:`governance.phases.complete`)."""
