"""Port of the tool policy, which judges every tool call. The rules are in ``governance``; tools know the protocol."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from ledger.vocabulary import Frozen, Tier, Verdict


class PolicyQuestion(Frozen):
    """A tool call to be judged. ``root`` is the folder that ``paths`` are relative to (empty: only their text counts).

    ``command`` is a whole shell command, which sees ``root`` at ``seen_at`` (empty: at the same path). ``hosts``: the
    machines to contact, as ``name:port``; ``private``: the address is in a private network, so the host must be listed
    with its port.
    """

    tool: str
    writes: bool
    paths: tuple[str, ...] = ()
    command: str = ""
    hosts: tuple[str, ...] = ()
    private: bool = False
    tier: Tier = Tier.SAFE_AUTO
    op_id: str = ""
    root: str = ""
    seen_at: str = ""
    running: int = 0  # calls of this op that run right now, this one not counted
    recent: int = 0  # calls of this tool by this op within the last minute, this one not counted


class NotOffered(StrEnum):
    """Why a tool that is not built in may not be called."""

    UNKNOWN = "unknown"
    NOT_CONNECTED = "not connected"  # the server is configured, but not connected now
    NOT_LISTED = "not listed"  # the server has the tool, but the owner has not listed it


class ServerTools(Protocol):
    """Which tools of connected servers the owner has listed. Thread-safe; never waits."""

    def not_offered(self, name: str) -> NotOffered | None: ...


class Policy(Protocol):
    """Judges tool calls. Blocks for a few file-status calls at most."""

    def judge(self, question: PolicyQuestion) -> Verdict: ...


class Person(Protocol):
    """A person who may be available."""

    async def ask(self, question: str, choices: tuple[str, ...]) -> str | None:
        """The answer; None when there was none in time. Raises ``ToolError`` when no question is allowed now."""
        ...
