"""What `ouro verify` and `ouro ledger verify` find, on records with signed commits and signed ends of sessions."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from daemon.record.verifying import RecordReport, verify_commits, verify_record
from daemon.settings.config import Config, Settings
from governance.changes import sshsig
from governance.changes.signing import ensure_identity
from ledger.errors import ChainBroken, GitFailed, LedgerError
from tests.daemon.records import (
    REPO_ID,
    Lived,
    config_of,
    heads_of,
    intent,
    lived_in,
    message,
    opened,
    signed_commit,
    work,
)
from tests.daemon.scripted_api import OP
from tests.ledger.drafts import tamper
from tests.repos import commit, git

OTHER = OP.replace("7f3a-", "beef-")
FIXTURE = Path(__file__).parent / "data" / "first_house.sqlite3"


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Lived]:
    base = tmp_path_factory.mktemp("record")
    return base, lived_in(config_of(base))


@pytest.fixture
def known(template: tuple[Path, Lived], tmp_path: Path) -> tuple[Config, Lived]:
    """A copy of a record that has lived, to be tampered with."""
    base, made = template
    shutil.copytree(base, tmp_path / "copy")
    return config_of(tmp_path / "copy", tmp_path / "copy" / "repo"), made


def look(config: Config) -> RecordReport:
    return asyncio.run(verify_record(config))


def said(report: RecordReport) -> str:
    return "\n".join(found.sentence for found in report.findings)


def rows(report: RecordReport) -> set[int | None]:
    return {found.row for found in report.findings}


def change(config: Config, *statements: str) -> None:
    tamper(config.places.ledger, *((sql, ()) for sql in statements))


def test_an_untouched_record(known: tuple[Config, Lived]) -> None:
    config, made = known
    report = look(config)
    assert report.ok and not report.findings and not report.notes, said(report)
    assert report.chain.entries == made.last and report.anchors == 6  # two commits, two heads in two places


CUT = "UPDATE chain SET seq = {0}, hash = (SELECT hash FROM entries WHERE seq = {0})"
TAMPERINGS: dict[str, tuple[tuple[str, ...], int | None, str]] = {
    "cut behind the last commit": (("DELETE FROM entries WHERE seq > 15", CUT.format(15)), 16, "missing at the end"),
    "cut before it": (("DELETE FROM entries WHERE seq > 12", CUT.format(12)), 13, "are missing at the end"),
    "the last entry alone": (("DELETE FROM entries WHERE seq > 17", CUT.format(17)), 18, "entry 18 is missing"),
    "every blob": (("DELETE FROM blobs",), 2, "is missing"),
    "one blob": (("UPDATE blobs SET data = x'00' WHERE sha256 = (SELECT json_extract(CAST(body AS TEXT), "
                  "'$.payload.answer') FROM entries WHERE seq = 3)",), 3, "was changed"),
    "the size of a blob": (("UPDATE blobs SET size = 7 WHERE sha256 = (SELECT json_extract(CAST(body AS TEXT), "
                            "'$.payload.answer') FROM entries WHERE seq = 3)",), 3, "says that it has 7 bytes"),
    "a row dropped": (("DELETE FROM entries WHERE seq = 7",), 7, "Entry 7 is missing, entry 8 stands in its place"),
    "a column": (("UPDATE entries SET op_id = 'op-9' WHERE seq = 4",), 4, "column op_id"),
    "text for bytes": (("UPDATE entries SET body = CAST(body AS TEXT) WHERE seq = 4",), 4, "entry 4"),
    "a huge body": (("UPDATE entries SET body = zeroblob(30000000) WHERE seq = 4",), 4, "entry 4"),
    "text that is none": (("UPDATE entries SET at = CAST(x'ff' AS TEXT) WHERE seq = 4",), 4, "cannot be read"),
    "another genesis": (("UPDATE chain SET genesis = 'x'",), 1, "another repository"),
    "no row in chain": (("DELETE FROM chain",), None, "0 rows"),
    "a text in chain": (("UPDATE chain SET seq = 'many'",), 18, "says that entry many is the last"),
    "another hash in chain": (("UPDATE chain SET hash = 'x'",), 18, "another hash"),
    "application id": (("PRAGMA application_id = 7",), None, "application id is 0x7"),
    "schema version": (("PRAGMA user_version = 9",), None, "schema 9"),
    "a table": (("CREATE TABLE mine (a)",), None, "table mine that was added"),
    "a view": (("CREATE VIEW mine AS SELECT 1",), None, "view mine that was added"),
    "a trigger": (("CREATE TRIGGER mine AFTER INSERT ON entries BEGIN DELETE FROM blobs; END",), None, "trigger mine"),
    "a table for entries": (("ALTER TABLE entries RENAME TO other", "CREATE TABLE entries (seq, at, op_id, kind, "
                             "phase, body, prev, hash)"), 1, "no table of entries"),
    "a view for entries": (("ALTER TABLE entries RENAME TO other", "CREATE VIEW entries AS WITH RECURSIVE n(i) AS "
                            "(SELECT 1 UNION ALL SELECT i FROM n) SELECT i FROM n"), 1, "no table of entries"),
    "no blobs": (("DROP TABLE blobs",), None, "table blobs is missing"),
    "a row of the inbox": (("UPDATE inbox SET dossier = (SELECT operation FROM inbox LIMIT 1)",), 5, "another dossier"),
    "no rows in the inbox": (("DELETE FROM inbox",), 5, "asks for approval"),
    "one more row": (("INSERT INTO inbox SELECT 'op-mine', operation, dossier, requested_at, expires_at, reason FROM "
                      "inbox LIMIT 1",), None, "'op-mine'"),
    "odd values in the inbox": (("UPDATE inbox SET reason = x'ff', expires_at = 7",), 5, "expires_at, reason"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_each_tampering_is_named_by_row(known: tuple[Config, Lived], name: str) -> None:
    config, _ = known
    statements, row, words = TAMPERINGS[name]
    change(config, *statements)
    report = look(config)
    assert not report.ok and row in rows(report) and words.lower() in said(report).lower(), said(report)
    assert "None" not in said(report)


def test_a_trigger_that_was_taken_away(known: tuple[Config, Lived]) -> None:
    config, _ = known
    with closing(sqlite3.connect(config.places.ledger)) as connection:
        connection.execute("DROP TRIGGER blobs_no_delete")
    assert "the trigger blobs_no_delete is missing" in said(look(config)).lower()


def test_an_index_that_hides_a_row(known: tuple[Config, Lived]) -> None:
    """Whoever asks by it does not see the row: SQLite's own check names it."""
    config, _ = known
    with closing(sqlite3.connect(config.places.ledger, isolation_level=None)) as connection:
        (sql,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'entries_by_kind'").fetchone()
        connection.execute("DROP INDEX entries_by_kind")
        connection.execute("CREATE INDEX entries_by_kind ON entries (kind, seq) WHERE seq <> 5")
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'entries_by_kind'", (sql,))
    report = look(config)
    assert 5 in rows(report) and "missing from index" in said(report), said(report)


Edit = Callable[[bytes], bytes | None]
PLACES: dict[str, tuple[Edit, str]] = {
    "lost": (lambda data: None, "is lost"),
    "empty": (lambda data: b"", "lacks the head"),
    "an odd line": (lambda data: data + b"\xff{}\n", "line 3"),
    "a line less": (lambda data: data.split(b"\n")[1] + b"\n", "lacks the head of entry 9"),
    "another number": (lambda data: data.replace(b'"seq":9', b'"seq":8'), "does not fit the content"),
    "a longer hash": (lambda data: data.replace(b'"hash":"', b'"hash":"0', 1), "no signed head"),
    "another repository": (lambda data: data.replace(b'"genesis":"d', b'"genesis":"e'), "another repository"),
    "no signature": (lambda data: data.replace(b"BEGIN SSH", b"BEGIN XXX"), "not an SSH signature"),
}  # fmt: skip


@pytest.mark.parametrize("place", ["file", "ref"])
@pytest.mark.parametrize("name", PLACES)
def test_what_was_done_to_the_heads_is_told(known: tuple[Config, Lived], name: str, place: str) -> None:
    config, _ = known
    edit, words = PLACES[name]
    places = config.places
    data = edit(places.heads.read_bytes())
    if place == "file":
        places.heads.unlink()
        if data is not None:
            places.heads.write_bytes(data)
    elif data is None:
        git(places.repo, "update-ref", "-d", places.heads_ref)
    else:
        scratch = places.repo.parent / "data"
        scratch.write_bytes(data)
        git(places.repo, "update-ref", places.heads_ref, git(places.repo, "hash-object", "-w", str(scratch)))
    report = look(config)
    assert not report.ok and words.lower() in said(report).lower(), said(report)
    assert report.chain.first_bad is None, "the record itself is whole"


def test_a_ref_that_is_something_else_is_told(known: tuple[Config, Lived]) -> None:
    config, _ = known
    git(config.places.repo, "update-ref", config.places.heads_ref, "HEAD")
    assert "names no blob" in said(look(config))


def test_references_that_git_cannot_read_are_not_taken_for_one_that_was_replaced(known: tuple[Config, Lived]) -> None:
    config, _ = known
    (config.places.repo / ".git/packed-refs").write_text("nonsense\n")
    told = said(look(config))
    assert "packed-refs: nonsense" in told
    assert "names no blob" not in told


def test_both_places_lost_is_told_by_the_chain(known: tuple[Config, Lived]) -> None:
    config, made = known
    config.places.heads.unlink()
    git(config.places.repo, "update-ref", "-d", config.places.heads_ref)
    report = look(config)
    assert made.last in rows(report) and "are lost" in said(report)


def test_a_folder_in_the_place_of_the_file_is_told(known: tuple[Config, Lived]) -> None:
    config, _ = known
    config.places.heads.unlink()
    config.places.heads.mkdir()
    assert "cannot be read" in said(look(config))


async def test_the_next_end_of_a_session_writes_both_places_again(known: tuple[Config, Lived]) -> None:
    config, _ = known
    git(config.places.repo, "update-ref", "-d", config.places.heads_ref)
    ledger = await opened(config)
    await heads_of(config).end_session(ledger, "3")
    await ledger.close()
    report = await verify_record(config)
    assert report.ok and report.anchors == 8, said(report)


def test_a_cut_that_takes_all_session_ends_along_is_seen_by_the_commits(known: tuple[Config, Lived]) -> None:
    config, made = known
    change(config, "DELETE FROM entries WHERE seq > 8", CUT.format(8))
    config.places.heads.unlink()
    git(config.places.repo, "update-ref", "-d", config.places.heads_ref)
    report = look(config)
    assert report.chain.first_bad == 9 and f"to {made.commits[-1]} are missing at the end" in said(report)


@pytest.mark.parametrize("gone", ["branch", "case"])
def test_a_commit_counts_wherever_it_is(known: tuple[Config, Lived], gone: str) -> None:
    """A review branch, one that was deleted (the reflog of HEAD has it), a name in other letters."""
    config, made = known
    repo = config.places.repo
    made_on = git(repo, "rev-parse", "refs/heads/ouro/review/op-b")
    git(repo, "update-ref", "-d", "refs/heads/ouro/review/op-b")
    if gone == "case":
        git(repo, "update-ref", "refs/heads/OURO/Review/x", made_on)
    else:
        git(repo, "checkout", "-q", made_on)
        git(repo, "checkout", "-q", "main")
    change(config, "DELETE FROM entries WHERE seq > 12", CUT.format(12))
    config.places.heads.unlink()
    git(repo, "update-ref", "-d", config.places.heads_ref)
    assert f"names entry {made.commits[-1]}" in said(look(config)), gone


def test_a_record_that_is_gone(known: tuple[Config, Lived]) -> None:
    config, made = known
    config.places.ledger.unlink()
    report = look(config)
    assert report.chain.first_bad == 1 and f"names its entry {made.last}" in said(report)


def test_no_record_and_nothing_that_says_so(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no record"):
        look(config_of(tmp_path))


# --- keys


def new_key(config: Config) -> None:
    for file in config.places.keys.iterdir():
        file.unlink()
    ensure_identity(config.places, config.settings.changes)


def print_of(config: Config) -> str:
    return sshsig.fingerprint(ensure_identity(config.places, config.settings.changes).public)


def test_a_lost_key_is_told_and_not_made(known: tuple[Config, Lived]) -> None:
    config, _ = known
    shutil.rmtree(config.places.keys)
    report = look(config)
    assert "holds no key of the daemon" in said(report) and "unknown key" in said(report)
    assert not config.places.keys.exists()


def test_a_key_that_is_none_is_told(known: tuple[Config, Lived]) -> None:
    config, _ = known
    (config.places.keys / "signing_ed25519").write_text("no key")
    assert "is not an SSH key" in said(look(config))


def test_a_rotated_key_is_told_until_it_is_listed(known: tuple[Config, Lived]) -> None:
    config, _ = known
    old = print_of(config)
    new_key(config)
    report = look(config)
    assert not report.ok and old in said(report) and "changes.other_signers" in said(report)
    listed = Config(
        settings=Settings.model_validate({"changes": {"other_signers": [old]}}), places=config.places, env=config.env,
        secret=config.secret,
    )  # fmt: skip
    report = look(listed)
    assert report.ok, said(report)
    assert "listed" in "\n".join(report.notes)


async def test_a_record_made_anew_with_another_key_is_told(known: tuple[Config, Lived]) -> None:
    """State folder, heads and key are all of the attacker; the repository is not."""
    config, _ = known
    for left in config.places.state.glob("ledger.sqlite3*"):
        left.unlink()
    config.places.heads.unlink()
    new_key(config)
    ledger = await opened(config)
    await work(ledger, 20)
    await heads_of(config).end_session(ledger, "1")
    await ledger.close()
    data = config.places.heads.read_bytes().split(b"\n")
    config.places.heads.write_bytes(data[-2] + b"\n")
    report = await verify_record(config)
    assert "unknown key" in said(report) and "does not have like that" in said(report), said(report)


async def test_a_session_of_somebody_without_the_key_is_told(known: tuple[Config, Lived], tmp_path: Path) -> None:
    config, made = known
    stranger = replace(config.places, state=tmp_path / "strange", repo_id=REPO_ID)
    (stranger.state / "keys").mkdir(parents=True, mode=0o700)
    other = Config(settings=config.settings, places=stranger, env=config.env, secret=config.secret)
    ledger = await opened(config)
    before = config.places.heads.read_bytes()
    await heads_of(other).end_session(ledger, "mallory")
    await ledger.close()
    assert config.places.heads.read_bytes() == before
    report = await verify_record(config)
    assert made.last + 1 in rows(report) and "unknown key" in said(report)


# --- commits


def put(config: Config, data: str) -> str:
    made = git(config.places.repo, "hash-object", "-t", "commit", "-w", "--stdin", stdin=data)
    git(config.places.repo, "update-ref", "refs/heads/main", made)
    return made


async def test_a_commit_that_agrees_with_everything(known: tuple[Config, Lived]) -> None:
    config, _ = known
    start = git(config.places.repo, "rev-parse", "HEAD~1")
    made = git(config.places.repo, "rev-parse", "HEAD")
    commit(config.places.repo, "the owner's own")
    found = await verify_commits(config, f"{start}..HEAD")
    assert [(one.commit, one.problems) for one in found.commits] == [(made, ())] and found.ok
    assert (await verify_commits(config, "HEAD")).commits == ()
    assert (await verify_commits(config, "HEAD~1")).ok
    assert [one.commit for one in (await verify_commits(config, None)).commits] == [made]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("another hash", "entry 19 of the ledger has another hash"),
        ("no such entry", "the ledger has no entry 99"),
        ("another op", "entry 19 of the ledger belongs to another op"),
        ("changed message", "signature"),
        ("no key here", "no key of the daemon"),
    ],
)
async def test_a_commit_that_does_not(known: tuple[Config, Lived], kind: str, told: str) -> None:
    config, _ = known
    ledger = await opened(config)
    entry = await intent(ledger, OTHER if kind == "another op" else OP)
    await ledger.close()
    place = {"another hash": (entry.seq, "0" * 64), "no such entry": (99, entry.hash)}.get(kind)
    made = signed_commit(config, entry, ledger=place)
    if kind == "changed message":
        data = git(config.places.repo, "cat-file", "commit", made).replace("Because.", "Trust me.")
        made = put(config, data + "\n")
    if kind == "no key here":
        (config.places.keys / "signing_ed25519").unlink()
    found = await verify_commits(config, made)
    assert not found.ok and told in "; ".join(found.commits[0].problems)
    assert (config.places.keys / "signing_ed25519").exists() is (kind != "no key here"), "looking makes no key"


