"""Matching of protected, core and own paths. Pure."""

from __future__ import annotations

from collections.abc import Collection

from governance.irongate.candidate import g02_protected
from ledger.vocabulary import Decision, Verdict


def protected_among(paths: Collection[str], extra: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``paths`` that gate 2 protects."""
    facts = (g02_protected.ProtectedPathFacts(path=p, owner=extra) for p in paths)
    return tuple(f.path for f in facts if g02_protected.check(f).decision is not Decision.ALLOW)


def refused_among(paths: Collection[str], extra: tuple[str, ...]) -> Verdict | None:
    """Gate 2's verdict on the first of ``paths`` that it protects; None when it protects none."""
    verdicts = (g02_protected.check(g02_protected.ProtectedPathFacts(path=p, owner=extra)) for p in paths)
    return next((verdict for verdict in verdicts if verdict.decision is not Decision.ALLOW), None)


def matching(paths: Collection[str], patterns: Collection[str]) -> tuple[str, ...]:
    """Those of ``paths`` that match one of ``patterns`` by path component."""
    return tuple(p for p in paths if any(g02_protected.matches(pattern, p) for pattern in patterns))


def touches_governance(paths: Collection[str]) -> bool:
    """True when one of ``paths`` is in Ouroboros's own governance code."""
    return bool(matching(paths, g02_protected.OWN_CODE))
