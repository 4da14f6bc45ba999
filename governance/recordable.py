"""What may be stored of a candidate, or sent to a model: never a secret itself."""

from __future__ import annotations

from collections.abc import Sequence

from governance.irongate.secrets import redact
from kernel.provider import InfillSpan, Message
from ledger.vocabulary import Candidate


def without_secrets(candidate: Candidate) -> Candidate:
    """The candidate with every secret in its new contents blotted out; the same object when there is none."""
    edits = []
    for edit in candidate.edits:
        text = edit.after.decode("utf-8", errors="surrogateescape") if edit.after is not None else ""
        clean = redact(text)
        if clean != text:
            edit = edit.model_copy(update={"after": clean.encode("utf-8", errors="surrogateescape")})
        edits.append(edit)
    return candidate if tuple(edits) == candidate.edits else candidate.model_copy(update={"edits": tuple(edits)})


def messages_without_secrets(conversation: Sequence[Message]) -> list[Message]:
    """A conversation as it may be sent."""
    return [message.model_copy(update={"text": redact(message.text)}) for message in conversation]


def spans_without_secrets(spans: Sequence[InfillSpan]) -> tuple[InfillSpan, ...]:
    """Holes with the surroundings that may be sent."""
    return tuple(
        span.model_copy(update={"prefix": redact(span.prefix), "suffix": redact(span.suffix)}) for span in spans
    )
