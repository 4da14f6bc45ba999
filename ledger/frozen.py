"""Base class of the value types, and the validator of repository paths."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """Base of every value type: immutable, no unknown fields, bytes as base64 in JSON.

    Validators are built on first use, because a short command uses few of them.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64", defer_build=True
    )


def inside(path: str) -> str:
    """Return ``path``. Raises ``ValueError`` unless it is relative, not empty and without ``..``."""
    if path.startswith("/") or ".." in path.split("/") or not path:
        raise ValueError(f"{path!r} is not a path inside the repository")
    return path
