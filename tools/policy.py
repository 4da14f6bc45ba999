"""The door through which every tool call is judged. The rules live with the gates; tools only know the question."""

from __future__ import annotations

from typing import Protocol

from ledger.vocabulary import Frozen, Tier, Verdict


class PolicyQuestion(Frozen):
    """What a tool is about to do. ``root`` is the folder that ``paths`` are relative to (empty: text only).

    ``command`` is a whole shell command, ``hosts`` are names of machines that would be asked.
    """

    tool: str
    writes: bool
    paths: tuple[str, ...] = ()
    command: str = ""
    hosts: tuple[str, ...] = ()
    tier: Tier = Tier.SAFE_AUTO
    op_id: str = ""
    root: str = ""
    running: int = 0  # calls of this op that run right now, this one not counted
    recent: int = 0  # calls of this tool by this op within the last minute, this one not counted


class Policy(Protocol):
    """Answers one question. Blocks for a few file-status calls at most."""

    def judge(self, question: PolicyQuestion) -> Verdict: ...
