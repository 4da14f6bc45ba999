"""How often each phase may send an op back; bounds every loop of the state machine. Pure."""

from __future__ import annotations

from governance.pipeline.dossier import Dossier
from governance.settings import GovernanceSettings, PipelineSettings
from ledger.vocabulary import RootCause, State

VERIFY_RETRIES = 1
STALE_RETRIES = 2
WAITED = "another op changed the file meanwhile; this one looks afresh"
"""Reason of a step back that is not due to the candidate."""
COLLAPSE = "generate.collapse"
"""Feedback rule of an attempt whose answer collapsed."""


def limit(origin: State, wanted: State, settings: PipelineSettings) -> int | None:
    """How often an op may take this edge; None for forward edges, which are unlimited."""
    if wanted is State.GENERATE:
        return {
            State.GENERATE: settings.generate_retries,
            State.VALIDATE: settings.validate_retries + 1,  # the last one is L2 repair
            State.GATE: settings.validate_retries,
            State.VERIFY: VERIFY_RETRIES,
        }.get(origin)
    if origin is State.APPLY and wanted is State.PLAN:
        return STALE_RETRIES
    return None


def may_return(origin: State, wanted: State, dossier: Dossier, settings: GovernanceSettings) -> bool:
    """False when the edge has been taken as often as allowed. Collapses have a limit of their own."""
    collapses = regroundings(dossier)
    if collapses and dossier.feedback[-1].rule == COLLAPSE:
        return collapses <= settings.grounding.regroundings
    bound = limit(origin, wanted, settings.pipeline)
    return bound is None or sum(f.phase is origin and f.rule != COLLAPSE for f in dossier.feedback) <= bound


def regroundings(dossier: Dossier) -> int:
    """How often the op's answers have collapsed."""
    return sum(f.rule == COLLAPSE for f in dossier.feedback)


def wants_repair(dossier: Dossier, settings: PipelineSettings) -> bool:
    """True when VALIDATE's retries are used up, or VERIFY failed: GENERATE then runs L2 repair."""
    validate = sum(f.phase is State.VALIDATE for f in dossier.feedback)
    verify = sum(f.phase is State.VERIFY for f in dossier.feedback)
    return validate > settings.validate_retries or verify > 0


def wanted_again(state: State, cause: RootCause) -> bool:
    """True when the signals of an op that ended this way are queued again.

    That is after a stop of the daemon or when the day's budget ran out. A CANCELLED op does not count as an attempt.
    """
    out_of_money = state is State.CANCELLED and cause is RootCause.BUDGET_EXHAUSTED
    return cause is RootCause.CRASH_RECOVERED or out_of_money
