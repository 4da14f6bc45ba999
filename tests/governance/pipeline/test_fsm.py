"""The state machine: complete, closed, COMPLETE only from VERIFY, and derived from what the phases declare."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.phases.table import MACHINE, PHASES
from governance.pipeline.fsm import ABORTS, StateMachine, Table, check_table
from governance.pipeline.phase import PhaseSpec, ResultKind
from ledger.errors import TransitionRefused
from ledger.vocabulary import OpOutcome, Phase, State

STATES = st.sampled_from(list(MACHINE.table))
ENDS = frozenset(ABORTS.values())


@settings(deadline=None)
@given(st.lists(STATES, max_size=40))
def test_no_walk_leaves_the_table(wanted: list[State]) -> None:
    current: State = MACHINE.start
    walked = [current]
    for state in wanted:
        if state in MACHINE.table[current]:
            MACHINE.check_transition(current, state)
            current = state
            walked.append(current)
        else:
            with pytest.raises(TransitionRefused):
                MACHINE.check_transition(current, state)
    if OpOutcome.COMPLETE in walked:
        assert walked[walked.index(OpOutcome.COMPLETE) - 1] is Phase.VERIFY
        assert walked[-1] is OpOutcome.COMPLETE
    if isinstance(walked[-1], OpOutcome):
        assert sum(isinstance(s, OpOutcome) for s in walked) == 1


@settings(deadline=None)
@given(STATES)
def test_every_phase_can_be_aborted_and_no_outcome_can_be_left(state: State) -> None:
    if isinstance(state, OpOutcome):
        assert not MACHINE.table[state]
    else:
        assert MACHINE.table[state] >= ENDS


@pytest.mark.parametrize(
    "change",
    [
        {Phase.GATE: frozenset({Phase.APPROVE, OpOutcome.COMPLETE}) | ENDS},  # a second way into COMPLETE
        {Phase.ROUTE: frozenset()},  # a phase that cannot end
        {OpOutcome.NOOP: frozenset({Phase.GENERATE})},  # an outcome with a way out
        {Phase.CLASSIFY: ENDS},  # everything else is out of reach
        {Phase.ROUTE: frozenset({Phase("ELSEWHERE")}) | MACHINE.table[Phase.ROUTE]},  # a phase that is not there
    ],
)
def test_a_broken_table_is_refused(change: Table) -> None:
    with pytest.raises(TransitionRefused):
        check_table({**MACHINE.table, **change}, MACHINE.start)


def test_eleven_phases() -> None:
    assert len((*MACHINE.phases, OpOutcome.COMPLETE)) == 11


@pytest.mark.parametrize(
    "broken",
    [
        {Phase.VALIDATE: {"returns": None}},  # a loop without a bound
        {Phase.ROUTE: {"returns": lambda settings: 1}},  # a bound without a loop
        {Phase.GATE: {"edges": {ResultKind.DONE: OpOutcome.NOOP}, "returns": None}},  # nothing leads to APPROVE
        {Phase.VERIFY: {"edges": {ResultKind.DONE: Phase.GENERATE}}},  # nothing is ever complete
    ],
)
def test_a_broken_declaration_is_refused(broken: dict[Phase, dict[str, object]]) -> None:
    with pytest.raises(TransitionRefused):
        StateMachine([replace(spec, **broken.get(spec.name, {})) for spec in PHASES])


def test_a_result_without_an_edge_is_refused_by_name() -> None:
    with pytest.raises(TransitionRefused, match="PLAN has no edge for the result stale"):
        MACHINE.next_state(Phase.PLAN, ResultKind.STALE)


def test_a_phase_is_named_by_its_output_and_leads_to_the_next_of_the_list() -> None:
    assert [spec.name for spec in PHASES][:3] == [Phase.CLASSIFY, Phase.ROUTE, Phase.CONTEXT_EXPANSION]
    for spec, then in pairwise(PHASES):
        assert MACHINE.next_state(spec.name, ResultKind.DONE) is then.name
    assert MACHINE.next_state(Phase.VERIFY, ResultKind.DONE) is OpOutcome.COMPLETE
    assert isinstance(PHASES[0], PhaseSpec)
