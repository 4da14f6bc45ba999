"""The tool policy ladder, rung by rung."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from governance.irongate.policy import ToolPolicy, ToolPolicySettings
from ledger.vocabulary import Decision, Tier
from tools.policy import PolicyQuestion

TOOLS = ("read_file", "edit_file", "ask_human")


def rule(settings: ToolPolicySettings | None = None, own: tuple[str, ...] = (), **question: Any) -> str:
    asked = PolicyQuestion.model_validate({"tool": "read_file", "writes": False, **question})
    return ToolPolicy(tools=TOOLS, settings=settings, own=own).judge(asked).rule


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ({}, "policy.allow"),
        ({"tool": "rm"}, "policy.unknown_tool"),
        ({"tool": "mcp_x_y"}, "policy.unknown_tool"),
        ({"paths": ("src/a.py",)}, "policy.allow"),
        ({"paths": ("src/a.py", "../b")}, "gate01.dots"),
        ({"paths": (".env",)}, "gate02.built_in"),
        ({"command": "ls"}, "policy.command"),
        ({"hosts": ("example.org",)}, "policy.domain"),
        ({"tool": "ask_human"}, "policy.ask_human"),
        ({"tool": "ask_human", "tier": Tier.NOTIFY_APPLY}, "policy.allow"),
        ({"tool": "ask_human", "tier": Tier.BLOCKED}, "policy.ask_human"),
        ({"running": 1}, "policy.allow"),
        ({"running": 2}, "policy.concurrency"),
        ({"recent": 59}, "policy.allow"),
        ({"recent": 60}, "policy.rate"),
    ],
)
def test_rungs(question: dict[str, Any], expected: str) -> None:
    assert rule(**question) == expected


def test_the_first_rung_that_matches_decides() -> None:
    off = ToolPolicySettings(off=("read_file", "rm"))
    assert rule(off, tool="rm", paths=("../x",)) == "policy.unknown_tool"
    assert rule(off, paths=("../.env",), running=9) == "gate01.dots"
    assert rule(off, paths=("a/.env",), running=9) == "gate02.built_in"
    assert rule(off, running=9, recent=999) == "policy.switched_off"
    assert rule(running=9, recent=999) == "policy.concurrency"


def test_the_owners_switches_and_patterns() -> None:
    assert rule(ToolPolicySettings(writes=False), tool="edit_file", writes=True) == "policy.switched_off"
    assert rule(ToolPolicySettings(protected=("vendor",)), paths=("vendor/x.py",)) == "gate02.owner"
    assert rule(own=("/governance",), paths=("governance/x.py",)) == "gate02.own"
    assert rule(ToolPolicySettings(rates={"read_file": 1}), recent=1) == "policy.rate"


def test_the_disk_is_looked_at(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "away").symlink_to(tmp_path)
    verdict = ToolPolicy(tools=TOOLS).judge(
        PolicyQuestion(tool="read_file", writes=False, paths=("away/x",), root=str(root))
    )  # fmt: skip
    assert (verdict.decision, verdict.rule) == (Decision.DENY, "gate01.link")
