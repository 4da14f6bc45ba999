"""Settings of the built-in tools."""

from __future__ import annotations

from pydantic import Field

from ledger.vocabulary import Frozen


class BuiltinSettings(Frozen):
    """Settings of the built-in tools."""

    search_timeout_s: float = Field(20.0, gt=0, description="seconds that a search may take")
    indexed_files: int = Field(4096, ge=16, description="Python files whose symbols are remembered")
