"""Settings of the watched repository: stricter than the owner's, never looser.

``.ouro/config.toml`` lies in the tree, so it is hostile until proven otherwise. Only the fields of :data:`RULES` are
allowed there, and each only in its stricter direction. Commands, interpreters, hooks, keys and sandbox switches are not
among them: they count only from the owner's own files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from daemon.settings.layers import Table, get, leaves, put
from ledger.errors import ConfigError
from sensors.registry import TIGHTEN

S = TypeVar("S", bound=BaseModel)


class Direction(StrEnum):
    """Which way is stricter."""

    LOWER = "lower"
    HIGHER = "higher"
    ON = "on"
    OFF = "off"
    GROW = "grow"  # a list to which names may be added
    LATER = "later"  # a choice, ordered from loose to strict


@dataclass(frozen=True, slots=True)
class Rule:
    direction: Direction
    order: tuple[str, ...] = ()


LOWER, HIGHER, ON, OFF, GROW = (Rule(d) for d in list(Direction)[:5])

RULES: Mapping[str, Rule] = {
    "approval.notify_delay_s": HIGHER,
    "approval.timeout_s": LOWER,
    "approval.unattended": Rule(Direction.LATER, ("listed", "search", "nothing")),
    "pipeline.workers": LOWER,
    "pipeline.generate_retries": LOWER,
    "pipeline.validate_retries": LOWER,
    "loop.tools": Rule(Direction.LATER, ("auto", "off")),
    "loop.rounds": LOWER,
    "loop.explore_rounds": LOWER,
    "loop.deadline_s": LOWER,
    "loop.calls_per_turn": LOWER,
    "pipeline.core_paths": GROW,
    "pipeline.protected_paths": GROW,
    "pipeline.strict_ascii": ON,
    "budget.per_call_usd_micro": LOWER,
    "budget.per_op_usd_micro": LOWER,
    "budget.per_day_usd_micro": LOWER,
    "budget.per_op_tokens": LOWER,
    "clocks.op_s": LOWER,
    "grounding.policy": ON,
    "grounding.alarm_milli": LOWER,
    "grounding.regroundings": LOWER,
    "grounding.more_sources": HIGHER,
    "grounding.least_trust_bp": HIGHER,
    "clocks.op_complex_s": LOWER,
    "clocks.op_local_s": LOWER,
    "governor.ops_per_hour": LOWER,
    "governor.reflex_per_hour": LOWER,
    "governor.standard_per_hour": LOWER,
    "governor.background_per_hour": LOWER,
    "governor.speculative_per_hour": LOWER,
    "governor.changes_per_hour": LOWER,
    "governor.changes_per_source": LOWER,
    "memory.reputation": ON,
    "tool_policy.off": GROW,
    "tool_policy.writes": OFF,
    "tool_policy.concurrency": LOWER,
    "tool_policy.rate_per_minute": LOWER,
    "tool_policy.protected": GROW,
    "changes.mode": Rule(Direction.LATER, ("branch", "review", "dry-run")),
    **{dotted: Rule(Direction(word)) for dotted, word in TIGHTEN.items()},
}


def tighten(effective: S, table: Table, merged: S, source: Path, rules: Mapping[str, Rule] = RULES) -> Table:
    """The values of ``table`` that count. ``merged`` is ``effective`` with ``table`` on top, already validated.

    Raises ``ConfigError`` for a field that is not allowed there and for a value that is looser than ``effective``.
    """
    kept: Table = {}
    for dotted, _ in leaves(table, type(effective)):
        rule = rules.get(dotted)
        if rule is None:
            raise ConfigError(
                f"{source} may not set {dotted!r}: a repository can only tighten, and this is the owner's to decide.",
                remedy="Move the line to your own settings file.",
            )
        old, new = get(effective, dotted), get(merged, dotted)
        put(kept, dotted, _stricter(dotted, rule, old, new, source))
    return kept


def _stricter(dotted: str, rule: Rule, old: object, new: object, source: Path) -> object:
    if isinstance(old, tuple) and isinstance(new, tuple):
        return tuple(dict.fromkeys((*old, *new)))
    if not _holds(rule, old, new):
        raise ConfigError(
            f"{source} would loosen {dotted!r} from {_shown(old)} to {_shown(new)}: a repository can only tighten.",
            remedy="Remove the line, or set it in your own settings file.",
        )
    return new


def _holds(rule: Rule, old: object, new: object) -> bool:
    if isinstance(old, bool) and isinstance(new, bool):
        return new >= old if rule.direction is Direction.ON else new <= old
    if isinstance(old, int | float) and isinstance(new, int | float):
        return new >= old if rule.direction is Direction.HIGHER else new <= old
    return rule.order.index(str(new)) >= rule.order.index(str(old))


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, str) else str(value)
