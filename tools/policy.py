"""The door through which every tool call is judged. The rules live with the gates; tools only know the question."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from ledger.vocabulary import Frozen, Tier, Verdict


class PolicyQuestion(Frozen):
    """What a tool is about to do. ``root`` is the folder that ``paths`` are relative to (empty: text only).

    ``command`` is a whole shell command, which finds ``root`` at ``seen_at`` (empty: there as well). ``hosts`` are the
    machines that would be asked, as ``name:port``; ``private``: what is asked for leads into a private network, so it
    must be listed with its port.
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
    """Why a name that is no built-in tool's may not be called."""

    UNKNOWN = "unknown"
    NOT_CONNECTED = "not connected"  # a server of that name is set, and does not answer now
    NOT_LISTED = "not listed"  # the server has the tool, the owner has not listed it


class ServerTools(Protocol):
    """Which tools of connected servers the owner has listed. Asked from any thread; never waits."""

    def not_offered(self, name: str) -> NotOffered | None: ...


class Policy(Protocol):
    """Answers one question. Blocks for a few file-status calls at most."""

    def judge(self, question: PolicyQuestion) -> Verdict: ...
