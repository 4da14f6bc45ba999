"""Accumulated result of a ledger check, and helpers for the text of its findings."""

from __future__ import annotations

from dataclasses import dataclass, field

from ledger.database import SQLITE_FAULTS
from ledger.integrity.findings import Finding
from ledger.vocabulary import Head

MOST = 50  # findings of one kind that are reported one by one
FAULTS = (*SQLITE_FAULTS, ValueError, TypeError, OverflowError)
"""Exceptions that reading damaged or hostile content of the file can raise."""


@dataclass(slots=True, kw_only=True)
class CheckState:
    """Accumulated result; ``head`` is the last good entry so far."""

    head: Head
    first_bad: int | None = None
    entries: int = 0  # good ones before the first bad one
    stuck: bool = False  # a bad one was found
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bad_blobs: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    signed_ends: int = 0

    def broken(self, row: int) -> None:
        """Note that the chain is broken at ``row``; ``first_bad`` keeps the lowest."""
        self.first_bad = row if self.first_bad is None else min(self.first_bad, row)

    def add(self, found: Finding) -> None:
        """Append a finding."""
        self.findings.append(found)


def describe_error(error: BaseException) -> str:
    """An error's message as one line of at most 200 characters; its type's name when it has none."""
    text = " ".join(str(error).split())
    return text[:200] or type(error).__name__


def describe_value(value: object) -> str:
    """A column's value of any type as text of at most 64 characters."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= 64 else f"{text[:61]}..."


def missing_at_end(first: int, last: int) -> str:
    """A clause for entries ``first`` to ``last`` missing at the end of the chain."""
    return (
        f"entry {first} is missing at the end" if first == last else f"entries {first} to {last} are missing at the end"
    )
