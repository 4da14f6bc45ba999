from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.reading import chain_sentence, log_view, open_ledger, verify_commits
from daemon.settings import Config, Settings
from governance.changes import commit_object
from governance.changes.settings import ChangeSettings
from governance.changes.signing import ensure_identity
from governance.changes.trailers import compose
from governance.changes.types import CommitText
from ledger.clock import ManualClock
from ledger.errors import ControlError, LedgerError
from ledger.store import Ledger
from ledger.vocabulary import Draft, Entry, EntryKind
from tests.daemon.scripted_api import OP
from tests.repos import commit, git, host_env, make_places, make_repo

WHEN = datetime(2026, 1, 2, tzinfo=UTC)
OTHER = OP.replace("7f3a-", "beef-")


@pytest.fixture
def config(tmp_path: Path) -> Config:
    places = make_places(tmp_path / "ours", make_repo(tmp_path / "repo"))
    return Config(settings=Settings(), places=places, env=host_env(), secret=lambda name: None)


@pytest.fixture
async def ledger(config: Config) -> AsyncIterator[Ledger]:
    places = config.places
    found = await Ledger.open(places.ledger, repo_id=places.repo_id, clock=ManualClock(WHEN))
    await found.append(Draft(kind=EntryKind.SESSION, payload={"event": "session.started"}))
    yield found
    await found.close()


def signed_commit(config: Config, entry: Entry, *, ledger: tuple[int, str] | None = None, op: str = OP) -> str:
    """A commit as the daemon makes it, on the branch."""
    places = config.places
    identity = ensure_identity(places, ChangeSettings())
    names = ("Ouro-Signal", "Ouro-Risk", "Ouro-Provider", "Ouro-Verified", "Ouro-Sandbox")
    trailers = (("Ouro-Op", op), *((name, "x") for name in names), ("Generated-By", "Ouroboros"))
    text = CommitText(subject="fix: it", body="Because.", trailers=trailers)
    message = compose(text, signed_off_by=identity.line, ledger=ledger or (entry.seq, entry.hash))
    parent = git(places.repo, "rev-parse", "HEAD")
    tree = git(places.repo, "rev-parse", "HEAD^{tree}")
    data = commit_object.build(tree=tree, parent=parent, identity=identity, when=WHEN, message=message)
    made = git(places.repo, "hash-object", "-t", "commit", "-w", "--stdin", stdin=data.decode())
    git(places.repo, "update-ref", "refs/heads/main", made)
    return made


async def intent(ledger: Ledger, op: str = OP) -> Entry:
    (entry,) = await ledger.append(Draft(kind=EntryKind.CHANGE, op_id=op, payload={"event": "commit.intent"}))
    return entry


async def test_a_commit_that_agrees_with_everything(config: Config, ledger: Ledger) -> None:
    start = git(config.places.repo, "rev-parse", "HEAD")
    made = signed_commit(config, await intent(ledger))
    commit(config.places.repo, "the owner's own")
    found = await verify_commits(config, ledger, f"{start}..HEAD")
    assert [(one.commit, one.problems) for one in found.commits] == [(made, ())]
    assert found.ok and "2 entries, the chain holds" in found.chain
    assert (await verify_commits(config, ledger, "HEAD")).commits == ()
    assert (await verify_commits(config, ledger, "HEAD~1")).ok


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("another hash", "entry 2 of the ledger has another hash"),
        ("no such entry", "the ledger has no entry 99"),
        ("another op", "entry 2 of the ledger belongs to another op"),
        ("changed message", "signature"),
        ("no key here", "no key of the daemon"),
    ],
)
async def test_a_commit_that_does_not(config: Config, ledger: Ledger, kind: str, told: str) -> None:
    entry = await intent(ledger, OTHER if kind == "another op" else OP)
    place = {"another hash": (entry.seq, "0" * 64), "no such entry": (99, entry.hash)}.get(kind)
    made = signed_commit(config, entry, ledger=place)
    if kind == "changed message":
        data = git(config.places.repo, "cat-file", "commit", made).replace("Because.", "Trust me.")
        made = git(config.places.repo, "hash-object", "-t", "commit", "-w", "--stdin", stdin=data + "\n")
    if kind == "no key here":
        (config.places.keys / "signing_ed25519").unlink()
    found = await verify_commits(config, ledger, made)
    assert not found.ok and told in "; ".join(found.commits[0].problems)
    assert (config.places.keys / "signing_ed25519").exists() is (kind != "no key here"), "looking makes no key"


async def test_an_option_is_not_a_range(config: Config, ledger: Ledger) -> None:
    with pytest.raises(Exception, match="rev-list"):
        await verify_commits(config, ledger, "--all")


async def test_the_log(config: Config, ledger: Ledger) -> None:
    for op in (OP, OTHER, OP):
        await intent(ledger, op)
    assert [e.seq for e in (await log_view(ledger, op=None, limit=2, after=None)).entries] == [3, 4]
    assert [e.seq for e in (await log_view(ledger, op=None, limit=2, after=0)).entries] == [1, 2]
    view = await log_view(ledger, op="7f3a", limit=9, after=None)
    assert [e.seq for e in view.entries] == [2, 4] and view.head == 4
    with pytest.raises(ControlError):
        await log_view(ledger, op="nothing", limit=9, after=None)


async def test_no_record_yet(config: Config) -> None:
    with pytest.raises(LedgerError, match="no record"):
        await open_ledger(config)
    assert not config.places.ledger.exists()


async def test_reading_beside_a_writer(config: Config, ledger: Ledger) -> None:
    reader = await open_ledger(config)
    try:
        await intent(ledger)
        assert "2 entries" in chain_sentence(await reader.verify())
    finally:
        await reader.close()