SPELLINGS: dict[str, Callable[[str], str]] = {
    "lower case": lambda text: text.replace("Ouro-", "ouro-"),
    "upper case": lambda text: text.replace("Ouro-", "OURO-"),
    "only the ledger's": lambda text: "fix: it\n\n" + next(x for x in text.split("\n") if "Ouro-Ledger" in x) + "\n",
    "in the subject": lambda text: next(x for x in text.split("\n") if "Ouro-Ledger" in x) + "\n",
    "twice": lambda text: text + next(x for x in text.split("\n") if "Ouro-Ledger" in x) + "\n",
    "folded": lambda text: text.replace(" sha256:", "\n sha256:"),
    "indented, with blanks": lambda text: text.replace("Ouro-Ledger:", "  Ouro-Ledger  :"),
    "in the middle": lambda text: text + "\n\nand more\n",
}


@pytest.mark.parametrize("name", SPELLINGS)
async def test_copied_trailers_are_noticed_however_they_are_spelled(known: tuple[Config, Lived], name: str) -> None:
    config, _ = known
    repo = config.places.repo
    text = SPELLINGS[name](git(repo, "log", "-1", "--format=%B", "HEAD") + "\n")
    git(repo, "commit", "-q", "--allow-empty", "-m", text)
    made = git(repo, "rev-parse", "HEAD")
    found = await verify_commits(config, made)
    assert [one.commit for one in found.commits] == [made] and not found.ok
    assert "the signature: there is none" in found.commits[0].problems
    record = await verify_record(config)
    assert record.ok and made[:12] in "\n".join(record.notes), "it proves nothing against the record"


