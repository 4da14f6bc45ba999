"""The state machine of an op, derived from the declared phases and checked for completeness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from governance.pipeline.phase import PhaseSpec, ResultKind
from ledger.errors import TransitionRefused
from ledger.vocabulary import OpOutcome, Phase, State

ABORTS: Mapping[ResultKind, OpOutcome] = {
    ResultKind.FAILED: OpOutcome.POSTMORTEM,
    ResultKind.CANCELLED: OpOutcome.CANCELLED,
    ResultKind.BROKEN: OpOutcome.FAILED_PERMANENT,
}
"""Edges that every phase has."""

Table = Mapping[State, frozenset[State]]
"""The states that may follow each state."""


class StateMachine:
    """``phases`` in their order; the last one leads to COMPLETE. Raises ``TransitionRefused`` for a broken list."""

    def __init__(self, phases: Sequence[PhaseSpec]) -> None:
        self.phases: Mapping[Phase, PhaseSpec] = {spec.name: spec for spec in phases}
        self.start = phases[0].name
        follows: list[State] = [*(spec.name for spec in phases[1:]), OpOutcome.COMPLETE]
        self.edges: Mapping[Phase, Mapping[ResultKind, State]] = {
            spec.name: {ResultKind.DONE: then, **spec.edges, **ABORTS}
            for spec, then in zip(phases, follows, strict=True)
        }
        table: dict[State, frozenset[State]] = {outcome: frozenset() for outcome in OpOutcome}
        self.table: Table = table | {phase: frozenset(edges.values()) for phase, edges in self.edges.items()}
        check_table(self.table, self.start)
        self._check_returns()

    def next_state(self, phase: Phase, kind: ResultKind) -> State:
        """The state after ``phase`` with such a result. Raises ``TransitionRefused`` for a result without an edge."""
        if kind not in self.edges[phase]:
            raise TransitionRefused(
                f"{phase} has no edge for the result {kind}.", remedy=f"It has: {', '.join(self.edges[phase])}."
            )
        return self.edges[phase][kind]

    def check_transition(self, current: State, wanted: State) -> None:
        """Raise ``TransitionRefused`` when no edge leads from ``current`` to ``wanted``."""
        allowed = self.table.get(current, frozenset())
        if wanted not in allowed:
            names = ", ".join(sorted(allowed)) or "nothing: it is terminal"
            raise TransitionRefused(f"{current} may not go to {wanted}.", remedy=f"Allowed: {names}.")

    def _check_returns(self) -> None:
        order = list(self.phases)
        for number, spec in enumerate(self.phases.values()):
            back = set(order[: number + 1]) & self.table[spec.name]
            if bool(back) != (spec.returns is not None):
                raise TransitionRefused(f"{spec.name} must declare `returns` if, and only if, an edge leads back.")


def check_table(table: Table, start: State) -> None:
    """Raise ``TransitionRefused`` for an unreachable state, an outcome with exits, or a phase that cannot end."""
    reached, frontier = {start}, [start]
    while frontier:
        for after in table.get(frontier.pop(), frozenset()) - reached:
            reached.add(after)
            frontier.append(after)
    for state in reached ^ table.keys():
        raise TransitionRefused(f"{state} is not a phase of the list, or cannot be reached from {start}.")
    for state, exits in table.items():
        if isinstance(state, OpOutcome) == bool(exits):
            raise TransitionRefused(f"{state} has the wrong exits.")
        if exits and not any(isinstance(after, OpOutcome) for after in exits):
            raise TransitionRefused(f"{state} cannot end.")
    into_complete = {state for state, exits in table.items() if OpOutcome.COMPLETE in exits}
    if into_complete != {Phase.VERIFY}:
        raise TransitionRefused(f"COMPLETE must be reachable from VERIFY only, not from {sorted(into_complete)}.")
