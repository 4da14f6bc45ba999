"""How often each phase may send an op back; bounds every loop of the state machine. Pure."""

from __future__ import annotations

from governance.pipeline.dossier import COLLAPSE_RULE, Dossier
from governance.pipeline.phase import PhaseSpec
from governance.settings import GovernanceSettings, PipelineSettings
from ledger.vocabulary import Phase


def may_return(spec: PhaseSpec, dossier: Dossier, settings: GovernanceSettings) -> bool:
    """False when the phase has sent the op back as often as allowed. Collapses have a limit of their own."""
    collapses = count_collapses(dossier)
    if collapses and dossier.feedback[-1].rule == COLLAPSE_RULE:
        return collapses <= settings.grounding.regroundings
    sent_back = sum(f.phase is spec.name and f.rule != COLLAPSE_RULE for f in dossier.feedback)
    return spec.returns is None or sent_back <= spec.returns(settings.pipeline)


def count_collapses(dossier: Dossier) -> int:
    """How often the op's answers have collapsed."""
    return sum(f.rule == COLLAPSE_RULE for f in dossier.feedback)


def wants_repair(dossier: Dossier, settings: PipelineSettings) -> bool:
    """True when VALIDATE's retries are used up, or VERIFY failed: GENERATE then runs L2 repair."""
    validate = sum(f.phase is Phase.VALIDATE for f in dossier.feedback)
    verify = sum(f.phase is Phase.VERIFY for f in dossier.feedback)
    return validate > settings.validate_retries or verify > 0