async def test_a_branch_in_another_letter_case_is_found(known: tuple[Config, Lived]) -> None:
    config, _ = known
    found = await verify_commits(config, "Ouro/Review/OP-B")
    assert len(found.commits) == 1 and found.ok and found.asked.endswith("ouro/review/op-b")
    found = await verify_commits(config, "MAIN~1..Main")
    assert len(found.commits) == 1 and found.ok
    for none in ("nothing", "--all", "no..where"):
        with pytest.raises(GitFailed, match="rev-list"):
            await verify_commits(config, none)


async def test_names_that_are_no_text_do_no_harm(known: tuple[Config, Lived]) -> None:
    config, _ = known
    packed = config.places.git_dir / "packed-refs"
    head = git(config.places.repo, "rev-parse", "HEAD")
    packed.write_bytes(head.encode() + b" refs/heads/\xff\xfe\n")
    assert (await verify_record(config)).ok
    assert (await verify_commits(config, "Main")).ok


async def test_replaced_and_grafted_commits_are_read_as_they_were_made(known: tuple[Config, Lived]) -> None:
    config, _ = known
    repo = config.places.repo
    made = git(repo, "rev-parse", "HEAD")
    git(repo, "replace", "-f", made, git(repo, "rev-parse", "HEAD~1"))
    (config.places.git_dir / "info" / "grafts").write_text(f"{made}\n")
    assert [one.commit for one in (await verify_commits(config, None)).commits] == [made]


