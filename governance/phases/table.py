"""The phases in their order. A phase that is done leads to the next one of the list; VERIFY leads to COMPLETE."""

from __future__ import annotations

from governance.phases import apply, approve, classify, expand, gate, generate, plan, route, validate, verify
from governance.pipeline.fsm import StateMachine
from governance.pipeline.phase import PhaseSpec

PHASES: tuple[PhaseSpec, ...] = (
    classify.SPEC,
    route.SPEC,
    expand.SPEC,
    plan.SPEC,
    generate.SPEC,
    validate.SPEC,
    gate.SPEC,
    approve.SPEC,
    apply.SPEC,
    verify.SPEC,
)
"""COMPLETE, the eleventh, is how an op ends: it has no edges, and does what every outcome does (``record_outcome``)."""

MACHINE = StateMachine(PHASES)
