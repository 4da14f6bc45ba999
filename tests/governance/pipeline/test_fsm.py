"""The transition table: complete, closed, and COMPLETE only from VERIFY."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.pipeline import fsm
from ledger.errors import TransitionRefused
from ledger.vocabulary import TERMINAL, State

STATES = st.sampled_from(list(State))


@settings(deadline=None)
@given(st.lists(STATES, max_size=40))
def test_no_walk_leaves_the_table(wanted: list[State]) -> None:
    current, walked = fsm.START, [fsm.START]
    for state in wanted:
        if state in fsm.TABLE[current]:
            current = fsm.transition(current, state)
            walked.append(current)
        else:
            with pytest.raises(TransitionRefused):
                fsm.transition(current, state)
    if State.COMPLETE in walked:
        assert walked[walked.index(State.COMPLETE) - 1] is State.VERIFY
        assert walked[-1] is State.COMPLETE
    if walked[-1] in TERMINAL:
        assert sum(s in TERMINAL for s in walked) == 1


@settings(deadline=None)
@given(STATES)
def test_every_phase_can_be_aborted_and_no_terminal_can_be_left(state: State) -> None:
    if state in TERMINAL:
        assert not fsm.TABLE[state]
    else:
        assert fsm.TABLE[state] >= fsm.ABORTS


@pytest.mark.parametrize(
    "change",
    [
        {State.GATE: frozenset({State.APPROVE, State.COMPLETE}) | fsm.ABORTS},  # a second way into COMPLETE
        {State.ROUTE: frozenset()},  # a phase that cannot end
        {State.NOOP: frozenset({State.GENERATE})},  # a terminal with a way out
        {State.CLASSIFY: fsm.ABORTS},  # everything else is out of reach
    ],
)
def test_a_broken_table_is_refused(change: dict[State, frozenset[State]]) -> None:
    with pytest.raises(TransitionRefused):
        fsm.check_table({**fsm.TABLE, **change})


def test_eleven_phases() -> None:
    assert len(fsm.PHASES) == 11