async def test_an_unborn_branch_has_no_commits(known: tuple[Config, Lived]) -> None:
    config, _ = known
    git(config.places.repo, "symbolic-ref", "HEAD", "refs/heads/none")
    found = await verify_commits(config, None)
    assert found.commits == () and found.ok


async def test_a_commit_of_another_daemon(known: tuple[Config, Lived], tmp_path: Path) -> None:
    config, _ = known
    theirs = config_of(tmp_path / "theirs")
    identity = ensure_identity(theirs.places, theirs.settings.changes)
    ours = config.places
    beside = Config(
        settings=config.settings, places=replace(ours, state=theirs.places.state), env=config.env, secret=config.secret
    )
    ledger = await opened(config)
    entry = await intent(ledger)
    await ledger.close()
    signed_commit(beside, entry, ledger=(7, "1" * 64))
    assert "Ouro-Ledger: 7" in message(7, "1" * 64, identity=identity)
    found = await verify_commits(config, "HEAD")
    assert not found.ok and sshsig.fingerprint(identity.public) in "; ".join(found.commits[0].problems)
    assert "unknown key" in said(found.record)
    changes = {"other_signers": [sshsig.fingerprint(identity.public)]}
    listed = Config(
        settings=Settings.model_validate({"changes": changes}), places=ours, env=config.env, secret=config.secret
    )
    found = await verify_commits(listed, "HEAD")
    assert found.ok and "listed" in found.commits[0].note


