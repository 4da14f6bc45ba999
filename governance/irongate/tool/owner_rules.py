"""The owner's settings and rules for tools. Rules have examples, which are checked when they are loaded.

A rule denies a call, or allows a command that a class of gate 3 (destructive, network, git history, package install,
process control) would deny. Nothing else can be allowed: no writes outside the workspace or to protected paths, no
other privileges, no access to the daemon, and no command that gate 3 cannot parse.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal, Self

from pydantic import Field, model_validator

from governance.irongate.candidate import g02_protected
from governance.irongate.tool.domains import Domains
from ledger.errors import ConfigError
from ledger.vocabulary import Decision, Frozen


class OwnerRule(Frozen):
    """One rule. ``match`` are examples that it must apply to, ``not_match`` examples that it must not."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")
    action: Literal["deny", "allow"]
    about: Literal["tool", "command", "path"]
    pattern: str = Field(min_length=1, max_length=400)
    match: tuple[str, ...] = Field(min_length=1)
    not_match: tuple[str, ...] = Field(min_length=1)

    def applies(self, text: str) -> bool:
        """Whether the rule matches this tool name, command or path, whichever it is ``about``."""
        if self.about == "path":
            return g02_protected.matches(self.pattern, text)
        if self.about == "tool":
            return fnmatchcase(text, self.pattern)
        from governance.irongate.tool import g03_commands  # slow to import, and few settings have such a rule

        if self.action == "allow":  # several commands in one line cannot be allowed together
            parts = g03_commands.segments(text)
            return len(parts) == 1 and fnmatchcase(parts[0], self.pattern)
        return any(fnmatchcase(part, self.pattern) for part in (*g03_commands.spellings(text), text.strip()))

    @model_validator(mode="after")
    def _check_examples(self) -> Self:
        if self.action == "allow" and self.about != "command":
            raise self._invalid(f"allows a {self.about}: only commands can be allowed")
        for example in self.match:
            if not self.applies(example):
                raise self._invalid(f"does not match {example!r}, which is listed under match")
            if self.action == "allow":
                self._check_allows(example)
        for example in self.not_match:
            if self.applies(example):
                raise self._invalid(f"matches {example!r}, which is listed under not_match")
        return self

    def _check_allows(self, example: str) -> None:
        """Raises ``ConfigError`` unless the example is denied without this rule, and allowed with it."""
        from governance.irongate.tool import g03_commands

        before = g03_commands.check(g03_commands.CommandFacts(command=example))
        if before.decision is Decision.ALLOW:
            raise self._invalid(f"allows {example!r}, which nothing denies")
        after = g03_commands.check(g03_commands.CommandFacts(command=example, allowed=(self.pattern,)))
        if after.decision is not Decision.ALLOW:
            raise self._invalid(f"cannot allow {example!r}: {after.rule} denies it, and no rule can change that")

    def _invalid(self, what: str) -> ConfigError:
        return ConfigError(
            f"The owner's rule {self.name!r} (tool_policy.rules) {what}.",
            remedy="Correct the pattern or the example; docs/operations.md shows how rules are written.",
        )


class ToolPolicySettings(Frozen):
    """The owner's settings for tools, and rules about them."""

    off: tuple[str, ...] = Field((), description="tools that are switched off")
    writes: bool = Field(True, description="tools may write to an op's workspace")
    concurrency: int = Field(2, ge=1, description="concurrent calls of one op")
    rate_per_minute: int = Field(60, ge=1, description="calls of one tool by one op in a minute")
    rates: dict[str, int] = Field({}, description="other rates, by tool name")
    domains: Domains = Field(
        (), description="hosts that web tools may contact: `docs.python.org`, `*.example.org`, `localhost:8888`"
    )
    protected: tuple[str, ...] = Field((), description="further protected path patterns; built-in ones always hold")
    rules: tuple[OwnerRule, ...] = Field(
        (),
        description="rules about a tool, command or path: name, action (deny, or allow for what a class of commands "
        "would deny), about, pattern, and examples match and not_match that are checked at start",
    )

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = [rule.name for rule in self.rules]
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"Two of the owner's rules are named {name!r}.", remedy="Rename one of them.")
        return self
