"""GATE with whatever is remembered and trusted: the tier is never lower than with neither."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from governance.grounding.claims import goal_key
from governance.grounding.grading import OpEnd
from governance.grounding.trust import Tally, Trust
from governance.grounding.trust_lookup import lookup_tallies
from governance.memory.memory import RepositoryMemory
from governance.memory.settings import MemorySettings
from governance.phases.gate import extra_floors, gate
from governance.pipeline.dossier import Classification, Dossier, Gating, Generation, RunReport, Validation
from governance.pipeline.ending import Ending, record_outcome
from governance.pipeline.phase import ResultKind
from governance.record import Recorder
from governance.risk.codebase import Codebases
from governance.risk.ladder import ChangeFacts
from ledger.clock import SystemClock
from ledger.events.grounding import About, ClaimOutcome, Graded, TrustKey
from ledger.events.session import SessionStarted
from ledger.store import Ledger
from ledger.vocabulary import (
    Complexity,
    FailureClass,
    OpOutcome,
    RootCause,
    Route,
    RunStatus,
    Tier,
)
from tests.governance.conftest import REPO_ID
from tests.governance.crewed import crew_in
from tests.governance.ops import candidate, modify, operation
from tests.governance.shopfloor import Priced
from tests.repos import git, make_repo
from tools.repository import Repository

CART, TEST = "shop/cart.py", "tests/test_cart.py"
READ = (CART, TEST, "shop/tax.py", "shop/till.py")  # with the failing test as many sources as low trust asks for
OLD, NEW = b"def total(a, b):\n    return a + b\n", b"def total(a, b):\n    return a - b\n"
CHANGE = candidate(modify(CART, OLD, NEW))
REJECTED = OpEnd(state=OpOutcome.CANCELLED, cause=RootCause.APPROVAL_REJECTED, failure=FailureClass.USER)
FAILED = OpEnd(state=OpOutcome.POSTMORTEM, cause=RootCause.TESTS_FAILED, failure=FailureClass.TEST)
WELL = OpEnd(state=OpOutcome.COMPLETE)
KEYS = [TrustKey.of(each.key) for each in lookup_tallies(operation(), CHANGE, Route.STANDARD, Trust())]
TALLIES = st.dictionaries(st.sampled_from(KEYS), st.tuples(st.integers(0, 40), st.integers(0, 40)))
ENDS = st.lists(st.sampled_from([WELL, FAILED, REJECTED]), max_size=5)


def trusting(tallies: dict[TrustKey, tuple[int, int]]) -> Trust:
    trust = Trust()
    for key, (hits, misses) in tallies.items():
        ends = [ClaimOutcome.HIT] * hits + [ClaimOutcome.MISS] * misses
        for number, outcome in enumerate(ends, start=1):
            trust.learn(Graded(record=number, about=About.CHANGE, outcome=outcome, keys=(key,)))
        assert trust.of(key) == Tally(hits, hits + misses)
    return trust


def dossier(tier: Tier) -> Dossier:
    return Dossier(
        classification=Classification(
            tier=tier, complexity=Complexity.SIMPLE, change_type="x", rule=12, reasons=("r",), blast_bp=0
        ),
        generation=Generation(candidate=CHANGE, reads=dict.fromkeys(READ, ""), failed=(f"{TEST}::test_total",)),
        validation=Validation(runs=(), verdicts=(), suite_ran=True, passed=1, total=1),
    )


async def judged(base: Path, repo: Path, trust: Trust, ends: Sequence[OpEnd], tier: Tier) -> Gating:
    """GATE's word on the same change of a real repository, with this record behind it."""
    clock = SystemClock()
    ledger = await Ledger.open(base / "ledger.sqlite3", repo_id=REPO_ID, clock=clock)
    try:
        memory = RepositoryMemory(ledger=ledger, clock=clock, settings=MemorySettings())
        first = await Recorder(ledger).note(SessionStarted())
        for end in ends:
            past = operation(targets=(CART,))
            ending = Ending(op=past, dossier=Dossier(), state=end.state, cause=end.cause, failure=end.failure)
            await record_outcome(ending, Recorder(ledger, op_id=past.id), memory.lessons, terminal=first.seq)
        async with crew_in(repo, ledger, clock, Priced()) as (ctx, context):  # type: ignore[arg-type]
            repository = Repository(context.git)
            services = replace(
                ctx.services, repository=repository, codebases=Codebases(repository), memory=memory, trust=trust
            )
            op = operation(base=git(repo, "rev-parse", "HEAD"))
            result = await gate(op, dossier(tier), replace(ctx, services=services))
        assert result.kind is not ResultKind.RETRY, result.reason
        assert isinstance(result.output, Gating)
        return result.output
    finally:
        await ledger.close()