def test_a_repository_that_git_cannot_walk_is_told(known: tuple[Config, Lived]) -> None:
    config, _ = known
    parent = git(config.places.repo, "rev-parse", "HEAD~1")
    (config.places.git_dir / "objects" / parent[:2] / parent[2:]).unlink()
    assert "cannot be looked through" in said(look(config))


# --- at start


async def test_at_start_a_record_that_lacks_a_signed_head_is_refused(known: tuple[Config, Lived]) -> None:
    config, _ = known
    heads = heads_of(config)
    ledger = await opened(config)
    await heads.refuse_missing_head(ledger, await heads.read())
    await ledger.close()
    change(config, "DELETE FROM entries WHERE seq > 17", CUT.format(17))
    for edit in (lambda: None, lambda: config.places.heads.write_bytes(b"")):
        edit()
        ledger = await opened(config)
        with pytest.raises(ChainBroken, match="names entry 18") as caught:
            await heads.refuse_missing_head(ledger, await heads.read())
        assert "update-ref -d" in caught.value.remedy
        await ledger.close()
    git(config.places.repo, "update-ref", "-d", config.places.heads_ref)
    ledger = await opened(config)
    await heads.refuse_missing_head(ledger, await heads.read())
    await ledger.close()


async def test_another_users_daemon_at_one_repository_is_named(known: tuple[Config, Lived], tmp_path: Path) -> None:
    """As after `sudo ouro`: a state folder of its own, and the one ref."""
    config, _ = known
    theirs = replace(config.places, state=tmp_path / "theirs")
    theirs.state.mkdir(mode=0o700)
    theirs.keys.mkdir(mode=0o700)
    second = Config(settings=config.settings, places=theirs, env=config.env, secret=config.secret)
    ensure_identity(theirs, config.settings.changes)
    ledger, heads = await opened(second), heads_of(second)
    with pytest.raises(ChainBroken, match="Another daemon keeps a record of this repository") as caught:
        await heads.refuse_missing_head(ledger, await heads.read())
    assert print_of(config) in caught.value.message and "sudo ouro" in caught.value.remedy
    await intent(ledger)
    await ledger.close()
    report = (await verify_commits(second, "HEAD")).record
    assert print_of(config) in said(report) and "is lost" not in said(report)


