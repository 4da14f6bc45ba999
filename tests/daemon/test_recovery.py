"""What a boot makes of ops that a kill cut off: their ends, their costs, and what waits for the owner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daemon.adapters.intake_ports import admit, may_release
from daemon.control.messages import Life, SubmitRequest
from daemon.control.service_api import ServiceApi
from daemon.lifecycle.recovery import cut_off
from daemon.settings.config import Config
from governance.changes.landing import REVIEW
from governance.irongate.op.g19_recursion import diff_hash
from kernel.provider import Price
from ledger.clock import SystemClock
from ledger.ids import new_op_id, sha256_hex
from ledger.store import Ledger
from ledger.vocabulary import Candidate, Draft, Edit, EditKind, Entry, EntryKind, Phase, Spend
from sensors.intake.ports import IntakePorts
from sensors.intake.router import IntakeRouter
from tests.e2e.serving import Serving, record_of, served
from tests.e2e.talking import Talking
from tests.e2e.world import Infilling, config_for
from tests.repos import commit, git, make_repo
from tests.sensors.signals import signal
from tools.git import Git
from tools.workspace import Workspaces

BEFORE, AFTER = "one\n", "two\n"
CANDIDATE = Candidate(
    edits=(Edit(path="a.py", kind=EditKind.MODIFY, before=sha256_hex(BEFORE), after=AFTER.encode()),),
    provider="scripted", model="scripted", strategy="cloze",
)  # fmt: skip


class Priced(Infilling):
    """Twenty dollars for a million tokens read, a hundred for a million written."""

    price = Price(input=20_000_000, output=100_000_000)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_for(tmp_path, make_repo(tmp_path / "repo", {"a.py": BEFORE}))


@asynccontextmanager
async def booted(config: Config) -> AsyncIterator[Serving]:
    async with served(config, Priced(lambda before, after: [])) as (service, _):
        yield service


def started(op_id: str) -> Draft:
    payload = {"event": "op.started", "goal": "Make it pass.", "targets": ["a.py"]}
    return Draft(kind=EntryKind.DECISION, op_id=op_id, phase=Phase.CLASSIFY, payload=payload)


def called(op_id: str, event: str, purpose: str, **more: object) -> Draft:
    payload = {"event": event, "purpose": purpose, "provider": "infilling", "tokens_in": 1_000, **more}
    return Draft(kind=EntryKind.CALL, op_id=op_id, phase=Phase.GENERATE, payload=payload, spend=Spend(working_ms=5))


async def test_a_call_that_a_kill_cut_off_is_charged_at_what_was_held_for_it(config: Config) -> None:
    op_id = new_op_id("test_failure")
    name = Priced(lambda before, after: []).name
    async with record_of(config) as ledger:
        begun = called(op_id, "call.started", "repair", provider=name, max_tokens=50)
        await ledger.append(started(op_id), begun)
    async with booted(config) as service:
        home = service.core
        assert await home.budget.spent_today() == 20_000 + 5_000
        assert await home.budget.spent_by(op_id) == Spend(usd_micro=25_000, tokens_in=1_000, tokens_out=50, calls=1)
        (ended,) = await service.entries(op_id, "call.ended")
        assert "killed" in ended.payload["problem"]
        (terminal,) = await service.entries(op_id, "terminal")
        assert (terminal.spend.usd_micro, terminal.spend.working_ms) == (25_000, 5)
        assert terminal.payload["root_cause"] == "crash_recovered"
    async with booted(config) as service:  # charged once
        assert await service.core.budget.spent_today() == 25_000


async def test_a_repair_that_stands_on_a_review_branch_waits_for_the_owner(config: Config) -> None:
    repo, op_id = config.places.repo, new_op_id("test_failure")
    branch = f"{REVIEW.removeprefix('refs/heads/')}{op_id}"
    parent = git(repo, "rev-parse", "HEAD")
    git(repo, "checkout", "-q", "-b", branch)
    made = commit(repo, f"Repair\n\nOuro-Op: {op_id}", {"a.py": AFTER})
    git(repo, "checkout", "-q", "main")
    async with record_of(config) as ledger:
        blob = await ledger.put_blob(CANDIDATE.model_dump_json().encode())
        intent = {"event": "commit.intent", "ref": f"refs/heads/{branch}", "parent": parent}
        await ledger.append(
            started(op_id),
            Draft(kind=EntryKind.CANDIDATE, op_id=op_id, payload={"event": "candidate", "candidate": blob}),
            Draft(kind=EntryKind.CHANGE, op_id=op_id, phase=Phase.VERIFY, payload=intent),
        )
    async with booted(config) as service:
        (terminal,) = await service.entries(op_id, "terminal")
        assert (terminal.payload["to"], terminal.payload["commit"]) == ("COMPLETE", made)
        (waiting,) = await service.core.refused.waiting()
        assert (waiting.branch, waiting.op_id, waiting.commit) == (branch, op_id, made)
        git(repo, "branch", "-q", "-D", branch)
        await service.sensors.settle_branches()
        assert await service.core.refused.hashes() == (diff_hash(CANDIDATE),)


@asynccontextmanager
async def dying(config: Config) -> AsyncIterator[tuple[IntakeRouter, Ledger]]:
    """The intake of a boot that is killed at the end of the block."""
    async with record_of(config) as ledger:
        router = IntakeRouter(
            ledger=ledger,
            clock=SystemClock(),
            boot="dead",
            settings=config.settings.router,
            ports=IntakePorts(admit=admit, may_release=may_release),
        )
        await router.recover()
        yield router, ledger


async def test_everything_is_recovered_before_any_work_begins(config: Config) -> None:
    """Leases, ops, workspaces and folders of runs of a dead boot. What is submitted meanwhile waits."""
    places = config.places
    copies = Workspaces(Git(places, config.env), places, config.settings.workspace)
    async with dying(config) as (router, ledger):
        for name in "ab":
            await router.submit(signal(name, targets=[f"{name}.py"]))
        begun, claimed = await router.next(), await router.next()
        await router.started(begun.id)
        await ledger.append(started(begun.id))
        left = await copies.acquire(begun.id, git(places.repo, "rev-parse", "HEAD"))
        run = places.cache / "sandbox" / places.repo_id / "run-dead"
        run.mkdir(parents=True)
    service = Serving(config, Talking(lambda _: "nothing"))
    try:
        await service.open()
        service.core.router.pause()
        submitted = await ServiceApi(service).submit(SubmitRequest(goal="Say hello", files=("c.py",)))
        assert submitted.status == "queued" and service.life is Life.STARTING
        await service.bring_up()
        lines = {line.goal: line for line in service.core.router.snapshot().lines}
        attempts = {goal: (line.state.value, line.attempts) for goal, line in lines.items()}
        assert attempts == {"Make a pass.": ("queued", 1), "Make b pass.": ("queued", 0), "Say hello": ("queued", 0)}
        for op in (begun, claimed):  # that which never started has an end too, but counts no attempt
            (terminal,) = await service.entries(op.id, "terminal")
            assert (terminal.payload["to"], terminal.payload["root_cause"]) == ("POSTMORTEM", "crash_recovered")
        assert not left.folder.exists() and not run.exists()
        ready = await service.until("session.ready")
        assert "1 left-over workspaces were removed" in ready.payload["recovered"]
        assert terminal.seq < ready.seq
        service.core.router.resume()
        first = await service.until("op.started", goal="Say hello")
        assert first.seq > ready.seq
    finally:
        await service.close()


async def test_a_commit_in_the_owners_branch_completes_its_op_though_its_journal_is_gone(config: Config) -> None:
    repo = config.places.repo
    parent = git(repo, "rev-parse", "HEAD")
    async with dying(config) as (router, ledger):
        await router.submit(signal("a", targets=["a.py"]))
        op = await router.next()
        await router.started(op.id)
        intent = {"event": "commit.intent", "ref": "refs/heads/main", "parent": parent}
        await ledger.append(
            started(op.id), Draft(kind=EntryKind.CHANGE, op_id=op.id, phase=Phase.VERIFY, payload=intent)
        )
        made = commit(repo, f"Repair\n\nOuro-Op: {op.id}", {"a.py": AFTER})
    async with booted(config) as service:
        (terminal,) = await service.entries(op.id, "terminal")
        assert (terminal.payload["to"], terminal.payload["commit"]) == ("COMPLETE", made)
        (outcome,) = await service.entries(op.id, "outcome")
        assert outcome.payload["success"] and outcome.seq > terminal.seq
        assert service.core.router.snapshot().lines == ()  # its signal is done, not tried again
    assert git(repo, "rev-parse", "HEAD") == made


def entries(*events: tuple[str, str]) -> list[Entry]:
    return [
        Entry(
            seq=seq,
            at="2026-01-01T00:00:00.000Z",
            prev="",
            hash="",
            **called("op-1", event, purpose, max_tokens=1).model_dump(),
        )
        for seq, (event, purpose) in enumerate(events, start=1)
    ]


@pytest.mark.parametrize(
    ("events", "left"),
    [
        ([], []),
        ([("call.started", "a"), ("call.ended", "a")], []),
        ([("call.started", "a"), ("call.ended", "a"), ("call.started", "a")], [3]),
        ([("call.started", "a"), ("call.started", "b"), ("call.ended", "b")], [1]),
        ([("call.ended", "a"), ("call.started", "a")], [2]),
    ],
)
def test_which_calls_have_no_end(events: list[tuple[str, str]], left: list[int]) -> None:
    assert [entry.seq for entry, _ in cut_off(entries(*events))] == left
