"""Whoever can write the state folder, and much of the repository, may do what he likes in any order: as long as one
signed commit or session end is out of his hands, what he did up to it is found and named by row.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sqlite3
import tempfile
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from daemon.record.verifying import RecordReport, verify_record
from governance.changes.signing import ensure_identity
from ledger.chain import link
from ledger.integrity.heads import SignedHead, message_of, read_lines
from ledger.vocabulary import Head
from tests.daemon.records import Lived, config_of, lived_in
from tests.ledger.drafts import TRIGGERS
from tests.repos import git

COLUMNS = "seq, at, op_id, kind, phase, body, prev, hash"
INBOX = "op_id, operation, dossier, requested_at, expires_at, reason"
MADE: dict[str, tuple[Path, Lived]] = {}  # one record of each kind; every example tampers with a copy


def made(withheld: str) -> tuple[Path, Lived]:
    """A record of which the attacker has everything but ``withheld``: ``commits``, ``ref``, ``file`` or ``all``."""
    if withheld not in MADE:
        base = Path(tempfile.mkdtemp(prefix="ob-states-"))
        config = config_of(base)
        known = lived_in(config)
        repo = config.places.repo
        if withheld not in ("commits", "all"):  # he has made the repository forget them
            git(repo, "reset", "-q", "--hard", "HEAD~1")
            git(repo, "update-ref", "-d", "refs/heads/ouro/review/op-b")
            git(repo, "reflog", "expire", "--expire=now", "--all")
        if withheld not in ("ref", "all"):
            git(repo, "update-ref", "-d", config.places.heads_ref)
        if withheld not in ("file", "all"):
            config.places.heads.unlink()
        MADE[withheld] = (base, known)
    return MADE[withheld]


def state_of(path: Path) -> dict[str, Any]:
    """What the file says, as the oracle compares it."""
    with closing(sqlite3.connect(path)) as connection:
        rows = {row[0]: row[1:] for row in connection.execute(f"SELECT {COLUMNS} FROM entries")}
        blobs = dict(connection.execute("SELECT sha256, data FROM blobs"))
        inbox = {row[0]: row[1:] for row in connection.execute(f"SELECT {INBOX} FROM inbox")}
        chain = connection.execute("SELECT * FROM chain").fetchall()
        shape = connection.execute("SELECT type, name, sql FROM sqlite_master ORDER BY 1, 2").fetchall()
        marks = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")]
    return {"rows": rows, "blobs": blobs, "inbox": inbox, "chain": chain, "shape": shape, "marks": marks}


class Attacker(RuleBasedStateMachine):
    """One copy of a record, and what is done to it."""

    withheld = "all"

    @initialize()
    def begin(self) -> None:
        base, self.known = made(self.withheld)
        self.base = Path(tempfile.mkdtemp(prefix="ob-attack-"))
        shutil.copytree(base, self.base / "copy")
        self.config = config_of(self.base / "copy", self.base / "copy" / "repo")
        self.path = self.config.places.ledger
        self.before = state_of(self.path)
        self.heads = self.config.places.heads.read_bytes() if self.config.places.heads.exists() else None
        self.surely = max(self.known.commits if self.withheld == "commits" else self.known.ends)
        self.first = {**self.report_rows()}

    def teardown(self) -> None:
        if hasattr(self, "base"):
            shutil.rmtree(self.base)

    # --- what he does

    def write(self, *statements: tuple[str, tuple[Any, ...]]) -> None:
        """As a program would that takes the triggers away and puts them back."""
        with closing(sqlite3.connect(self.path)) as connection:
            found = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
            kept = [(name, sql) for name, sql in found if name in TRIGGERS]
            for name, _ in kept:
                connection.execute(f"DROP TRIGGER {name}")
            for sql, values in statements:
                connection.execute(sql, values)
            for _, sql in kept:
                connection.execute(sql)
            connection.commit()

    def rows(self) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.path)) as connection:
            return connection.execute(f"SELECT {COLUMNS} FROM entries ORDER BY seq").fetchall()

    def lay(self, rows: list[tuple[Any, ...]], *, rehash: bool) -> None:
        """Write all rows; ``rehash`` makes them a chain again, with the row in ``chain``."""
        prev = self.before["chain"][0][1]
        laid = []
        for number, (seq, at, op, kind, phase, body, old_prev, own) in enumerate(rows, start=1):
            row = (seq, at, op, kind, phase, body, old_prev, own)
            if rehash and isinstance(body, bytes):
                text = body  # what he has made no entry of, he chains as it is
                with suppress(ValueError):
                    said = json.loads(body)
                    said["seq"] = number
                    text = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
                row = (number, at, op, kind, phase, text, prev, link(prev, text))
                prev = row[7]
            laid.append(row)
        marks = ",".join("?" * 8)
        inserts = [(f"INSERT OR IGNORE INTO entries VALUES ({marks})", row) for row in laid]
        end = [("UPDATE chain SET seq = ?, hash = ?", (laid[-1][0], laid[-1][7]))] if rehash and laid else []
        self.write(("DELETE FROM entries", ()), *inserts, *end)

    @rule(at=st.integers(1, 30), rehash=st.booleans())
    def edit(self, at: int, rehash: bool) -> None:
        rows = self.rows()
        if at <= len(rows) and isinstance(rows[at - 1][5], bytes):
            row = rows[at - 1]
            body = row[5].replace(b'"spend":{"calls":0', b'"spend":{"calls":1').replace(b"safe", b"fine")
            rows[at - 1] = (*row[:5], body, *row[6:])
            self.lay(rows, rehash=rehash)

    @rule(at=st.integers(1, 30), rehash=st.booleans())
    def drop(self, at: int, rehash: bool) -> None:
        rows = self.rows()
        if at <= len(rows) and len(rows) > 1:
            self.lay(rows[: at - 1] + rows[at:], rehash=rehash)

    @rule(one=st.integers(1, 30), other=st.integers(1, 30), rehash=st.booleans())
    def reorder(self, one: int, other: int, rehash: bool) -> None:
        rows = self.rows()
        if one < other <= len(rows):
            first, second = rows[one - 1], rows[other - 1]
            rows[one - 1], rows[other - 1] = (first[0], *second[1:]), (second[0], *first[1:])
            self.lay(rows, rehash=rehash)

    @rule(left=st.integers(1, 30), moved=st.booleans())
    def cut(self, left: int, moved: bool) -> None:
        rows = self.rows()
        if left < len(rows):
            self.write(("DELETE FROM entries WHERE seq > ?", (rows[left - 1][0],)))
            if moved:
                self.write(("UPDATE chain SET seq = ?, hash = ?", (rows[left - 1][0], rows[left - 1][7])))

    @rule(at=st.integers(1, 30))
    def insert(self, at: int) -> None:
        rows = self.rows()
        if at <= len(rows):
            self.lay([*rows[:at], rows[at - 1], *rows[at:]], rehash=True)

    @rule(at=st.integers(1, 30), column=st.sampled_from(["at", "op_id", "kind", "phase", "hash", "prev", "body"]),
          value=st.sampled_from([7, b"raw", "text", 1.5, "\u2028", b""]))  # fmt: skip
    def odd(self, at: int, column: str, value: object) -> None:
        self.write((f"UPDATE entries SET {column} = ? WHERE seq = ?", (value, at)))

    @rule(at=st.integers(0, 20), how=st.sampled_from(["drop", "change", "swap", "text"]))
    def blob(self, at: int, how: str) -> None:
        names = sorted(self.before["blobs"])
        name, other = names[at % len(names)], names[(at + 1) % len(names)]
        data = {"change": b"mine", "swap": self.before["blobs"][other], "text": "mine"}.get(how)
        if how == "drop":
            self.write(("DELETE FROM blobs WHERE sha256 = ?", (name,)))
        else:
            self.write(("UPDATE blobs SET data = ?, size = ? WHERE sha256 = ?", (data, len(data or b""), name)))

    @rule(
        which=st.integers(0, 1), how=st.sampled_from(["dossier", "operation", "expires_at", "reason", "gone", "more"])
    )
    def inbox(self, which: int, how: str) -> None:
        op = self.known.waiting[which]
        if how == "gone":
            self.write(("DELETE FROM inbox WHERE op_id = ?", (op,)))
        elif how == "more":
            self.write(("INSERT OR IGNORE INTO inbox SELECT 'op-mine', operation, dossier, requested_at, expires_at, "
                        "reason FROM inbox LIMIT 1", ()))  # fmt: skip
        else:
            body = b'{"mine":true}'
            name = hashlib.sha256(body).hexdigest()
            self.write(("INSERT OR IGNORE INTO blobs VALUES (?, ?, ?)", (name, len(body), body)))
            self.write((f"UPDATE inbox SET {how} = ? WHERE op_id = ?", (name, op)))

    @rule(what=st.sampled_from(["seq = seq - 1", "hash = 'x'", "genesis = 'x'", "seq = 'x'", "hash = NULL"]))
    def chain(self, what: str) -> None:
        try:
            self.write((f"UPDATE chain SET {what}", ()))
        except sqlite3.IntegrityError:
            self.write(("DELETE FROM chain", ()))

    @rule(what=st.sampled_from(["DROP TRIGGER IF EXISTS blobs_new_only", "CREATE TABLE IF NOT EXISTS mine (a)",
                                "CREATE VIEW IF NOT EXISTS v AS SELECT 1", "PRAGMA user_version = 4",
                                "PRAGMA application_id = 4"]))  # fmt: skip
    def shape(self, what: str) -> None:
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            connection.execute(what)

    @rule(how=st.sampled_from(["gone", "less", "edited", "odd", "forged"]))
    def his_heads(self, how: str) -> None:
        """The file, where it is his; ``forged``: he has the key too and signs what stands there now."""
        file = self.config.places.heads
        if self.withheld == "file" or not (file.exists() or how == "forged"):
            return
        data = file.read_bytes() if file.exists() else b""
        if how == "gone":
            file.unlink()
        elif how == "less":
            file.write_bytes(b"\n".join(data.split(b"\n")[1:]))
        elif how == "edited":
            file.write_bytes(data.replace(b'"seq":1', b'"seq":2'))
        elif how == "odd":
            file.write_bytes(data + b"\xffmine\n")
        else:
            genesis = self.before["chain"][0][1]
            identity = ensure_identity(self.config.places, self.config.settings.changes)
            lines = b""
            for row in self.rows():
                if isinstance(row[7], str) and len(row[7]) == 64:
                    signature = identity.sign_head(message_of(genesis, Head(seq=row[0], hash=row[7])))
                    lines += SignedHead(at="now", genesis=genesis, hash=row[7], seq=row[0], signature=signature).line
            file.write_bytes(lines)

    # --- what is said of it

    def report(self) -> RecordReport:
        return asyncio.run(verify_record(self.config))

    def report_rows(self) -> dict[str, int]:
        """The sentences, how often each."""
        said = [found.sentence for found in self.report().findings]
        return {sentence: said.count(sentence) for sentence in said}

    @invariant()
    def what_he_did_is_found_and_named(self) -> None:
        if not hasattr(self, "first"):
            return
        now, report = state_of(self.path), self.report()
        new = [found for found in report.findings if found.sentence not in self.first]
        spans = [(f.row, f.last if f.last is not None else f.row) for f in new if f.row is not None]

        def named(row: int) -> bool:
            return any(first <= row <= (last or first) for first, last in spans)

        assert "None" not in " ".join(found.said for found in new)
        old, rows = self.before["rows"], now["rows"]
        wrong = next((seq for seq in range(1, self.known.last + 1) if old[seq] != rows.get(seq)), None)
        if wrong is not None and wrong <= self.surely:
            assert named(wrong), (wrong, [f.sentence for f in new])
        for name, seq in self.naming().items():
            if now["blobs"].get(name) != self.before["blobs"][name] and old[seq] == rows.get(seq):
                assert named(seq), (name, seq, [f.sentence for f in new])
        if wrong is None:
            for op, row in self.before["inbox"].items():
                if now["inbox"].get(op) != row:
                    assert any(op in found.said for found in new), [f.sentence for f in new]
            if set(now["inbox"]) - set(self.before["inbox"]):
                assert any("op-mine" in found.said for found in new)
        for part in ("chain", "shape", "marks"):
            told = part != "chain" or (wrong is None and max(rows) == self.known.last)  # what he appends, he may append
            if now[part] != self.before[part] and told:
                assert new, part
        heads = self.config.places.heads
        data = heads.read_bytes() if heads.exists() else None
        if (
            self.withheld in ("ref", "all")
            and self.heads is not None
            and read_lines(data or b"") != read_lines(self.heads)
        ):
            assert new, "the heads"
        if now == self.before and data == self.heads:
            assert not new, [f.sentence for f in new]

    def naming(self) -> dict[str, int]:
        """Each blob and the first entry that names it."""
        found: dict[str, int] = {}
        for seq, row in sorted(self.before["rows"].items()):
            for name in self.before["blobs"]:
                if name.encode() in row[4]:
                    found.setdefault(name, seq)
        return found


@pytest.mark.parametrize("withheld", ["commits", "ref", "file", "all"])
def test_no_tampering_goes_unnoticed_while_one_anchor_is_out_of_reach(withheld: str) -> None:
    machine = type(f"Attacker_{withheld}", (Attacker,), {"withheld": withheld})
    run_state_machine_as_test(  # type: ignore[no-untyped-call]  # hypothesis has no types for it
        machine,
        settings=settings(
            deadline=None, max_examples=30, stateful_step_count=5, suppress_health_check=list(HealthCheck)
        ),
    )


def test_the_untouched_record_has_no_findings() -> None:
    base, _ = made("all")
    report = asyncio.run(verify_record(config_of(base, base / "repo")))
    assert report.ok and not report.notes, report.findings
