"""Export of the ledger as JSON Lines. Each line can be verified by itself.

A line is canonical JSON: ``{"entry":<the stored bytes>,"hash":...,"prev":...}``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import cast

from ledger.canonical import canonical
from ledger.chain import entry_of
from ledger.errors import LedgerError
from ledger.parsers.json import read_json
from ledger.store import Ledger
from ledger.vocabulary import Entry

_PAGE = 500  # rows fetched at a time


async def export(ledger: Ledger, *, op_id: str | None = None) -> AsyncIterator[bytes]:
    """Lines (without newline) of one op, or of the whole ledger, oldest first. Raises ``ChainBroken`` on a bad row."""
    after = 0
    while True:
        rows = await ledger.query(
            "SELECT seq, body, prev, hash FROM entries"
            f" WHERE seq > ?1 {'' if op_id is None else 'AND op_id = ?3'} ORDER BY seq LIMIT ?2",
            (after, _PAGE, *(() if op_id is None else (op_id,))),
        )
        for seq, body, prev, own in rows:
            entry = entry_of(seq, body, prev, own)
            yield b"".join(
                (b'{"entry":', cast(bytes, body), f',"hash":"{entry.hash}","prev":"{entry.prev}"}}'.encode())
            )
            after = entry.seq
        if len(rows) < _PAGE:
            return


def parse_line(line: bytes) -> Entry:
    """Parse an exported line. Raises ``ChainBroken`` when it was altered, ``LedgerError`` when it is malformed."""
    try:
        outer = read_json(line)
        body, prev, own = canonical(outer["entry"]), outer["prev"], outer["hash"]
        seq = outer["entry"]["seq"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise LedgerError(
            "This is not a line of an exported ledger.", remedy="`ouro ledger export` makes them."
        ) from error
    return entry_of(seq, body, prev, own)
