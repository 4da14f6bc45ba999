"""The tool policy ladder, rung by rung."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.irongate.tool.owner_rules import ToolPolicySettings
from governance.irongate.tool.policy import ToolPolicy
from ledger.errors import ConfigError
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
        ({"command": "ls"}, "gate03.ok"),
        ({"command": "ls; rm -rf x"}, "gate03.destructive"),
        ({"command": "echo x > .env"}, "gate03.protected"),
        ({"command": "ls", "hosts": ("example.org",)}, "policy.domain"),
        ({"command": "ls", "recent": 60}, "policy.rate"),
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
    assert rule(own=("/governance",), paths=("governance/x.py",), writes=True) == "gate02.own"
    assert rule(own=("/governance",), paths=("governance/x.py",)) == "policy.allow", "what governs may be read"
    assert rule(own=("/governance",), command="echo x > governance/x.py") == "gate03.protected"
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


def owners(**fields: Any) -> dict[str, Any]:
    """A rule of the owner's; by default it denies ``make deploy``."""
    given = {"name": "no-deploy", "action": "deny", "about": "command", "pattern": "make deploy*"}
    return {**given, "match": ["make deploy", "ls; timeout 5 make deploy x"], "not_match": ["make test"], **fields}


def with_rules(*rules: dict[str, Any]) -> ToolPolicySettings:
    return ToolPolicySettings.model_validate({"rules": rules})


COMMIT = owners(
    name="commit",
    action="allow",
    pattern="git commit *",
    match=["git commit -m x"],
    not_match=["git push"],
)
PATH = owners(name="frozen", about="path", pattern="src/*.lock", match=["src/a.lock"], not_match=["src/a.py"])
TOOL = owners(name="no-bash", about="tool", pattern="edit_*", match=["edit_file"], not_match=["read_file"])


def test_the_owners_rules() -> None:
    every = with_rules(owners(), COMMIT, PATH, TOOL)
    assert rule(every, command="ls && make deploy") == "policy.owner.no-deploy"
    assert rule(every, command="make test") == "gate03.ok"
    assert rule(every, command="git commit -m x") == "gate03.ok"
    assert rule(command="git commit -m x") == "gate03.git_history"
    assert rule(every, command="git commit -m x; sudo ls") == "gate03.privilege"
    assert rule(every, command="git commit -m x; make deploy") == "policy.owner.no-deploy"
    assert rule(every, paths=("src/a.lock",)) == "policy.owner.frozen"
    assert rule(every, command="touch src/a.lock") == "policy.owner.frozen"
    for command in (
        "/usr/bin/make deploy",
        "ls; ../bin/make deploy x",
        "env A=b 'ma'ke deploy",
        "bash -c 'make deploy'",
    ):
        assert rule(every, command=command) == "policy.owner.no-deploy", command
    assert rule(every, tool="edit_file") == "policy.owner.no-bash"
    assert rule(every, tool="edit_file", paths=("../x",)) == "gate01.dots", "the ladder's order stays"


def test_a_rule_about_a_path_holds_for_commands_that_read_it(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.lock").write_text("x")

    def judged(command: str) -> str:
        return rule(with_rules(PATH), command=command, root=str(tmp_path), seen_at="/seen")

    for command in (
        "cat src/a.lock",
        "cd src && sort < ./a.lock",
        "grep x /seen/src/a.lock",
        "diff --from-file=src/a.lock x",
    ):
        assert judged(command) == "policy.owner.frozen", command
    assert judged("echo src/b.lock") == judged("cat src/a.py") == "gate03.ok", "what is not there cannot be read"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"match": ["make"]}, "does not match 'make'"),
        ({"not_match": ["make deploy x"]}, "matches 'make deploy x'"),
        ({"action": "allow", "about": "tool", "pattern": "*"}, "allows a tool"),
        ({"action": "allow", "about": "path", "pattern": ".env"}, "allows a path"),
        ({"action": "allow"}, "which nothing denies"),
        ({"action": "allow", "pattern": "sudo *", "match": ["sudo ls"]}, "gate03.privilege"),
        ({"action": "allow", "pattern": "touch *", "match": ["touch .env"]}, "gate03.protected"),
        ({"action": "allow", "pattern": "cp *", "match": ["cp a /b"]}, "gate03.outside"),
        ({"action": "allow", "pattern": "*", "match": ["ouro status"]}, "gate03.daemon"),
        ({"action": "allow", "pattern": "*", "match": ["echo 'x"]}, "does not match"),
    ],
)
def test_a_rule_whose_examples_do_not_hold_is_not_loaded(fields: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError) as caught:
        with_rules(owners(**{"match": ["make deploy"], **fields}))
    assert "no-deploy" in str(caught.value) and named in str(caught.value)


def test_a_rule_without_examples_or_with_a_name_that_is_taken_is_not_loaded() -> None:
    with pytest.raises(ValueError, match="match"):
        with_rules(owners(match=[]))
    with pytest.raises(ConfigError, match="no-deploy"):
        with_rules(owners(), owners())


RULES = st.lists(st.sampled_from([owners(), PATH, TOOL]), unique_by=lambda found: str(found["name"]))
QUESTIONS = st.fixed_dictionaries(
    {
        "tool": st.sampled_from([*TOOLS, "rm"]),
        "paths": st.lists(st.sampled_from(["src/a.py", "src/a.lock", "../x", ".env"]), max_size=2).map(tuple),
        "command": st.sampled_from(["", "ls", "make deploy", "rm -rf x", "touch src/a.lock", "git commit -m x"]),
        "running": st.integers(0, 3),
    }
)


@settings(deadline=None)
@given(question=QUESTIONS, more=RULES)
def test_more_denials_never_allow_more(question: dict[str, Any], more: list[dict[str, Any]]) -> None:
    asked = PolicyQuestion.model_validate({"writes": False, **question})
    few = ToolPolicy(tools=TOOLS, settings=with_rules(COMMIT)).judge(asked)
    many = ToolPolicy(tools=TOOLS, settings=with_rules(COMMIT, *more)).judge(asked)
    assert few.decision is Decision.ALLOW or many.decision is not Decision.ALLOW
