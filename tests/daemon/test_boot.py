"""A boot on a record that is there already: quick whatever its length, and nothing in it is out of reach."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from daemon.control.client import Client
from daemon.control.messages import Life, LogRequest, OpRef, OpsRequest
from daemon.control.service_api import ServiceApi
from daemon.lifecycle.service import Service
from daemon.record.optable import KEPT_OPS
from daemon.settings.config import Config
from ledger.errors import ConfigError, ControlError
from ledger.ids import new_op_id, short_id
from ledger.vocabulary import Draft, EntryKind, OpOutcome, Spend
from tests.e2e.serving import Serving, record_of
from tests.e2e.world import Infilling, config_for
from tests.governance.approval.test_approval import DOSSIER
from tests.governance.ops import operation
from tests.repos import make_repo

OPS, ENTRIES_OF_ONE = 1_250, 40
AT_ONCE = 25  # ops in one transaction
REACTION_S = 0.5


def life_of(op_id: str, number: int, entries: int = ENTRIES_OF_ONE) -> list[Draft]:
    """An op from its start to its end."""
    started = {"event": "op.started", "goal": f"Goal {number}.", "targets": ["a.py"]}
    ended = {"event": "terminal", "to": "CANCELLED", "root_cause": "cancelled_by_owner", "failure_class": "user"}
    return [
        Draft(kind=EntryKind.DECISION, op_id=op_id, payload=started),
        *(Draft(kind=EntryKind.TOOL, op_id=op_id, payload={"event": "noted", "n": n}) for n in range(entries - 2)),
        Draft(kind=EntryKind.TRANSITION, op_id=op_id, phase=OpOutcome.CANCELLED, payload=ended, spend=Spend(calls=3)),
    ]


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[Service]:
    """A service that answers, before anything else was done."""
    service = Serving(config, Infilling(lambda before, after: []))
    try:
        await service.open()
        yield service
    finally:
        await service.close()


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return config_for(tmp_path, make_repo(tmp_path / "repo"))


async def test_a_long_record_is_no_reason_to_wait(config: Config) -> None:
    ids = [new_op_id("test_failure") for _ in range(OPS)]
    async with record_of(config) as ledger:
        for begin in range(0, OPS, AT_ONCE):
            drafts = [life_of(op_id, begin + n) for n, op_id in enumerate(ids[begin : begin + AT_ONCE])]
            await ledger.append(*(draft for one in drafts for draft in one))
        assert ledger.head.seq == OPS * ENTRIES_OF_ONE
        began = time.monotonic()
        await ledger.entries()
        reading_s = time.monotonic() - began
    began = time.monotonic()
    async with opened(config) as service, await reached(config) as client:
        assert (await client.status()).state is Life.STARTING
        took_s = time.monotonic() - began
        assert took_s < max(REACTION_S, reading_s / 4), f"{took_s:.2f} s, the whole record takes {reading_s:.2f} s"
        oldest = await client.show(OpRef(op=short_id(ids[0])))  # before the newest are read back
        assert (oldest.goal, oldest.state, oldest.spend.calls) == ("Goal 0.", OpOutcome.CANCELLED, 3)
        latest_s = await lag_until(service)
        assert latest_s < REACTION_S, f"the loop stood still for {latest_s:.2f} s while the record was read"
        assert [v.id for v in service.core.table.newest(ended=True)] == ids[: -KEPT_OPS - 1 : -1]
        listed = await client.ops(OpsRequest(all=True, limit=KEPT_OPS + 20))
        assert [view.id for view in listed.ops] == ids[: -KEPT_OPS - 21 : -1] and listed.more
        with pytest.raises(ControlError, match="No op matches"):
            await client.show(OpRef(op="zzzzzz"))


async def reached(config: Config) -> Client:
    return await Client.connect(config.places.socket, config.settings.control, token=config.places.token)


async def lag_until(service: Service) -> float:
    """The longest that a task had to wait for the event loop until the newest ops are in the table."""
    longest = 0.0
    while not service.known:
        began = time.monotonic()
        await asyncio.sleep(0.001)
        longest = max(longest, time.monotonic() - began)
    return longest


async def test_an_old_op_that_is_written_of_again_is_whole(config: Config) -> None:
    """What stands in the record before this boot is not forgotten when an entry is added."""
    ids = [new_op_id("manual") for _ in range(KEPT_OPS + 1)]
    async with record_of(config) as ledger:
        for begin in range(0, len(ids), AT_ONCE):
            drafts = [life_of(op_id, begin + n, 3) for n, op_id in enumerate(ids[begin : begin + AT_ONCE])]
            await ledger.append(*(draft for one in drafts for draft in one))
    async with opened(config) as service:
        await lag_until(service)
        assert not service.core.table.knows(ids[0])
        undone = {"event": "undone", "commit": "d" * 40}
        await service.core.ledger.append(Draft(kind=EntryKind.OUTCOME, op_id=ids[0], payload=undone))
        view = await ServiceApi(service).show(OpRef(op=ids[0]))
        assert (view.goal, view.undone_by) == ("Goal 0.", "d" * 40)
        async with asyncio.timeout(5):
            while not service.core.table.knows(ids[0]):  # noqa: ASYNC110 - the table has no event
                await asyncio.sleep(0.01)
        assert service.core.table.newest(ended=True)[0].goal == "Goal 0."


async def test_what_waits_for_a_person_is_shown_however_old_it_is(config: Config) -> None:
    waiting, later = new_op_id("manual"), [new_op_id("manual") for _ in range(KEPT_OPS + 1)]
    asked = {"event": "approval.requested", "expires_at": "2099-01-01T00:00:00.000Z", "reason": "a public API"}
    async with record_of(config) as ledger:
        asked["operation"] = await ledger.put_blob(operation(id=waiting).model_dump_json().encode())
        asked["dossier"] = await ledger.put_blob(DOSSIER.model_dump_json().encode())
        started = life_of(waiting, 0)[0]
        await ledger.append(started, Draft(kind=EntryKind.APPROVAL, op_id=waiting, payload=asked))
        await ledger.append(*(draft for op_id in later for draft in life_of(op_id, 1, 2)))
    async with opened(config) as service:
        await lag_until(service)
        assert [view.id for view in (await ServiceApi(service).status()).waiting] == [waiting]


async def test_a_folder_that_went_with_the_last_reboot_is_made_again(config: Config) -> None:
    config.places.runtime.rmdir()
    async with opened(config):
        assert config.places.runtime.stat().st_mode & 0o777 == 0o700
        async with await reached(config) as client:
            assert (await client.health()).state is Life.STARTING


async def test_the_control_token_stands_nowhere_but_in_its_file(
    config: Config, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with opened(config):
        secret = config.places.token.read_text().strip()
        async with await reached(config) as client:
            told = [(await client.status()).model_dump_json(), (await client.log(LogRequest())).model_dump_json()]
            with pytest.raises(ControlError) as caught:
                await client.approve(OpRef(op=secret[:30]))
            await client.pause()
        async with await reached(config) as client:
            told.append((await client.health()).model_dump_json())
        own = Path("/proc/self")
        told += [str(caught.value).replace(secret[:30], ""), caplog.text]
        told += [(own / name).read_text(errors="replace") for name in ("environ", "cmdline")]
    assert not any(secret in text for text in told)
    holding = [path for path in tmp_path.rglob("*") if path.is_file() and secret.encode() in path.read_bytes()]
    assert holding == [config.places.token]


async def test_every_boot_has_a_token_of_its_own_and_a_planted_one_stops_it(config: Config) -> None:
    seen = set()
    for _ in range(2):
        async with opened(config):
            seen.add(config.places.token.read_text())
    assert len(seen) == 2
    config.places.token.unlink()
    config.places.token.symlink_to(config.places.repo / "theirs")
    with pytest.raises(ConfigError, match="it is a link"):
        async with opened(config):
            pytest.fail("it answered")
    assert not (config.places.repo / "theirs").exists() and not config.places.socket.exists()
