"""The record of the real service: signed ends of sessions, and what is refused after somebody wrote to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from daemon.control.messages import OpRef
from daemon.record.projections import SCRIPTS
from daemon.record.verifying import verify_commits, verify_record
from daemon.settings.config import Config
from ledger.errors import ChainBroken, ControlError
from ledger.integrity.blobs import BLOB_FIELDS
from ledger.schema import definitions, expected_definitions
from ledger.vocabulary import OpOutcome, RootCause
from tests.e2e.serving import Serving, served
from tests.e2e.test_approvals import CART, documenting, parked
from tests.e2e.world import SHOP, config_for, ended, repo_with
from tests.ledger.drafts import tamper
from tests.repos import git


def swapped(config: Config) -> None:
    """The row of what waits names something else."""
    tamper(config.places.ledger, ("UPDATE inbox SET dossier = operation", ()))


async def test_a_swapped_request_is_refused_and_may_be_turned_down(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    config = config_for(tmp_path, repo)
    head = git(repo, "rev-parse", "HEAD")
    async with served(config, documenting()) as (service, api):
        op_id = (await parked(service, api)).op.id
        swapped(config)
        with pytest.raises(ControlError, match="has another dossier than entry") as caught:
            await api.approve(OpRef(op=op_id))
        assert "ouro reject" in caught.value.remedy
    async with served(config, documenting()) as (service, api):  # as `ouro approve` does without a daemon
        with pytest.raises(ControlError, match="differs from what the request showed"):
            await api.approve(OpRef(op=op_id))
        await service.runtime.pool.decide(op_id, "approved", by="owner")  # not through the control socket
        ending = await ended(service.core)
        assert (ending.state, ending.cause) == (OpOutcome.CANCELLED, RootCause.APPROVAL_EXPIRED)
        (closed,) = await service.entries(op_id, "approval.expired")
        assert closed.payload["rule"] == "inbox.changed"
    assert git(repo, "rev-parse", "HEAD") == head and (repo / CART).read_text() == SHOP[CART]
    assert (await verify_record(config)).ok


async def test_a_request_that_was_taken_out_of_the_inbox_waits_again_after_a_start(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    config = config_for(tmp_path, repo)
    async with served(config, documenting()) as (service, api):
        op_id = (await parked(service, api)).op.id
    tamper(config.places.ledger, ("DELETE FROM inbox", ()))
    assert not (await verify_record(config)).ok
    async with served(config, documenting()) as (service, api):
        assert [each.id for each in (await api.status()).waiting] == [op_id]
        await api.approve(OpRef(op=op_id))
        assert (await ended(service.core)).state is OpOutcome.COMPLETE
    found = await verify_commits(config, None)
    assert found.ok and len(found.commits) == 1, found.record.findings


async def test_what_a_whole_life_leaves_verifies_and_is_known_by_name(tmp_path: Path) -> None:
    """Each blob is named in a field that the check knows, each table by a room that it knows."""
    repo = repo_with(tmp_path / "shop", SHOP)
    config = config_for(tmp_path, repo)
    async with served(config, documenting(), watch=True) as (service, api):
        op_id = (await parked(service, api)).op.id
        await api.approve(OpRef(op=op_id))
        assert (await ended(service.core)).state is OpOutcome.COMPLETE
    report = await verify_record(config)
    assert report.ok and report.anchors == 3, report.findings
    with closing(sqlite3.connect(config.places.ledger)) as connection:
        bodies = b"".join(body for (body,) in connection.execute("SELECT body FROM entries"))
        names = [name for (name,) in connection.execute("SELECT sha256 FROM blobs")]
        tables = {
            name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite%'")
        }
    assert names and all(
        any(f'"{field}":"{name}"'.encode() in bodies for field in BLOB_FIELDS) for name in names
    )  # fmt: skip
    assert tables <= {*expected_definitions(), *(name for script in SCRIPTS for name in definitions(script))}


async def test_a_daemon_does_not_go_on_with_a_record_that_lacks_its_end(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    config = config_for(tmp_path, repo)
    async with served(config, documenting()) as (service, api):
        await parked(service, api)
    last = (await verify_record(config)).chain.head.seq
    before = config.places.heads.read_bytes()
    tamper(
        config.places.ledger,
        ("DELETE FROM entries WHERE seq = ?", (last,)),
        ("UPDATE chain SET seq = ?1, hash = (SELECT hash FROM entries WHERE seq = ?1)", (last - 1,)),
    )
    service = Serving(config, documenting())
    try:
        with pytest.raises(ChainBroken, match=f"names entry {last}"):
            await service.open()
    finally:
        await service.close()
    assert config.places.heads.read_bytes() == before
    report = await verify_record(config)
    assert (report.chain.first_bad, report.chain.entries) == (last, last - 1), "nothing was written behind the cut"
    config.places.heads.rename(config.places.state / "heads.old")  # as the sentence says
    git(repo, "update-ref", "-d", config.places.heads_ref)
    async with served(config, documenting()):
        pass
