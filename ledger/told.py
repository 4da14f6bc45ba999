"""What a check of the ledger has found so far, and how it is put into words."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.database import SQLITE_FAULTS
from ledger.findings import Finding
from ledger.vocabulary import Head

MOST = 50  # findings of one sort that are told
FAULTS = (*SQLITE_FAULTS, ValueError, TypeError, OverflowError)
"""What odd bytes in a file can raise on their way here."""


@dataclass(slots=True, kw_only=True)
class Told:
    """What is found on the way."""

    head: Head
    first_bad: int | None = None
    entries: int = 0  # good ones before the first bad one
    stuck: bool = False  # a bad one was met
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bad_blobs: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    signed_ends: int = 0

    def broken(self, row: int) -> None:
        """The chain does not hold at ``row``."""
        self.first_bad = row if self.first_bad is None else min(self.first_bad, row)

    def add(self, found: Finding) -> None:
        """One thing more."""
        self.findings.append(found)


def named(error: BaseException) -> str:
    """An error as one line."""
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__


def shown(value: object) -> str:
    """Any value of a column, cut to what a sentence can hold."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 64 else f"{text[:61]}..."


def missing_at_end(first: int, last: int) -> str:
    """In words."""
    return (
        f"entry {first} is missing at the end" if first == last else f"entries {first} to {last} are missing at the end"
    )
