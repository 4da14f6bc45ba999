"""The tool policy ladder: the first rule that matches decides.

0 known tool, else 0b one that the owner has listed of a connected server · 1 containment · 2 protected paths ·
3 commands · 4 domains · 5 a person may be asked only in the upper tiers · 6 the owner's switches and rules ·
7 concurrency · 8 rate · 9 allow.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Collection, Iterator

from governance.irongate.candidate import g01_containment, g02_protected
from governance.irongate.inspection import ContainmentFacts
from governance.irongate.tool import g03_commands
from governance.irongate.tool.domains import refuse_hosts
from governance.irongate.tool.owner_rules import ToolPolicySettings
from ledger.vocabulary import Decision, Tier, Verdict
from tools.policy import NotOffered, PolicyQuestion, ServerTools

ASK_HUMAN = "ask_human"
ASKING_TIERS = frozenset({Tier.NOTIFY_APPLY, Tier.APPROVAL_REQUIRED})


class ToolPolicy:
    """Judges every tool call. Looks at the file system (status calls) for containment, otherwise pure.

    ``own``: patterns of the daemon's own code, where the watched repository is the daemon's: nothing may write there.
    """

    def __init__(
        self,
        *,
        tools: Collection[str],
        settings: ToolPolicySettings | None = None,
        own: tuple[str, ...] = (),
        servers: ServerTools | None = None,
    ) -> None:
        self._tools = frozenset(tools)
        self._settings = settings or ToolPolicySettings()
        self._own = own
        self._servers = servers
        self._denies = tuple(rule for rule in self._settings.rules if rule.action == "deny")
        self._allowed = tuple(rule.pattern for rule in self._settings.rules if rule.action == "allow")

    def judge(self, question: PolicyQuestion) -> Verdict:
        """The verdict of the first rule of the ladder that applies."""
        verdict = self._refuse_unknown(question.tool)
        if verdict is not None:
            return verdict
        for path in question.paths:
            verdict = self._refuse_path(path, question.root, writes=question.writes)
            if verdict is not None:
                return verdict
        facts = self._command(question)
        passed = g03_commands.check(facts) if facts is not None else Verdict(gate=0, rule="policy.allow")
        if passed.decision is not Decision.ALLOW:
            return passed
        refused = refuse_hosts(question.hosts, self._settings.domains, private=question.private)
        if refused:
            return _deny("domain", refused)
        if question.tool == ASK_HUMAN and question.tier not in ASKING_TIERS:
            return _deny("ask_human", f"a person may not be asked in tier {question.tier.name}.")
        return self._apply_owner_rules(question, facts) or self._check_bounds(question) or passed

    def _refuse_unknown(self, tool: str) -> Verdict | None:
        """Rungs 0 and 0b: why there is no such tool; None where there is one."""
        if tool in self._tools:
            return None
        why = self._servers.not_offered(tool) if self._servers else NotOffered.UNKNOWN
        if why is None:
            return None
        if why is NotOffered.NOT_CONNECTED:
            return _deny("mcp_not_connected", f"the MCP server of {tool[:64]!r} is not connected.")
        if why is NotOffered.NOT_LISTED:
            return _deny("mcp_not_listed", f"the owner has not listed {tool[:64]!r} in tools.mcp.servers.")
        return _deny("unknown_tool", f"there is no tool named {tool[:60]!r}.")

    def _refuse_path(self, path: str, root: str, *, writes: bool) -> Verdict | None:
        facts = g01_containment.gather(root, path) if root else ContainmentFacts(path=path)
        verdict = g01_containment.check(facts)
        if verdict.decision is Decision.ALLOW:
            own = self._own if writes else ()
            verdict = g02_protected.check(
                g02_protected.ProtectedPathFacts(path=path, owner=self._settings.protected, own=own)
            )
        return None if verdict.decision is Decision.ALLOW else verdict

    def _command(self, question: PolicyQuestion) -> g03_commands.CommandFacts | None:
        """What gate 3 judges; nothing for a call that runs no command."""
        if not question.command:
            return None
        return g03_commands.gather(
            question.root,
            question.command,
            seen_at=question.seen_at,
            owner=self._settings.protected,
            own=self._own,
            allowed=self._allowed,
        )

    def _apply_owner_rules(self, question: PolicyQuestion, facts: g03_commands.CommandFacts | None) -> Verdict | None:
        """The owner's switches, then his rules."""
        settings = self._settings
        if question.tool in settings.off or (question.writes and not settings.writes):
            return _deny("switched_off", f"the owner has switched {question.tool} off.")
        for rule in self._denies:
            about: tuple[str, ...] = (question.tool,)
            if rule.about == "path":
                about = (*question.paths, *_touched_paths(question.root, facts))
            elif rule.about == "command":
                about = (question.command,) if question.command else ()
            if any(rule.applies(text) for text in about):
                return _deny(f"owner.{rule.name}", f"the owner's rule {rule.name!r} denies {rule.pattern!r}.")
        return None

    def _check_bounds(self, question: PolicyQuestion) -> Verdict | None:
        """Concurrency, then rate."""
        settings = self._settings
        if question.running >= settings.concurrency:
            return _deny("concurrency", f"{question.running} calls run already; wait for one to end.")
        rate = settings.rates.get(question.tool, settings.rate_per_minute)
        if question.recent < rate:
            return None
        return _deny(
            "rate", f"{question.tool} was called {question.recent} times within a minute; the limit is {rate}."
        )


def _touched_paths(root: str, facts: g03_commands.CommandFacts | None) -> Iterator[str]:
    """Paths that a command writes, and those that it names and that are there."""
    if facts is None:
        return
    yield from g03_commands.written(facts)
    if root:
        yield from (path for path in g03_commands.named(facts) if _is_there(root, path))


def _is_there(root: str, path: str) -> bool:
    return "\0" not in path and os.path.lexists(posixpath.join(root, path))


def _deny(rule: str, reason: str) -> Verdict:
    return Verdict(gate=0, rule=f"policy.{rule}", decision=Decision.DENY, reason=reason)
