"""The base of every value type of the vocabulary."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Base of every value type: immutable, closed, bytes as base64 in JSON.

    Its validator is built when a type is first used: a short command uses few of them.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64", defer_build=True
    )


def inside(path: str) -> str:
    """``path`` itself. Raises ``ValueError`` for one that is not a path inside the repository."""
    if path.startswith("/") or ".." in path.split("/") or not path:
        raise ValueError(f"{path!r} is not a path inside the repository")
    return path
