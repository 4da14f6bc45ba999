"""The tool policy ladder, rung by rung."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from governance.irongate.policy import ToolPolicy, ToolPolicySettings
from ledger.vocabulary import Decision, Tier
from tools.policy import NotOffered, PolicyQuestion

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
        ({"hosts": ("example.org", "docs.python.org"), "domains": ("docs.python.org",)}, "policy.domain"),
        ({"hosts": ("docs.python.org:443",), "domains": ("docs.python.org",)}, "policy.allow"),
        ({"hosts": ("docs.python.org:443",), "domains": ("docs.python.org",), "private": True}, "policy.domain"),
        ({"hosts": ("localhost:8888",), "domains": ("localhost:8888",), "private": True}, "policy.allow"),
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
    listed = ToolPolicySettings(domains=question.get("domains", ()))
    assert rule(listed, **{name: value for name, value in question.items() if name != "domains"}) == expected


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


class Servers:
    """A server ``git`` is connected, ``docs`` is not."""

    def not_offered(self, name: str) -> NotOffered | None:
        if name == "mcp_git_log":
            return None
        if name == "mcp_git_push":
            return NotOffered.NOT_LISTED
        return NotOffered.NOT_CONNECTED if name.startswith("mcp_docs_") else NotOffered.UNKNOWN


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        ("mcp_git_log", "policy.allow"),
        ("mcp_git_push", "policy.mcp_not_listed"),
        ("mcp_docs_read", "policy.mcp_not_connected"),
        ("mcp_git_nothing", "policy.unknown_tool"),
        ("mcp_other_log", "policy.unknown_tool"),
        ("rm", "policy.unknown_tool"),
        ("read_file", "policy.allow"),
    ],
)
def test_rung_0b_knows_what_the_owner_has_listed_of_connected_servers(tool: str, expected: str) -> None:
    policy = ToolPolicy(tools=TOOLS, servers=Servers())
    verdict = policy.judge(PolicyQuestion(tool=tool, writes=True))
    assert verdict.rule == expected
    assert (verdict.decision is Decision.ALLOW) == (expected == "policy.allow")


def test_the_rungs_behind_0b_hold_for_servers_tools() -> None:
    def judged(settings: ToolPolicySettings, **more: Any) -> str:
        policy = ToolPolicy(tools=TOOLS, servers=Servers(), settings=settings)
        return policy.judge(PolicyQuestion.model_validate({"tool": "mcp_git_log", "writes": True, **more})).rule

    assert judged(ToolPolicySettings(writes=False)) == "policy.switched_off"
    assert judged(ToolPolicySettings(writes=False), writes=False) == "policy.allow"
    assert judged(ToolPolicySettings(off=("mcp_git_log",))) == "policy.switched_off"
    assert judged(ToolPolicySettings(), recent=60) == "policy.rate"
