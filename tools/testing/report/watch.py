"""Supervision of runs that give a verdict: sentinel tests, and the comparisons of assertions."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from ledger.errors import PolicyRefused
from tools.workspace import Workspace

GUARD, SENTINEL, COMPARE = "_ouro_guard", "_ouro_sentinel", "_ouro_compare"
KINDS = ("unequal", "raising", "own")


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """``sentinels``: names of tests that have to fail; none for an unsupervised run. ``sources``: test files whose
    comparisons are reported, as of before the run. ``plugins``: the plugins for it, with their arguments."""

    sentinels: frozenset[str] = frozenset()
    sources: Mapping[str, str] = field(default_factory=dict)
    plugins: Mapping[str, dict[str, Any]] = field(default_factory=dict)


UNWATCHED = Watch()


def watch(ws: Workspace, ids: Sequence[str], *, compared: bool) -> Watch:
    """Supervision of one run of ``ids`` (none: all). ``compared``: comparisons are reported (blocking)."""
    names = {kind: f"test_{secrets.token_hex(8)}" for kind in KINDS}
    guarded = Watch(sentinels=frozenset(names.values()), plugins={SENTINEL: {"names": names}, GUARD: {}})
    sources = _sources(ws, ids) if compared else {}
    if not sources:
        return guarded
    # The guard comes last: the other plugin's changes to pytest are ours.
    return replace(guarded, sources=sources, plugins={COMPARE: {}, **guarded.plugins})


def _sources(ws: Workspace, ids: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for path in {test.partition("::")[0] for test in ids}:
        data = None
        if path.endswith(".py"):
            with contextlib.suppress(PolicyRefused):  # a link
                data = ws.read(path)
        found[path] = data.decode("utf-8", "replace") if data is not None else ""
    return found
