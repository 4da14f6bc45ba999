"""The whole record is written anew from one entry on, with right hashes, and signed with the daemon's own key."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

from daemon.record import verifying
from daemon.record.verifying import verify_record
from daemon.settings.config import Config
from governance.changes.signing import ensure_identity
from ledger.chain import genesis, link
from ledger.integrity.heads import SignedHead, message_of
from ledger.vocabulary import Head
from tests.daemon.records import Lived, config_of, lived
from tests.ledger.drafts import tamper
from tests.repos import git

BACKENDS = ("landlock",)
USERS = ("anybody",)


def rewrite(config: Config, *, since: int) -> None:
    """What the entry ``since`` says is changed; all behind it is hashed and signed again."""
    identity = ensure_identity(config.places, config.settings.changes)
    origin = genesis(config.places.repo_id)
    with closing(sqlite3.connect(config.places.ledger)) as connection:
        rows = connection.execute("SELECT seq, body FROM entries ORDER BY seq").fetchall()
    prev, statements, lines = origin, [], b""

    def signed(seq: int, own: str) -> SignedHead:
        signature = identity.sign_head(message_of(origin, Head(seq=seq, hash=own)))
        return SignedHead(at="2026-01-02T00:00:00.000Z", genesis=origin, hash=own, seq=seq, signature=signature)

    for seq, body in rows:
        said = json.loads(body)
        if seq == since:
            said["payload"]["said"] = "another story"
        if "signed" in said["payload"]:
            said["payload"]["signed"] = signed(seq - 1, prev).model_dump(exclude={"genesis"})
        text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        own = link(prev, text)
        if "signed" in said["payload"]:
            lines += signed(seq, own).line
        statements.append(("UPDATE entries SET body = ?, prev = ?, hash = ? WHERE seq = ?", (text, prev, own, seq)))
        prev = own
    tamper(config.places.ledger, *statements, ("UPDATE chain SET hash = ?", (prev,)))
    config.places.heads.write_bytes(lines)


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    """He has the state folder and the key; either the commits or the ref are out of his hands."""
    if not wall:
        verifying._of_commits = lambda found, notes: []
        read = verifying._of_heads
        verifying._of_heads = lambda kept, ring, origin, findings: read(kept[:1], ring, origin, findings)
        verifying._places_agree = lambda kept, chain, ring: []
    through = []
    for left in ("commits", "ref"):
        for since in (3, 11):
            config = config_of(base / f"{left}-{since}")
            known: Lived = await lived(config)
            places = config.places
            rewrite(config, since=since)
            if left == "commits":
                git(places.repo, "update-ref", "-d", places.heads_ref)
            else:
                git(places.repo, "reset", "-q", "--hard", "HEAD~1")
                git(places.repo, "update-ref", "-d", "refs/heads/ouro/review/op-b")
                git(places.repo, "reflog", "expire", "--expire=now", "--all")
            told = await verify_record(config)
            held = known.commits if left == "commits" else known.ends
            spans = [(f.row or 0, f.last or f.row or 0) for f in told.findings if "rewritten" in f.said]
            if not any(first <= since <= last and last in held for first, last in spans):
                through.append(f"from entry {since}, {left} left")
    return through
