"""The picture of what is said against what comes true, in text and as SVG."""

from __future__ import annotations

from xml.etree import ElementTree

from daemon.record.optable import count_grades
from daemon.views.render_calibration import calibration_block, picture, reliability
from daemon.views.text import show
from governance.grounding.calibration import Bin, Calibration, KindShare, TrustRow
from ledger.events.grounding import About, ClaimOutcome, ClaimsGraded, Graded

VIEW = Calibration(
    records=10,
    closed=9,
    brier_bp=812,
    n=6,
    shares=(KindShare(about=About.CONDITION, records=10, hits=6, misses=2, void=1, brier_bp=812, n=6),),
    bins=(Bin(low_bp=2_000, n=2, mean_bp=2_500, hits=1), Bin(low_bp=9_000, n=4, mean_bp=9_900, hits=4)),
    ops=8,
    incidents=1,
    accepted=4,
    held=3,
    trust=(TrustRow(key="source test_failure", hits=6, n=8, trust_bp=7_000),),
)


def test_the_block_says_all_figures() -> None:
    text = show(calibration_block(VIEW), colour=False)
    assert text.startswith("10 records, 9 closed\n")
    for said in (
        "0.081 over 6", "8 · 12 incidents per hundred · 3 of 4 committed changes held · grounding precision 75 %",
        "6 came true, 2 did not, 1 void, 1 open · brier 0.081 over 6", "70 %   6 of 8       source test_failure",
    ):  # fmt: skip
        assert said in text, text
    assert "fault" not in text
    broken = show(calibration_block(VIEW.model_copy(update={"agrees": False})), colour=False)
    assert "the table of trust is not what the log says" in broken


def test_the_bar_is_what_came_true_and_the_mark_what_was_said() -> None:
    _, low, high = (show([row], colour=False) for row in reliability(VIEW.bins))
    assert "   ######|#####      " in low and low.endswith("50 % of 2")
    assert "|" in high and high.endswith("100 % of 4")


def test_the_svg_has_a_dot_for_each_bin() -> None:
    root = ElementTree.fromstring(picture(VIEW))
    dots = root.findall("{http://www.w3.org/2000/svg}circle")
    assert [(d.get("cx"), d.get("cy")) for d in dots] == [("120", "200"), ("356", "40")]
    assert "Brier 0.081 over 6 claims" in picture(VIEW)


def test_nothing_claimed_is_a_sentence() -> None:
    assert show(calibration_block(Calibration()), colour=False) == "Nothing was claimed yet: no op has run."


def test_what_became_of_an_ops_claims_is_one_line() -> None:
    grades = [
        Graded(record=1, about=About.CONDITION, outcome=ClaimOutcome.HIT),
        Graded(record=2, about=About.REPLY, outcome=ClaimOutcome.MISS),
        Graded(record=3, about=About.REPLY, outcome=ClaimOutcome.HIT),
        Graded(record=4, about=About.REPLY, outcome=ClaimOutcome.MISS),
    ]
    said = ClaimsGraded(why="done", grades=tuple(grades))
    assert count_grades(said) == "condition hit · reply 2 miss, 1 hit (done)"
    again = [grades[0].model_copy(update={"outcome": ClaimOutcome.MISS, "was": ClaimOutcome.HIT})]
    undone = ClaimsGraded(why="undone", grades=tuple(again))
    assert count_grades(undone) == "now condition miss (undone)"
