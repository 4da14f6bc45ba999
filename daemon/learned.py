"""What became of the claims of an op, in one line. Pure."""

from __future__ import annotations

from collections import Counter

from ledger.events.grounding import About, ClaimsGraded


def learned(event: ClaimsGraded) -> str:
    """Outcomes by kind of claim, and the reason."""
    parts = []
    for about in About:
        ends = Counter(grade.outcome for grade in event.grades if grade.about is about)
        single = sum(ends.values()) == 1
        told = [outcome.value if single else f"{number} {outcome.value}" for outcome, number in ends.items()]
        parts += [f"{about.value} {', '.join(told)}"] if told else []
    again = "now " if any(grade.was is not None for grade in event.grades) else ""
    return f"{again}{' · '.join(parts)} ({event.why})" if parts else ""
