"""Records as the daemon leaves them: entries, blobs, requests that wait, signed commits and signed session ends."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from daemon.record.heads import Heads
from daemon.settings.config import Config, Settings
from governance.approval.inbox import Inbox
from governance.changes import commit_object
from governance.changes.settings import ChangeSettings
from governance.changes.signing import Identity, ensure_identity
from governance.changes.trailers import compose
from governance.changes.types import CommitText
from governance.pipeline.dossier import Classification, Dossier, Generation
from governance.record import Recorder
from ledger.clock import ManualClock
from ledger.store import Ledger
from ledger.vocabulary import Complexity, Draft, Entry, EntryKind, Phase, Tier
from tests.daemon.scripted_api import OP
from tests.governance.ops import candidate, modify, operation
from tests.repos import git, host_env, make_places, make_repo
from tools.git import Git

WHEN = datetime(2026, 1, 2, tzinfo=UTC)
REPO_ID = "0123456789ab"


def config_of(base: Path, repo: Path | None = None, **changes: Any) -> Config:
    """Settings and places below ``base``; the repository is made unless there is one."""
    places = make_places(base / "ours", repo or make_repo(base / "repo"))
    settings = Settings.model_validate({"changes": changes})
    return Config(settings=settings, places=replace(places, repo_id=REPO_ID), env=host_env(), secret=lambda name: None)


def heads_of(config: Config) -> Heads:
    git = Git(config.places, config.env)
    return Heads(places=config.places, git=git, settings=config.settings.changes, clock=ManualClock(WHEN))


async def opened(config: Config) -> Ledger:
    places = config.places
    return await Ledger.open(places.ledger, repo_id=places.repo_id, clock=ManualClock(WHEN))


def message(seq: int, own: str, *, op: str = OP, identity: Identity) -> str:
    """What a commit of the daemon says."""
    names = ("Ouro-Signal", "Ouro-Risk", "Ouro-Provider", "Ouro-Verified", "Ouro-Sandbox")
    trailers = (("Ouro-Op", op), *((name, "x") for name in names), ("Generated-By", "Ouroboros"))
    text = CommitText(subject="fix: it", body="Because.", trailers=trailers)
    return compose(text, signed_off_by=identity.line, ledger=(seq, own))


def signed_commit(
    config: Config, entry: Entry, *, ledger: tuple[int, str] | None = None, op: str = OP, ref: str = "refs/heads/main"
) -> str:
    """A commit as the daemon makes it, at ``ref``."""
    places = config.places
    identity = ensure_identity(places, ChangeSettings())
    said = message(*(ledger or (entry.seq, entry.hash)), op=op, identity=identity)
    parent, tree = (git(places.repo, "rev-parse", name) for name in ("HEAD", "HEAD^{tree}"))
    data = commit_object.build(tree=tree, parent=parent, identity=identity, when=WHEN, message=said)
    made = git(places.repo, "hash-object", "-t", "commit", "-w", "--stdin", stdin=data.decode())
    git(places.repo, "update-ref", ref, made)
    return made


async def intent(ledger: Ledger, op: str = OP) -> Entry:
    (entry,) = await ledger.append(Draft(kind=EntryKind.CHANGE, op_id=op, payload={"event": "commit.intent"}))
    return entry


async def work(ledger: Ledger, count: int) -> None:
    """Entries with blobs."""
    for number in range(count):
        blob = await ledger.put_blob(f"answer {ledger.head.seq} {number}".encode())
        await ledger.append(
            Draft(
                kind=EntryKind.CALL, op_id=OP, payload={"event": "call.ended", "answer": blob, "said": f"safe {number}"}
            )
        )


async def ask(ledger: Ledger, config: Config, number: int = 1) -> str:
    """An op that waits for its owner's yes; returns its id."""
    inbox = Inbox(ledger=ledger, clock=ManualClock(WHEN), settings=config.settings.approval)
    await inbox.prepare()
    op = operation()
    classified = Classification(
        tier=Tier.APPROVAL_REQUIRED, complexity=Complexity.SIMPLE, change_type="x", rule=4, reasons=("r",), blast_bp=0
    )
    wanted = candidate(modify("shop/cart.py", b"x = 1\n", f"x = {number + 1}\n".encode()))
    dossier = Dossier().merge(Phase.CLASSIFY, classified).merge(Phase.GENERATE, Generation(candidate=wanted))
    await inbox.request(Recorder(ledger, op_id=op.id), op, dossier, "deletes a file")
    return op.id


@dataclass(frozen=True, slots=True, kw_only=True)
class Lived:
    """What was made: the last entry, and the entries that commits and session ends name."""

    last: int
    commits: tuple[int, ...]
    ends: tuple[int, ...]
    waiting: tuple[str, ...]


async def lived(config: Config) -> Lived:
    """Two sessions, each with a signed commit and a signed end; one op waits."""
    commits, ends, waiting = [], [], []
    for session, ref in enumerate(("refs/heads/main", "refs/heads/ouro/review/op-b"), start=1):
        ledger = await opened(config)
        try:
            await ledger.append(
                Draft(kind=EntryKind.SESSION, payload={"event": "session.started", "boot": str(session)})
            )
            await work(ledger, 3)
            waiting.append(await ask(ledger, config, session))
            entry = await intent(ledger)
            signed_commit(config, entry, ref=ref)
            commits.append(entry.seq)
            await work(ledger, 2)
            assert await heads_of(config).end_session(ledger, str(session)) == ""
            ends.append(ledger.head.seq)
        finally:
            await ledger.close()
    return Lived(last=ends[-1], commits=tuple(commits), ends=tuple(ends), waiting=tuple(waiting))


def lived_in(config: Config) -> Lived:
    return asyncio.run(lived(config))
