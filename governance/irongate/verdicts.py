"""Constructors of verdicts, and escaping of untrusted text for display."""

from __future__ import annotations

from collections.abc import Iterable

from ledger.vocabulary import Decision, Tier, Verdict

SHOWN_CHARS = 200
SHOWN_EVIDENCE = 12


def passed(gate: int, rule: str = "ok", *, floor: Tier | None = None, evidence: Iterable[str] = ()) -> Verdict:
    """An ALLOW verdict; ``floor`` may still raise the tier."""
    return Verdict(gate=gate, rule=f"gate{gate:02d}.{rule}", floor=floor, evidence=_few(evidence))


def denied(gate: int, rule: str, reason: str, *, evidence: Iterable[str] = (), floor: Tier | None = None) -> Verdict:
    """A DENY verdict."""
    return Verdict(
        gate=gate,
        rule=f"gate{gate:02d}.{rule}",
        decision=Decision.DENY,
        reason=reason,
        evidence=_few(evidence),
        floor=floor,
    )


def repairable(gate: int, rule: str, reason: str, *, evidence: Iterable[str] = ()) -> Verdict:
    """A REPAIR verdict: the candidate is refused, but may be corrected and proposed again."""
    return Verdict(
        gate=gate, rule=f"gate{gate:02d}.{rule}", decision=Decision.REPAIR, reason=reason, evidence=_few(evidence)
    )


def shown(text: str) -> str:
    """``text`` with everything invisible or deceptive escaped, cut to a line's length."""
    safe = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    return safe if len(safe) <= SHOWN_CHARS else safe[:SHOWN_CHARS] + "…"


def _few(evidence: Iterable[str]) -> tuple[str, ...]:
    rows = [shown(row) for row in evidence]
    more = len(rows) - SHOWN_EVIDENCE
    return tuple(rows) if more <= 0 else (*rows[:SHOWN_EVIDENCE], f"and {more} more")
