"""The phase transition table, checked for completeness at import."""

from __future__ import annotations

from collections.abc import Mapping

from ledger.errors import TransitionRefused
from ledger.vocabulary import TERMINAL, State

ABORTS = frozenset({State.POSTMORTEM, State.CANCELLED, State.FAILED_PERMANENT})
"""States that every non-terminal phase may enter as well."""

FORWARD: Mapping[State, frozenset[State]] = {
    State.CLASSIFY: frozenset({State.ROUTE, State.BLOCKED}),
    State.ROUTE: frozenset({State.CONTEXT_EXPANSION, State.PLAN, State.GENERATE}),
    State.CONTEXT_EXPANSION: frozenset({State.PLAN, State.GENERATE}),
    State.PLAN: frozenset({State.GENERATE}),
    State.GENERATE: frozenset({State.VALIDATE, State.GENERATE, State.NOOP}),
    State.VALIDATE: frozenset({State.GATE, State.GENERATE}),
    State.GATE: frozenset({State.APPROVE, State.GENERATE, State.BLOCKED}),
    State.APPROVE: frozenset({State.APPLY}),
    State.APPLY: frozenset({State.VERIFY, State.PLAN}),
    State.VERIFY: frozenset({State.COMPLETE, State.GENERATE, State.NOOP}),
}

TABLE: Mapping[State, frozenset[State]] = {
    state: (FORWARD[state] | ABORTS) if state in FORWARD else frozenset() for state in State
}

START = State.CLASSIFY
PHASES: tuple[State, ...] = (*FORWARD, State.COMPLETE)


def check_table(table: Mapping[State, frozenset[State]]) -> None:
    """Raise ``TransitionRefused`` for an unreachable phase, a terminal with exits, or a phase that cannot end."""
    reached, frontier = {START}, [START]
    while frontier:
        for after in table[frontier.pop()] - reached:
            reached.add(after)
            frontier.append(after)
    for state in State:
        if state not in reached:
            raise TransitionRefused(f"{state} cannot be reached from {START}.")
        if (state in TERMINAL) != (not table[state]):
            raise TransitionRefused(
                f"{state} is {'' if state in TERMINAL else 'not '}terminal but has the wrong exits."
            )
        if state not in TERMINAL and not (table[state] & TERMINAL):
            raise TransitionRefused(f"{state} cannot end.")
    into_complete = {state for state in State if State.COMPLETE in table[state]}
    if into_complete != {State.VERIFY}:
        raise TransitionRefused(f"COMPLETE must be reachable from VERIFY only, not from {sorted(into_complete)}.")


def transition(current: State, wanted: State) -> State:
    """``wanted`` when the table has that edge; raises ``TransitionRefused`` otherwise."""
    if wanted not in TABLE[current]:
        allowed = ", ".join(sorted(TABLE[current])) or "nothing: it is terminal"
        raise TransitionRefused(f"{current} may not go to {wanted}.", remedy=f"Allowed: {allowed}.")
    return wanted


check_table(TABLE)
