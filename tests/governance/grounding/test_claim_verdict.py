"""What GATE makes of the ground: too little evidence is gathered once, too little trust asks a person."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from governance.grounding.claim_verdict import GroundingFacts, GroundingVerdict, judge
from governance.grounding.policy import EVEN_BP, PolicySettings, grounding
from governance.grounding.sources import weight_of
from ledger.events.grounding import Band, weight_bp
from ledger.vocabulary import Complexity, Tier

FACTS = st.builds(
    GroundingFacts,
    risk=st.sampled_from(Tier),
    complexity=st.sampled_from(Complexity),
    trust_bp=st.integers(0, 10_000),
    proximity_milli=st.integers(0, 1_000),
    sources=st.lists(st.text("abc", min_size=1, max_size=3), unique=True, max_size=9).map(tuple),
    again=st.booleans(),
    settings=st.builds(PolicySettings, policy=st.booleans(), more_sources=st.integers(0, 2)),
    stale=st.dictionaries(st.text("abc", min_size=1, max_size=3), st.sampled_from(Band)).map(lambda d: (*d.items(),)),
)


def facts(sources: str, **more: object) -> GroundingFacts:
    plain = {"risk": Tier.SAFE_AUTO, "complexity": Complexity.SIMPLE, "trust_bp": EVEN_BP, "proximity_milli": 0}
    fields = {"sources": tuple(sources.split()), "again": True, "settings": PolicySettings()}
    return GroundingFacts.model_validate(plain | fields | more)


def test_enough_of_both_is_no_objection() -> None:
    found = judge(facts("file:a.py tests"))
    assert (found.stand, found.why, found.min_sources) == (GroundingVerdict.ACT, "", 2)


def test_too_few_sources_are_gathered_once_then_a_person_is_asked() -> None:
    thin = facts("file:a.py")
    assert judge(thin).stand is GroundingVerdict.REGROUND
    assert "1 of 2 independent sources (file:a.py)" in judge(thin).why
    assert judge(thin.model_copy(update={"again": False})).stand is GroundingVerdict.ASK


def test_stale_sources_are_not_whole_ones() -> None:
    old = facts("file:a.py said:github_issue", stale=(("said:github_issue", Band.OLDER),))
    found = judge(old)
    assert found.stand is GroundingVerdict.REGROUND
    assert found.why == "1.25 of 2 independent sources (file:a.py, said:github_issue (older))"
    assert judge(facts("file:a.py said:github_issue tests", stale=old.stale)).stand is GroundingVerdict.ACT


def test_too_little_trust_is_not_mended_by_looking_again() -> None:
    doubted = facts("a b c d e", trust_bp=1_500)
    assert judge(doubted).stand is GroundingVerdict.ASK and "trust 0.15 of 0.20 for SAFE_AUTO" in judge(doubted).why
    assert judge(facts("a b c d e", trust_bp=1_500, risk=Tier.NOTIFY_APPLY)).stand is GroundingVerdict.ACT
    assert judge(facts("a b c d e", trust_bp=0, risk=Tier.APPROVAL_REQUIRED)).stand is GroundingVerdict.ACT


def test_a_restless_answer_needs_more_and_a_collapsed_one_never_acts() -> None:
    assert judge(facts("file:a.py tests", proximity_milli=600)).stand is GroundingVerdict.REGROUND
    assert judge(facts("file:a.py tests search", proximity_milli=600)).stand is GroundingVerdict.ACT
    assert judge(facts("a b c d e f g h", proximity_milli=900)).stand is GroundingVerdict.REGROUND
    assert judge(facts("a b c d e f g h", proximity_milli=900, again=False)).stand is GroundingVerdict.ASK


def test_without_the_policy_neither_sources_nor_trust_count_and_a_collapse_does() -> None:
    off = PolicySettings(policy=False)
    assert judge(facts("", settings=off, trust_bp=0, proximity_milli=800)).stand is GroundingVerdict.ACT
    assert judge(facts("a b c d e f", settings=off, proximity_milli=880, again=False)).stand is GroundingVerdict.ASK


@given(FACTS)
def test_it_acts_only_where_the_policy_does(known: GroundingFacts) -> None:
    found = judge(known)
    asked = grounding(known.risk, known.complexity, known.trust_bp, known.proximity_milli, known.settings)
    enough = weight_of(known.sources, known.stale) >= 10_000 * asked.min_sources
    assert (found.stand is GroundingVerdict.ACT) == (asked.act and enough)
    assert (found.stand is GroundingVerdict.ACT) == (not found.why)
    assert known.again or found.stand is not GroundingVerdict.REGROUND


@given(FACTS, st.integers(0, 1_000), st.integers(0, 10_000), st.sampled_from(Band))
def test_worse_ground_never_makes_it_act(known: GroundingFacts, proximity: int, trust: int, band: Band) -> None:
    bands = dict(known.stale)
    aged = ((name, min(bands.get(name, Band.NOW), band, key=weight_bp)) for name in known.sources)
    worse = known.model_copy(
        update={
            "proximity_milli": max(known.proximity_milli, proximity),
            "trust_bp": min(known.trust_bp, trust),
            "sources": known.sources[1:],
            "stale": tuple(aged),
        }
    )
    assert judge(known).stand is GroundingVerdict.ACT or judge(worse).stand is not GroundingVerdict.ACT