async def test_at_start_a_line_without_a_signature_stops_nothing(known: tuple[Config, Lived]) -> None:
    config, _ = known
    data = config.places.heads.read_bytes()
    config.places.heads.write_bytes(data.replace(b'"seq":9', b'"seq":8') + data.replace(b'"seq":18', b'"seq":1800000'))
    ledger, heads = await opened(config), heads_of(config)
    await heads.refuse_missing_head(ledger, await heads.read())
    await ledger.close()


# --- files


def test_left_overs_of_sqlite(known: tuple[Config, Lived]) -> None:
    config, _ = known
    journal = config.places.ledger.with_name("ledger.sqlite3-journal")
    journal.write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(600))
    assert "lies beside the ledger" in said(look(config))
    journal.unlink()
    wal = config.places.ledger.with_name("ledger.sqlite3-wal")
    wal.write_bytes(os.urandom(5000))
    report = look(config)
    assert report.ok and "holds entries that no daemon" in "\n".join(report.notes)


@given(data=st.data())
@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_bytes_lie_there_something_is_said(known: tuple[Config, Lived], data: st.DataObject) -> None:
    """Wherever a byte falls: found, or without meaning (free space, a counter) and the record is read as it was."""
    config, made = known
    ledger = config.places.ledger
    pristine = ledger.with_name("pristine")
    if not pristine.exists():
        with closing(sqlite3.connect(ledger)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        shutil.copy(ledger, pristine)
    image = bytearray(pristine.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(image) - 1) | st.integers(0, 110))
        piece = data.draw(st.binary(min_size=1, max_size=40))
        image[at : at + len(piece)] = piece
    if data.draw(st.booleans()):
        del image[data.draw(st.integers(0, len(image))) :]
    for left in ledger.parent.glob("ledger.sqlite3-*"):
        left.unlink()
    ledger.write_bytes(image)
    report = look(config)
    assert report.findings or (report.chain.entries == made.last and not report.chain.bad_blobs)


# --- the first house


async def test_a_record_from_before_heads_were_signed_verifies(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    shutil.copy(FIXTURE, config.places.ledger)
    report = await verify_record(config)
    assert report.ok and report.chain.entries == 12, said(report)
    assert "nothing outside of the ledger vouches for it yet" in "\n".join(report.notes)
    assert "1 sessions ended without a signed head" in "\n".join(report.notes)
    ledger = await opened(config)
    await heads_of(config).end_session(ledger, "2")
    await ledger.close()
    report = await verify_record(config)
    assert report.ok and report.anchors == 2, said(report)
    change(config, "DELETE FROM entries WHERE seq > 3", CUT.format(3))
    assert (await verify_record(config)).chain.first_bad == 4
