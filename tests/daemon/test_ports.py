"""Ports between rooms: what the documentation lists is there, and what the router is given is right."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from daemon.adapters.intake_ports import may_release
from ledger.vocabulary import Decision

ROOT = Path(__file__).resolve().parents[2]


def test_every_port_of_the_table_is_where_it_says() -> None:
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    rows = page.partition("## Ports")[2].partition("\n## ")[0].split("|---|---|---|\n")[1].splitlines()
    stated = [row.split("|")[2] for row in rows if row]
    assert len(stated) > 20
    for path in re.findall(r"`([\w/]+(?:\.py|/))`", "\n".join(rows)):
        assert (ROOT / path).exists(), path
    for cell in stated:
        for path, names in re.findall(r"`([\w/]+\.py)` ([A-Z]\w+(?:, [A-Z]\w+)*)", cell):
            text = (ROOT / path).read_text(encoding="utf-8")
            for name in names.split(", "):
                assert re.search(rf"^(?:class {name}\b|{name} = )", text, re.MULTILINE), (path, name)


@pytest.mark.parametrize(
    "silent_s, limit_s, rule",
    [(300.0, 300.0, "gate12.young"), (300.001, 300.0, "gate12.expired"), (0.3, 0.2, "gate12.expired")],
)
def test_who_was_silent_for_longer_than_a_lease_is_gone(silent_s: float, limit_s: float, rule: str) -> None:
    verdict = may_release(silent_s, limit_s)
    assert verdict.rule == rule and (verdict.decision is Decision.ALLOW) == rule.endswith("expired")
