"""Findings of a ledger check: a message, the entries concerned and a remedy. Anchors: heads known from elsewhere."""

from __future__ import annotations

from ledger.vocabulary import Frozen

EVIDENCE = "Keep the file as evidence and restore a backup of the ledger; `ouro log` shows what stood before it."
RECORD_GONE = "Keep what is left as evidence and restore a backup of the ledger."


class Finding(Frozen):
    """One defect. ``said``: the message, a clause that names the entry. ``row``: the entry's number, None for the file
    as a whole; ``last``: the last number, where it concerns a range."""

    said: str
    remedy: str = EVIDENCE
    row: int | None = None
    last: int | None = None

    @property
    def sentence(self) -> str:
        """Message and remedy as text for the user."""
        return f"{self.said[:1].upper()}{self.said[1:]}. {self.remedy}".rstrip()


class Anchor(Frozen):
    """A head recorded apart from the rows that it vouches for. ``where`` describes the place for the user.

    ``source`` groups heads that a forger of one could forge together. ``unknown``: fingerprint of the signing key,
    where that key is unknown.
    """

    seq: int
    hash: str
    where: str
    unknown: str = ""
    source: str = ""
