"""System-call filters with holes."""

from __future__ import annotations

from dataclasses import replace

from tools.sandbox.seccomp import Rule, program


def letting(rules: tuple[Rule, ...], *calls: str) -> tuple[Rule, ...]:
    """``rules`` that say nothing of ``calls``."""
    return tuple(replace(rule, calls=tuple(call for call in rule.calls if call not in calls)) for rule in rules)


def without(rules: tuple[Rule, ...], *calls: str) -> bytes:
    """The filter of ``rules`` that lets ``calls`` through."""
    code = program(letting(rules, *calls))
    assert code is not None
    return code
