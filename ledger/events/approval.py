"""The owner's approval of a change, and questions to the owner."""

from __future__ import annotations

from ledger.events.event import LedgerEvent, TierName
from ledger.vocabulary import EntryKind, Phase

NAMED = 8
"""Digits of a blob's name by which a change is named to a person."""


class ApprovalRequested(LedgerEvent, kind=EntryKind.APPROVAL, name="approval.requested", phase=Phase.APPROVE):
    """``operation`` and ``dossier``: blobs of what is carried out; ``left_ms``: working time left, None: unknown.

    ``number``: how often the op has asked, this time included; the second time it is for another change.
    """

    reason: str = ""
    expires_at: str = ""
    requested_at: str = ""  # empty in entries of older releases
    operation: str = ""
    dossier: str = ""
    tier: TierName | None = None
    left_ms: int | None = None
    number: int = 1

    @property
    def change(self) -> str:
        """The name of the change that is asked for."""
        return self.dossier[:NAMED]


class ApprovalNotified(LedgerEvent, kind=EntryKind.APPROVAL, name="approval.notified", phase=Phase.APPROVE):
    """The change is shown for ``delay_s`` seconds, and applied unless it is cancelled."""

    delay_s: int
    reason: str = ""


class ApprovalAnswered(LedgerEvent):
    """A request that is closed; ``word`` is its name in a sentence."""

    by: str = ""
    reason: str = ""
    rule: str = ""

    @property
    def word(self) -> str:
        return self.NAME.partition(".")[2]


class ApprovalGiven(ApprovalAnswered, kind=EntryKind.APPROVAL, name="approval.approved", phase=Phase.APPROVE):
    pass


class ApprovalRejected(ApprovalAnswered, kind=EntryKind.APPROVAL, name="approval.rejected", phase=Phase.APPROVE):
    pass


class ApprovalExpired(ApprovalAnswered, kind=EntryKind.APPROVAL, name="approval.expired", phase=Phase.APPROVE):
    pass


class QuestionAsked(LedgerEvent, kind=EntryKind.TOOL, name="question.asked", phase=Phase.GENERATE):
    id: str
    question: str = ""
    choices: tuple[str, ...] = ()
    expires_at: str = ""


class QuestionClosed(LedgerEvent):
    """A question that no longer waits for an answer."""

    id: str = ""
    by: str = ""


class QuestionAnswered(QuestionClosed, kind=EntryKind.TOOL, name="question.answered", phase=Phase.GENERATE):
    answer: str = ""


class QuestionExpired(QuestionClosed, kind=EntryKind.TOOL, name="question.expired", phase=Phase.GENERATE):
    pass


class QuestionWithdrawn(QuestionClosed, kind=EntryKind.TOOL, name="question.withdrawn", phase=Phase.GENERATE):
    pass


class QuestionDropped(QuestionClosed, kind=EntryKind.TOOL, name="question.ended", phase=Phase.GENERATE):
    """The daemon ended before there was an answer."""

    reason: str = ""
