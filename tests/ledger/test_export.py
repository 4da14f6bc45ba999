"""Exported lines hold the stored bytes and can be checked one by one."""

from __future__ import annotations

import json

import pytest

from ledger.canonical import canonical
from ledger.errors import ChainBroken, LedgerError
from ledger.export import export, parse_line
from ledger.store import Ledger
from tests.ledger.drafts import draft


async def test_lines_are_canonical_and_come_back_as_entries(ledger: Ledger) -> None:
    written = await ledger.append(*(draft(n) for n in range(1203)))  # more than two pages
    lines = [line async for line in export(ledger)]
    assert [parse_line(line) for line in lines] == list(written)
    assert all(canonical(json.loads(line)) == line and b"\n" not in line for line in lines[:20])
    mine = [parse_line(line) async for line in export(ledger, op_id="op-1")]
    assert mine == [entry for entry in written if entry.op_id == "op-1"]
    assert [line async for line in export(ledger, op_id="op-none")] == []


async def test_a_changed_line_is_refused(ledger: Ledger) -> None:
    await ledger.append(draft())
    (line,) = [line async for line in export(ledger)]
    with pytest.raises(ChainBroken):
        parse_line(line.replace(b"GATE", b"PLAN"))
    for bad in (b"", b"[]", b"{}", b"\xff", line[:-1], b'{"entry":1.5,"hash":"","prev":""}'):
        with pytest.raises(LedgerError):
            parse_line(bad)
