"""Values exchanged with a person: utterances, orders, answers, turns of the conversation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ledger.frozen import Frozen


class Utterance(Frozen):
    """``confidence_bp`` is the speech program's own; None where it states none."""

    text: str = Field(max_length=2_000)
    confidence_bp: int | None = Field(default=None, ge=0, le=10_000)


class Answered(Frozen):
    """What became of an utterance. ``message`` is a sentence that can be spoken; ``rule`` names a refusal."""

    outcome: Literal["done", "queued", "asked_back", "refused", "repeated", "unclear"]
    message: str
    rule: str = ""
    signal: str = ""


class ConversationTurn(Frozen):
    """One side of a turn of the conversation."""

    who: Literal["owner", "ouroboros"]
    text: str
    at: str = ""  # UTC stamp


class Reply(Frozen):
    """The reply to free text. ``wish`` is the id of the question in it, ``signal`` of the work that began."""

    message: str
    wish: str = ""
    signal: str = ""


OrderName = Literal["status", "ops", "show", "cancel", "pause", "resume", "retry"]
IT = "it"
"""A reference that names nothing: the one thing that it can mean, if there is just one."""


class Order(Frozen):
    """``target``: the end of an id, or :data:`IT`; empty for an order that needs none."""

    name: OrderName
    target: str = ""

    @property
    def changes(self) -> bool:
        """True when it does more than report."""
        return self.name not in ("status", "ops", "show")


class Goal(Frozen):
    """Requested work, in the speaker's words."""

    text: str
