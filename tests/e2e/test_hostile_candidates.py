"""Programs of a hostile model, from its answer to the end of the op: with nobody there, none of them lands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from daemon.settings.config import Config
from ledger.vocabulary import OpOutcome, Phase, State
from sensors.requests.manual import manual_signal
from tests.cage.hostile_candidates import BAD, GOOD, PATH, HostileCandidate, candidates
from tests.e2e.serving import Serving, served
from tests.e2e.talking import Said, Talking, call, whole
from tests.e2e.without_gates import take_gate_away
from tests.e2e.world import config_for, ended, repo_with
from tests.repos import git

QUICK = ("frames-runtest", "equal-int", "current-test", "forged-report")
LOOK = [
    call("read_file", path=PATH),
    call("search_code", pattern="def"),
    call("get_callers", symbol="add"),
    call("read_file", path="tests/test_calc.py"),
]


def marked() -> list[Any]:
    return [
        pytest.param(one, id=one.name, marks=[] if one.name in QUICK else [pytest.mark.long]) for one in candidates()
    ]


def answer(source: str) -> Talking:
    """Looks around, then answers with the whole file, again and again."""

    def say(conversation: Any) -> Said:
        return whole(PATH, source) if any(m.role == "tool" for m in conversation) else LOOK

    return Talking(say, files=[PATH], changes=[PATH])


def world(tmp_path: Path, one: HostileCandidate) -> tuple[Path, Config]:
    repo = repo_with(tmp_path / "calc", {**one.files, PATH: BAD})
    return repo, config_for(tmp_path, repo, pipeline={"validate_retries": 1, "generate_retries": 1})


async def play(service: Serving, one: HostileCandidate) -> State:
    """Submit the failing tests; the state in which the op ends or waits."""
    head = await service.core.repository.head()
    assert head.commit is not None
    signal = manual_signal(
        "Mend add", files=[PATH], closed_when=list(one.failing), base=head.commit, clock=service.clock
    )
    await service.core.router.submit(signal)
    return (await ended(service.core)).state


@pytest.mark.parametrize("one", marked())
async def test_a_hostile_candidate_waits_for_a_person_or_fails(tmp_path: Path, one: HostileCandidate) -> None:
    repo, config = world(tmp_path, one)
    head = git(repo, "rev-parse", "HEAD")
    async with served(config, answer(one.source)) as (service, _):
        assert await play(service, one) in (Phase.APPROVE, OpOutcome.POSTMORTEM)
    assert git(repo, "rev-parse", "HEAD") == head


@pytest.mark.parametrize(
    "one", [c for c in candidates() if c.name in QUICK and c.stop == "verdict"], ids=lambda c: c.name
)
async def test_the_verdict_alone_stops_it_where_gate_20_is_taken_away(
    tmp_path: Path, one: HostileCandidate, monkeypatch: pytest.MonkeyPatch
) -> None:
    take_gate_away(monkeypatch, 20)
    repo, config = world(tmp_path, one)
    head = git(repo, "rev-parse", "HEAD")
    async with served(config, answer(one.source)) as (service, _):
        assert await play(service, one) in (Phase.APPROVE, OpOutcome.POSTMORTEM)
    assert git(repo, "rev-parse", "HEAD") == head


async def test_an_honest_candidate_lands_by_itself(tmp_path: Path) -> None:
    one = HostileCandidate(name="honest", stop="verdict", source=GOOD)
    repo, config = world(tmp_path, one)
    head = git(repo, "rev-parse", "HEAD")
    async with served(config, answer(one.source)) as (service, _):
        assert await play(service, one) is OpOutcome.COMPLETE
    assert git(repo, "rev-parse", "HEAD^") == head
