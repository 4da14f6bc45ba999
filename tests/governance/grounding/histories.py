"""Ledgers full of graded claims, for tests of trust and of calibration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from hypothesis import strategies as st

from governance.grounding.trust import update_statements
from ledger.events.grounding import About, Band, ClaimMade, ClaimOutcome, ClaimsGraded, Graded, TrustKey
from ledger.store import Ledger
from ledger.vocabulary import Draft, Entry

KEYS = (
    TrustKey(kind="source", name="test_failure"),
    TrustKey(kind="provider", name="local"),
    TrustKey(kind="strategy", name="cloze/replace line"),
)


def record(about: About = About.CHANGE, confidence_bp: int | None = 7_000, *keys: TrustKey) -> ClaimMade:
    return ClaimMade(
        about=about, claim="it is mended", evidence="3 of 3 tests", confidence_bp=confidence_bp, source="somebody",
        keys=keys or KEYS[:1], band=Band.NOW,
    )  # fmt: skip


def claims_of(*records: ClaimMade) -> list[Draft]:
    return [r.draft(op_id="op-1") for r in records]


def grades_of(grades: Sequence[Graded], why: str = "the op ended") -> Draft:
    return ClaimsGraded(why=why, grades=tuple(grades), beyond=0).draft(op_id="op-1")


def grade(seq: int, of: ClaimMade, outcome: ClaimOutcome, was: ClaimOutcome | None = None) -> Graded:
    return Graded(
        record=seq, about=of.about, outcome=outcome, was=was, confidence_bp=of.confidence_bp, keys=of.keys
    )  # fmt: skip


async def land(ledger: Ledger, *grades: Graded) -> Entry:
    """One entry of grades, as the daemon appends it: with what moves the table."""
    (entry,) = await ledger.append(grades_of(grades), project=update_statements(grades))
    return entry


# Which claim is graded how; a claim that comes again is graded anew.
STEPS = st.lists(
    st.tuples(
        st.integers(0, 11),
        st.sampled_from(sorted(About)),
        st.sampled_from(sorted(ClaimOutcome)),
        st.none() | st.integers(0, 10_000),
        st.lists(st.sampled_from(KEYS), min_size=1, max_size=3, unique=True).map(tuple),
    ),
    max_size=40,
)  # fmt: skip
Step = tuple[int, About, ClaimOutcome, int | None, tuple[TrustKey, ...]]


def grades_from(steps: Iterable[Step]) -> list[Graded]:
    """The grades of some claims in order, each with what it replaces."""
    known: dict[int, Graded] = {}
    grades = []
    for number, about, outcome, confidence_bp, keys in steps:
        before = known.get(number)
        if before is None:
            made = Graded(record=number + 1, about=about, outcome=outcome, confidence_bp=confidence_bp, keys=keys)
        else:
            made = before.model_copy(update={"outcome": outcome, "was": before.outcome})
        known[number] = made
        grades.append(made)
    return grades
