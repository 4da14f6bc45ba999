"""What people say to the daemon: spoken commands, and free text in the REPL. Values like those of `daemon.api`."""

from __future__ import annotations

from pydantic import Field

from ledger.vocabulary import Frozen
from sensors.requests.replies import Answered as Answered
from sensors.requests.replies import ConversationTurn as ConversationTurn
from sensors.requests.replies import Reply as Reply
from sensors.requests.replies import Utterance as Utterance


class SayRequest(Frozen):
    """Free text of the owner, as he typed it."""

    text: str = Field(min_length=1, max_length=4_000)


class ConversationView(Frozen):
    """The last turns, oldest first."""

    said: tuple[ConversationTurn, ...] = ()
