"""The owner's rules about tools, commands and paths. Each carries examples, which are checked when it is loaded.

A rule denies, or it allows a command that a class of gate 3 (destructive, network, git history, package install,
process control) would deny. Nothing else can be allowed: not what leaves the workspace, touches protected paths, asks
for rights, reaches the daemon, or cannot be read.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Literal, Self

from pydantic import Field, model_validator

from governance.irongate import g02_protected, g03_commands
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
        """Whether the rule is about this tool name, command or path."""
        if self.about == "path":
            return g02_protected.matches(self.pattern, text)
        if self.about == "tool":
            return fnmatchcase(text, self.pattern)
        parts = g03_commands.segments(text)
        if self.action == "allow":  # of several commands, each asks for itself
            return len(parts) == 1 and fnmatchcase(parts[0], self.pattern)
        return any(fnmatchcase(part, self.pattern) for part in (*parts, text.strip()))

    @model_validator(mode="after")
    def _holds(self) -> Self:
        if self.action == "allow" and self.about != "command":
            raise self._broken(f"allows a {self.about}: only commands can be allowed")
        for example in self.match:
            if not self.applies(example):
                raise self._broken(f"does not match {example!r}, which stands under match")
            if self.action == "allow":
                self._lifts(example)
        for example in self.not_match:
            if self.applies(example):
                raise self._broken(f"matches {example!r}, which stands under not_match")
        return self

    def _lifts(self, example: str) -> None:
        """What is to be allowed must be denied without the rule, by a class, and not be denied with it."""
        before = g03_commands.check(g03_commands.Facts(command=example))
        if before.decision is Decision.ALLOW:
            raise self._broken(f"allows {example!r}, which nothing denies")
        after = g03_commands.check(g03_commands.Facts(command=example, allowed=(self.pattern,)))
        if after.decision is not Decision.ALLOW:
            raise self._broken(f"cannot allow {example!r}: {after.rule} denies it whatever the owner says")

    def _broken(self, what: str) -> ConfigError:
        return ConfigError(
            f"The owner's rule {self.name!r} (tool_policy.rules) {what}.",
            remedy="Correct the pattern or the example; docs/operations.md shows how rules are written.",
        )
