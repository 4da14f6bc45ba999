"""What may be stored of a candidate: findings of the secrets gate, never the secret itself."""

from __future__ import annotations

from governance.irongate.secrets import redact
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
