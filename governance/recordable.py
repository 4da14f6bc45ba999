"""Copies without secrets: of candidates, inspections and dossiers for storage, and of prompts for sending.

One exception: edits in the dossier of a parked op are stored complete, because they are applied from there.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeVar

from governance.irongate.secrets.redaction import redact
from kernel.provider import InfillSpan, Message
from ledger.ids import sha256_hex
from ledger.vocabulary import Candidate, Edit, Frozen

if TYPE_CHECKING:  # imports all gates, which an idle daemon does not need
    from governance.irongate.inspection import Inspection

F = TypeVar("F", bound=Frozen)


def _redacted(value: Any) -> Any:
    """A copy of a value with all strings redacted, but the paths and contents of edits as they are."""
    if isinstance(value, str):
        return value if isinstance(value, Enum) else redact(value)
    if isinstance(value, Edit):
        return value.model_copy(update={"rationale": redact(value.rationale)})
    if isinstance(value, Frozen):
        return texts_without_secrets(value)
    if isinstance(value, dict):
        return {_redacted(key): _redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple | frozenset):
        return type(value)(_redacted(item) for item in value)
    return value


def texts_without_secrets(value: F) -> F:
    """A redacted copy; paths and contents of edits stay as they are. The same object when nothing was redacted."""
    changed = {}
    for name in type(value).model_fields:
        now = getattr(value, name)
        redacted = _redacted(now)
        if redacted != now:
            changed[name] = redacted
    return value.model_copy(update=changed) if changed else value


def _redacted_bytes(data: bytes | None) -> bytes | None:
    if data is None:
        return None
    return redact(data.decode("utf-8", errors="surrogateescape")).encode("utf-8", errors="surrogateescape")


def candidate_without_secrets(candidate: Candidate) -> Candidate:
    """The candidate redacted, the contents of its edits included. The same object when nothing was redacted."""
    redacted = texts_without_secrets(candidate)
    edits = tuple(edit.model_copy(update={"after": _redacted_bytes(edit.after)}) for edit in redacted.edits)
    return (
        candidate
        if edits == candidate.edits and redacted is candidate
        else redacted.model_copy(update={"edits": edits})
    )


def inspection_without_secrets(inspection: Inspection) -> Inspection:
    """The inspection redacted: with the original files, and with the hashes by which edits refer to those."""
    originals = {path: _redacted_bytes(data) for path, data in inspection.originals.items()}
    digests = {
        sha256_hex(data): sha256_hex(originals[path] or b"")
        for path, data in inspection.originals.items()
        if data is not None and data != originals[path]
    }
    candidate = candidate_without_secrets(inspection.candidate)
    edits = tuple(
        edit.model_copy(update={"before": digests[edit.before]}) if edit.before in digests else edit
        for edit in candidate.edits
    )
    redacted = texts_without_secrets(inspection.model_copy(update={"candidate": candidate}))
    if originals == inspection.originals and redacted == inspection:
        return inspection
    candidate = redacted.candidate.model_copy(update={"edits": edits})
    return redacted.model_copy(update={"originals": originals, "candidate": candidate})


def messages_without_secrets(conversation: Sequence[Message]) -> list[Message]:
    """A conversation with redacted texts."""
    return [message.model_copy(update={"text": redact(message.text)}) for message in conversation]


def spans_without_secrets(spans: Sequence[InfillSpan]) -> tuple[InfillSpan, ...]:
    """Infill spans with redacted prefix and suffix."""
    return tuple(
        span.model_copy(update={"prefix": redact(span.prefix), "suffix": redact(span.suffix)}) for span in spans
    )