def gated(trust: Trust, ends: Sequence[OpEnd] = (), tier: Tier = Tier.SAFE_AUTO) -> Gating:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder).resolve()
        repo = make_repo(base / "repo", {CART: OLD.decode(), TEST: "def test_total():\n    assert False\n"})
        return asyncio.run(judged(base, repo, trust, ends, tier))


@settings(max_examples=12, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))  # on disk: no shrinking
@given(TALLIES, ENDS, st.sampled_from([Tier.SAFE_AUTO, Tier.NOTIFY_APPLY, Tier.APPROVAL_REQUIRED]))
def test_no_record_makes_a_tier_lower(tallies: dict[TrustKey, tuple[int, int]], ends: list[OpEnd], tier: Tier) -> None:
    assert gated(trusting(tallies), ends, tier).tier >= tier


@pytest.mark.parametrize(
    ("tally", "ends", "tier", "said"),
    [
        ((0, 0), [], Tier.SAFE_AUTO, ""),
        ((40, 0), [WELL] * 5, Tier.SAFE_AUTO, ""),
        ((0, 2), [], Tier.SAFE_AUTO, ""),
        ((0, 9), [], Tier.APPROVAL_REQUIRED, "trust 0.09 of 0.20 for SAFE_AUTO"),
        ((0, 0), [REJECTED], Tier.NOTIFY_APPLY, "taken back"),
        ((0, 0), [REJECTED] * 3, Tier.APPROVAL_REQUIRED, "none went well"),
        ((0, 0), [REJECTED] * 3 + [WELL] * 20, Tier.SAFE_AUTO, ""),
    ],
)
def test_what_the_record_makes_of_a_silent_change(
    tally: tuple[int, int], ends: list[OpEnd], tier: Tier, said: str
) -> None:
    found = gated(trusting({goal_key(operation()): tally}), ends)
    assert found.tier is tier and said in " ".join(found.reasons)


@pytest.mark.parametrize(
    ("total", "flaky", "paths", "tier"),
    [
        (1, (), (CART,), Tier.SAFE_AUTO),
        (0, (), (CART,), Tier.APPROVAL_REQUIRED),
        (0, (), ("README.md",), Tier.SAFE_AUTO),
        (2, (f"{TEST}::test_total",), (CART,), Tier.NOTIFY_APPLY),
    ],
)
def test_what_no_test_has_run_on_waits_and_what_failed_once_is_shown(
    total: int, flaky: tuple[str, ...], paths: tuple[str, ...], tier: Tier
) -> None:
    run = RunReport(
        scope="suite", status=RunStatus.GREEN, passed=total, total=total, newly_red=(), flaky=flaky, duration_ms=1
    )
    validation = Validation(runs=(run,), verdicts=(), suite_ran=True, passed=total, total=total)
    floors = extra_floors(
        operation(), Dossier(), ChangeFacts(), validation=validation, blast_bp=0, paths=paths, doubt="", beyond=()
    )
    assert max((floor for floor, _ in floors if floor is not None), default=Tier.SAFE_AUTO) is tier
