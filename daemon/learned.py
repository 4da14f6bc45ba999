"""What became of the claims of an op, in one line. Pure."""

from __future__ import annotations

from collections import Counter

from governance.grounding.records import About, grades_in
from ledger.vocabulary import Entry


def learned(entry: Entry) -> str:
    """Of an entry of grades: each kind of claim with what it came to, and why."""
    grades = grades_in(entry)
    parts = []
    for about in About:
        ends = Counter(grade.outcome for grade in grades if grade.about is about)
        single = sum(ends.values()) == 1
        told = [outcome.value if single else f"{number} {outcome.value}" for outcome, number in ends.items()]
        parts += [f"{about.value} {', '.join(told)}"] if told else []
    again = "now " if any(grade.was is not None for grade in grades) else ""
    return f"{again}{' · '.join(parts)} ({entry.payload.get('why', '')})" if parts else ""
