"""Trust is advice: whatever it says, no tier is lower, no gate is skipped and no limit is wider for it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from daemon.record.replay import replay_entries
from governance.grounding.claims import change, condition, goal_key, preferred_bp, source_key
from governance.grounding.trust import Tally, Trust, trust_bp
from governance.grounding.trust_lookup import confidence_of, doubts, lookup_tallies
from governance.phases.route import route
from governance.pipeline.context import OpClock, OpContext, OpResources
from governance.pipeline.dossier import Classification, Dossier, Routing
from governance.pipeline.routes import choose_route
from governance.record import Recorder
from governance.repair.ranking import Merits, order_of
from governance.risk.ladder import ChangeFacts, assess
from ledger.clock import ManualClock
from ledger.confidence import CERTAIN_BP
from ledger.events.grounding import About, Band, ClaimOutcome, Graded, TrustKey, band_of, weight_bp
from ledger.store import Ledger
from ledger.vocabulary import Complexity, Route, Source, SourceClass, Tier, Urgency
from tests.governance.ops import candidate, modify, operation, signal
from tests.governance.shopfloor import Priced, bare_shop

ANY_BP = st.integers(0, 10_000)
TALLIES = st.builds(lambda hits, misses: Tally(hits, hits + misses), st.integers(0, 50), st.integers(0, 50))
OP = operation()
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
CANDIDATE = candidate(modify("shop/cart.py", b"x = 1\n", b"x = 2\n"))


def trusting(tallies: dict[TrustKey, Tally]) -> Trust:
    """A trust that says this, as the grades would have made it."""
    trust = Trust()
    for key, tally in tallies.items():
        for number in range(tally.n):
            outcome = ClaimOutcome.HIT if number < tally.hits else ClaimOutcome.MISS
            trust.learn(Graded(record=number + 1, about=About.CHANGE, outcome=outcome, keys=(key,)))
    return trust


KEYS = tuple(TrustKey.of(each.key) for each in lookup_tallies(OP, CANDIDATE, Route.STANDARD, Trust()))
TRUSTS = st.dictionaries(st.sampled_from(KEYS), TALLIES).map(trusting)


@given(trust=TRUSTS, lines=st.integers(0, 800), floor=st.sampled_from(sorted(Tier)))
def test_what_trust_says_at_gate_are_reasons_and_no_tier(trust: Trust, lines: int, floor: Tier) -> None:
    known = lookup_tallies(OP, CANDIDATE, Route.STANDARD, trust)
    facts = ChangeFacts(paths=("shop/cart.py",), changed_lines=lines)
    assessment = assess(facts, floors=((floor, "somebody says so"),))
    told = (*assessment.reasons, *doubts(known))
    assert assessment.tier >= floor and told[: len(assessment.reasons)] == assessment.reasons
    weak = [each for each in known if each.outcomes >= 3 and 2 * (1 + each.hits) < 2 + each.outcomes]
    assert len(doubts(known)) == len(weak)


def test_two_failures_are_no_habit() -> None:
    key = KEYS[0]
    for misses, told in ((2, 0), (3, 1)):
        trust = trusting({key: Tally(0, misses)})
        assert len(doubts(lookup_tallies(OP, CANDIDATE, Route.STANDARD, trust))) == told
    assert doubts(lookup_tallies(OP, CANDIDATE, Route.STANDARD, trust)) == (f"{key} came true 0 of 3 times so far",)


@given(
    complexity=st.sampled_from(sorted(Complexity)), source=st.sampled_from(sorted(SourceClass)),
    urgency=st.sampled_from(sorted(Urgency)), confidence_bp=ANY_BP,
)  # fmt: skip
def test_doubt_only_takes_the_fast_lane_away(
    complexity: Complexity, source: SourceClass, urgency: Urgency, confidence_bp: int
) -> None:
    doubted, _ = choose_route(complexity=complexity, source=source, urgency=urgency, confidence_bp=confidence_bp)
    certain, _ = choose_route(complexity=complexity, source=source, urgency=urgency, confidence_bp=CERTAIN_BP)
    assert doubted is certain or (certain, doubted) == (Route.IMMEDIATE, Route.STANDARD)


@given(merits=st.lists(st.builds(
    Merits, newly_red=st.integers(0, 2), still_red=st.integers(0, 2), is_shortcut=st.booleans(),
    passed=st.integers(0, 5), gain_milli=st.none() | st.integers(-3_000, 3_000), size=st.integers(0, 60),
    trust_bp=ANY_BP, votes=st.integers(0, 3), logprob_milli=st.integers(-5_000, 0),
), min_size=2, max_size=8))  # fmt: skip
def test_trust_tells_apart_only_what_tests_and_model_find_equal(merits: list[Merits]) -> None:
    best = min(merits, key=order_of)
    blind = min(order_of(each.model_copy(update={"trust_bp": 0}))[:7] for each in merits)
    assert order_of(best)[:7] == blind
    equals = [each for each in merits if order_of(each)[:7] == blind]
    assert best.trust_bp == max(each.trust_bp for each in equals)


def test_a_source_that_cries_wolf_loses_its_confidence_and_a_person_never() -> None:
    trust = trusting({source_key(source): Tally(0, 8) for source in (Source("test_failure"), Source.MANUAL)})
    assert confidence_of(OP, trust).calibrated_bp == 2_000
    assert confidence_of(operation(signal()), trust).calibrated_bp == 10_000
    assert condition(operation(signal()), NOW).keys == ()


def test_bands_and_weights_go_down_with_age() -> None:
    now = NOW
    said = condition(operation(base="c" * 40), now)
    assert said.band is Band.OLDER and condition(OP, now).band is Band.THIS_CHANGE
    assert band_of(now, now=now, same_commit=False) is Band.THIS_WEEK
    assert [weight_bp(band) for band in Band] == sorted((weight_bp(band) for band in Band), reverse=True)


@given(gain=st.integers(-20_000, 20_000), others=st.lists(st.none() | st.integers(-20_000, 20_000), max_size=5))
def test_a_share_of_likelihood_is_a_confidence(gain: int, others: list[int | None]) -> None:
    said = preferred_bp(gain, others)
    assert said is not None and 0 <= said <= 10_000
    more = preferred_bp(gain, [*others, gain])
    assert more is not None and more <= said
    assert preferred_bp(None, others) is None


def test_the_change_says_by_which_way_it_was_found() -> None:
    made = change(OP, CANDIDATE, route="STANDARD", evidence="verified", confidence_bp=None, way="replace line")
    assert {str(key) for key in made.keys} == {
        "provider scripted", "route STANDARD", "strategy conversation", "strategy conversation/replace line",
        str(goal_key(OP)),
    }  # fmt: skip
    assert trust_bp(Tally()) == 5_000


async def test_doubt_gives_an_op_no_more_time(ledger: Ledger, clock: ManualClock) -> None:
    """The route of the phase, with real clocks; and a replay finds what was consulted in the record."""
    urgent = operation(urgency=Urgency.CRITICAL)
    sized = Dossier(
        classification=Classification(
            tier=Tier.SAFE_AUTO, complexity=Complexity.SIMPLE, change_type="x", rule=12, reasons=(), blast_bp=0
        )
    )
    told = []
    for trust in (Trust(), trusting({source_key(Source("test_failure")): Tally(0, 8)})):
        services = bare_shop(clock, provider=Priced(), trust=trust)
        record = Recorder(ledger, op_id="op-1")
        limit = OpClock(loop_time=asyncio.get_running_loop().time(), limit_s=3_600)
        ctx = OpContext(services=services, record=record, client=None, clock=limit, resources=OpResources())  # type: ignore[arg-type]
        async with asyncio.timeout(limit.limit_s) as timeout:
            limit.start(timeout)
            output = (await route(urgent, sized, ctx)).output
        assert isinstance(output, Routing) and limit.limit_s == output.op_ms / 1000
        told.append(output)
    sure, doubted = told
    assert (sure.route, doubted.route) == (Route.IMMEDIATE, Route.STANDARD)
    assert (doubted.turn_ms, doubted.op_ms) == (sure.turn_ms, sure.op_ms)
    entries = await ledger.entries()
    assert [e.payload["confidence"]["hits"] for e in entries] == [0, 0]
    report = await replay_entries(entries, ledger.get_blob)
    assert (report.decisions, report.differences) == (2, ())
    worse = entries[1].payload | {"confidence": {"asserted_bp": 10_000, "hits": 8, "outcomes": 8}}
    assert (await replay_entries([entries[1].model_copy(update={"payload": worse})], ledger.get_blob)).differences
