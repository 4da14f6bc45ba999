"""Phase outputs are checked where they are merged."""

from __future__ import annotations

import pytest

from governance.phases.table import MACHINE
from governance.pipeline.dossier import COLLAPSE_RULE, ChangePlan, Classification, Dossier, Feedback, Routing
from governance.pipeline.retries import may_return, wants_repair
from governance.settings import GovernanceSettings, PipelineSettings
from ledger.errors import PhaseContract
from ledger.vocabulary import Complexity, Phase, Route, Tier

CLASSIFIED = Classification(
    tier=Tier.SAFE_AUTO, complexity=Complexity.SIMPLE, change_type="x", rule=12, reasons=("r",), blast_bp=0
)
ROUTED = Routing(route=Route.STANDARD, reason="r", turn_ms=1, op_ms=1)


def test_an_output_of_another_phase_is_refused() -> None:
    with pytest.raises(PhaseContract, match="ROUTE returned Classification"):
        Dossier().merge(Phase.ROUTE, CLASSIFIED)


def test_an_earlier_phase_drops_what_later_ones_said() -> None:
    dossier = Dossier().merge(Phase.CLASSIFY, CLASSIFIED).merge(Phase.ROUTE, ROUTED).merge(Phase.PLAN, ChangePlan())
    again = dossier.merge(Phase.ROUTE, ROUTED)
    assert again.classification == CLASSIFIED
    assert again.plan is None


def test_a_plan_may_raise_the_complexity_and_never_lower_it() -> None:
    dossier = Dossier().merge(Phase.CLASSIFY, CLASSIFIED)
    assert dossier.merge(Phase.PLAN, ChangePlan(complexity=Complexity.COMPLEX)).complexity is Complexity.COMPLEX
    assert dossier.merge(Phase.PLAN, ChangePlan(complexity=Complexity.TRIVIAL)).complexity is Complexity.SIMPLE


def test_a_dossier_survives_being_stored() -> None:
    dossier = Dossier().merge(Phase.CLASSIFY, CLASSIFIED).with_feedback(
        Feedback(phase=Phase.VALIDATE, rule="r", text="t")
    )  # fmt: skip
    assert Dossier.model_validate_json(dossier.model_dump_json()) == dossier


@pytest.mark.parametrize(
    ("origin", "times", "allowed"),
    [
        (Phase.GENERATE, 2, True),
        (Phase.GENERATE, 3, False),
        (Phase.VALIDATE, 3, True),
        (Phase.VALIDATE, 4, False),
        (Phase.VERIFY, 1, True),
        (Phase.VERIFY, 2, False),
    ],
)
def test_every_loop_is_bounded(origin: Phase, times: int, allowed: bool) -> None:
    dossier = Dossier()
    for _ in range(times):
        dossier = dossier.with_feedback(Feedback(phase=origin, rule="r", text="t"))
    assert may_return(MACHINE.phases[origin], dossier, GovernanceSettings()) is allowed


@pytest.mark.parametrize("most", [0, 1, 2])
def test_a_collapse_is_asked_for_again_so_often_and_no_other_retry_is_lost_by_it(most: int) -> None:
    settings = GovernanceSettings.model_validate({"grounding": {"regroundings": most}})
    dossier = Dossier()
    for number in range(1, 4):
        dossier = dossier.with_feedback(Feedback(phase=Phase.GENERATE, rule=COLLAPSE_RULE, text="t"))
        assert may_return(MACHINE.phases[Phase.GENERATE], dossier, settings) is (number <= most)
    dossier = dossier.with_feedback(Feedback(phase=Phase.GENERATE, rule="generate.edits", text="t"))
    assert may_return(MACHINE.phases[Phase.GENERATE], dossier, settings)


def test_repair_begins_when_retries_are_spent() -> None:
    dossier, settings = Dossier(), PipelineSettings()
    for expected in (False, False, True):
        dossier = dossier.with_feedback(Feedback(phase=Phase.VALIDATE, rule="r", text="t"))
        assert wants_repair(dossier, settings) is expected
