"""A Python file before and after, as gates compare it."""

from __future__ import annotations

import ast
from typing import NamedTuple

from governance.irongate.paths import is_python
from governance.irongate.syntax import parse
from governance.irongate.verdicts import passed
from ledger.vocabulary import Tier, Verdict


class Versions(NamedTuple):
    """Both syntax trees; ``old`` is None for a new file."""

    old: ast.Module | None
    new: ast.Module


def versions(gate: int, path: str, before: bytes | None, after: bytes | None) -> Versions | Verdict:
    """The two trees, else the verdict of ``gate``: NOTIFY_APPLY for a file that did not parse before."""
    new = parse(after) if after is not None and is_python(path) else None
    if new is None:
        return passed(gate)
    old = parse(before) if before is not None else None
    if old is None and before is not None:
        return passed(gate, "no_comparison", floor=Tier.NOTIFY_APPLY, evidence=[f"{path} did not parse before"])
    return Versions(old, new)
