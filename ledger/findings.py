"""What a check of the record found: one sentence each, with the entry that it is about and what to do."""

from __future__ import annotations

from ledger.vocabulary import Frozen

EVIDENCE = "Keep the file as evidence and restore a backup of the ledger; `ouro log` shows what stood before it."
RECORD_GONE = "Keep what is left as evidence and restore a backup of the ledger."


class Finding(Frozen):
    """``said`` names the entry in words. ``row``: its sequence number, None where it is about the file. ``last``: that
    of the last one, where there are several."""

    said: str
    remedy: str = EVIDENCE
    row: int | None = None
    last: int | None = None

    @property
    def sentence(self) -> str:
        """For a person: what, where, and what to do."""
        return f"{self.said[:1].upper()}{self.said[1:]}. {self.remedy}".rstrip()


class Anchor(Frozen):
    """A head that stands outside of the rows that it vouches for. ``where`` names the place for a person.

    ``source``: what is written by the same hand; somebody who forges one head can forge all of that source.
    ``unknown``: fingerprint of the key that signed it, where nobody knows that key.
    """

    seq: int
    hash: str
    where: str
    unknown: str = ""
    source: str = ""
