"""The chain as pure functions: exact bytes, and every kind of change is found and named."""

from __future__ import annotations

import hashlib
import json

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ledger.canonical import canonical
from ledger.chain import BATCH, StoredRow, entry_of, freeze, place, walk
from ledger.errors import ChainBroken, LedgerError
from ledger.vocabulary import EntryKind, Head, OpOutcome, Phase, Spend, State
from tests.ledger.drafts import AT, ORIGIN, REPO_ID, chain_of, draft

ROWS = chain_of(7)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
HOSTILE = {
    "causes": [9], "kind": "signal", "op_id": "x", "payload": {}, "phase": "GATE", "seq": 1, "spend": {"calls": 0},
    'a","phase":"GATE","seq":1,"spend":{"': 1,
}  # fmt: skip


@given(
    payload=st.dictionaries(st.text(max_size=6), JSON, max_size=4) | st.just(HOSTILE),
    op_id=st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=8),
    phase=st.none() | st.sampled_from([Phase.PLAN, Phase("ANOTHER"), *OpOutcome]),
    causes=st.lists(st.integers(1, 9), max_size=3),
    calls=st.integers(0, 5),
)
@settings(deadline=None, max_examples=60)
def test_the_bytes_are_those_of_the_documented_format(
    payload: dict[str, object], op_id: str | None, phase: State | None, causes: list[int], calls: int
) -> None:
    given_draft = draft(payload=payload, op_id=op_id, phase=phase, causes=causes, spend=Spend(calls=calls))
    row, entry = place(freeze(given_draft), after=ORIGIN, at=AT)
    whole = {
        "at": AT, "causes": causes, "kind": "transition", "op_id": op_id, "payload": payload,
        "phase": phase and phase.value, "seq": 1, "spend": given_draft.spend.model_dump(),
    }  # fmt: skip
    assert row.body == canonical(whole)
    assert row.prev == hashlib.sha256(REPO_ID.encode()).hexdigest()
    assert row.hash == hashlib.sha256(b"ouro-ledger-1\n" + row.prev.encode() + b"\n" + row.body).hexdigest()
    assert entry_of(row.seq, row.body, row.prev, row.hash) == entry
    assert walk([row], start=ORIGIN) == (Head(seq=1, hash=row.hash), "")


@pytest.mark.parametrize(
    "payload",
    [{"x": 1.5}, {"x": [float("nan")]}, {"x": b"raw"}, {"x": {1, 2}}, {"x": "\ud800"}, {1: 0, "a": 0}, {"x": 10**5000}],
    ids=["float", "nan", "bytes", "set", "surrogate", "mixed keys", "endless number"],
)
def test_what_json_cannot_hold_is_refused(payload: dict[str, object]) -> None:
    with pytest.raises(LedgerError):
        freeze(draft().model_copy(update={"payload": payload}))


def test_tuples_come_back_as_what_a_reader_gets() -> None:
    _, entry = place(freeze(draft(payload={"pair": (1, 2), "kind": EntryKind.RUN})), after=ORIGIN, at=AT)
    assert entry.payload == {"pair": [1, 2], "kind": "run"}


@pytest.mark.parametrize("count", [0, 1, BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 3])
def test_a_good_chain_of_any_length_verifies(count: int) -> None:
    rows = chain_of(count)
    expected = Head(seq=count, hash=rows[-1].hash) if rows else ORIGIN
    assert walk(iter(rows), start=ORIGIN) == (expected, "")


@given(data=st.data(), row=st.integers(0, 6), flip=st.integers(1, 255))
@settings(deadline=None, max_examples=150)
def test_any_changed_byte_of_the_stored_bytes_is_named(data: st.DataObject, row: int, flip: int) -> None:
    body = bytearray(ROWS[row].body)
    body[data.draw(st.integers(0, len(body) - 1))] ^= flip
    assert _first_bad(_with(row, body=bytes(body))) == row + 1


@given(data=st.data(), row=st.integers(0, 6), column=st.sampled_from(["at", "op_id", "kind", "phase", "prev", "hash"]))
@settings(deadline=None, max_examples=150)
def test_any_changed_character_of_a_column_is_named(data: st.DataObject, row: int, column: str) -> None:
    text = getattr(ROWS[row], column)
    position = data.draw(st.integers(0, len(text)))
    other = data.draw(st.characters(exclude_categories=["Cs"]))
    changed = text[:position] + other + text[position + data.draw(st.integers(0, 1)) :]
    assume(changed != text)
    assert _first_bad(_with(row, **{column: changed})) == row + 1


@pytest.mark.parametrize("column", ["op_id", "phase"])
def test_a_column_that_was_emptied_is_named(column: str) -> None:
    head, reason = walk(_with(3, **{column: None}), start=ORIGIN)
    assert (head.seq, reason) == (3, f"entry 4: its column {column} differs from its stored bytes")


