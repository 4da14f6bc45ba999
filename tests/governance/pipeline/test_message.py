"""Commit messages: short subjects, bodies that a cold reader understands, one of each trailer."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.pipeline.commit_message import SUBJECT, compose, subject
from governance.pipeline.dossier import Dossier, Generation
from ledger.vocabulary import Phase
from tests.governance.ops import candidate, modify, operation, signal


def dossier() -> Dossier:
    made = candidate(modify("shop/cart.py", b"a = 1\n", b"a = 2\n"))
    return Dossier().merge(Phase.GENERATE, Generation(candidate=made))


def test_subject_names_area_and_test() -> None:
    assert subject(operation(), dossier()) == "fix(cart): make test_total pass"


@settings(deadline=None)
@given(st.text(min_size=1, max_size=300).filter(str.strip))
def test_subjects_stay_short_and_on_one_line(goal: str) -> None:
    line = subject(operation(signal(goal=goal)), dossier())
    assert len(line) <= SUBJECT
    assert "\n" not in line


def test_trailers_in_order() -> None:
    text = compose(
        operation(), dossier(), (), closure="Closure: ok.", sandbox="bwrap", identity="O <o@h>", passed=3, total=3,
        co_author="",
    )  # fmt: skip
    names = [name for name, _ in text.trailers]
    assert names == [
        "Ouro-Op", "Ouro-Signal", "Ouro-Risk", "Ouro-Provider", "Ouro-Verified", "Ouro-Evidence", "Ouro-Sandbox",
        "Generated-By", "Signed-off-by",
    ]  # fmt: skip
    assert dict(text.trailers)["Ouro-Verified"] == "3/3 tests, closure closed"