@pytest.mark.parametrize("column", ["at", "op_id", "kind", "phase", "prev", "hash", "body"])
@pytest.mark.parametrize("value", [7, b"raw", "text"])
def test_a_column_of_another_type_is_named(column: str, value: object) -> None:
    if (column, value) == ("body", b"raw"):
        value = "text"
    assert _first_bad(_with(2, **{column: value})) == 3


@given(first=st.integers(0, 6), second=st.integers(0, 6))
@settings(deadline=None, max_examples=40)
def test_swapped_rows_are_named(first: int, second: int) -> None:
    assume(first < second)
    rows = list(ROWS)
    # The rows keep their places (their numbers) and exchange everything else.
    rows[first], rows[second] = (
        rows[second]._replace(seq=rows[first].seq),
        rows[first]._replace(seq=rows[second].seq),
    )
    assert _first_bad(rows) == first + 1


@given(row=st.integers(0, 5), count=st.integers(1, 3))
@settings(deadline=None, max_examples=20)
def test_deleted_rows_are_named(row: int, count: int) -> None:
    assume(row + count < len(ROWS))
    assert _first_bad([*ROWS[:row], *ROWS[row + count :]]) == row + 1


def test_closing_the_gap_of_a_deleted_row_does_not_help() -> None:
    rows = [*ROWS[:2], *(r._replace(seq=r.seq - 1) for r in ROWS[3:])]
    assert _first_bad(rows) == 3


@given(row=st.integers(0, 5))
@settings(deadline=None, max_examples=10)
def test_a_rewritten_row_with_a_right_hash_breaks_the_next_one(row: int) -> None:
    after = ORIGIN if row == 0 else Head(seq=row, hash=ROWS[row - 1].hash)
    forged, _ = place(freeze(draft(99)), after=after, at=AT)
    assert _first_bad([*ROWS[:row], forged, *ROWS[row + 1 :]]) == row + 2


def test_a_wholly_rewritten_chain_is_caught_by_a_head_that_was_signed() -> None:
    forged = chain_of(7, payload={"forged": True})
    assert walk(forged, start=ORIGIN)[1] == ""
    head, reason = walk(forged, start=ORIGIN, anchors={5: ROWS[4].hash})
    assert (head.seq, reason) == (4, "entry 5 is not the one that a signed commit names")
    assert walk(ROWS, start=ORIGIN, anchors={5: ROWS[4].hash})[1] == ""


def test_a_ledger_of_another_repository_does_not_verify() -> None:
    head, reason = walk(ROWS, start=Head(seq=0, hash="0" * 64))
    assert (head.seq, reason) == (0, "entry 1 does not follow the entry before it")


def test_columns_cannot_hide_behind_a_payload_that_looks_like_an_entry() -> None:
    rows = chain_of(1, payload=HOSTILE, op_id='x","payload":{"a":"b')
    assert walk(rows, start=ORIGIN)[1] == ""
    for column, value in (("op_id", "x"), ("kind", "signal"), ("phase", "ROUTE"), ("at", AT[:-1] + '"')):
        assert walk([rows[0]._replace(**{column: value})], start=ORIGIN)[1], column
    # A time that swallows the real fields up to their copies in the payload.
    (row,) = chain_of(1, payload={"a": "b", "causes": [], "kind": "transition", "op_id": "op-0", "payload": {}})
    swallowing = AT + '","causes":[],"kind":"transition","op_id":"op-0","payload":{"a":"b'
    assert walk([row], start=ORIGIN)[1] == ""
    assert "column at" in walk([row._replace(at=swallowing)], start=ORIGIN)[1]


def test_well_hashed_bytes_that_are_not_canonical_are_named() -> None:
    loose = json.dumps(json.loads(ROWS[0].body)).encode()
    hashed = hashlib.sha256(b"ouro-ledger-1\n" + ORIGIN.hash.encode() + b"\n" + loose).hexdigest()
    head, reason = walk([ROWS[0]._replace(body=loose, hash=hashed)], start=ORIGIN)
    assert (head.seq, reason) == (0, "entry 1: its stored bytes are not canonical JSON")


def test_reading_a_changed_entry_names_it() -> None:
    with pytest.raises(ChainBroken) as caught:
        entry_of(5, ROWS[4].body.replace(b"GATE", b"PLAN"), ROWS[4].prev, ROWS[4].hash)
    assert caught.value.seq == 5


def _with(row: int, **columns: object) -> list[StoredRow]:
    return [r._replace(**columns) if n == row else r for n, r in enumerate(ROWS)]  # type: ignore[arg-type]  # on purpose


def _first_bad(rows: list[StoredRow]) -> int:
    head, reason = walk(rows, start=ORIGIN)
    assert reason
    return head.seq + 1
