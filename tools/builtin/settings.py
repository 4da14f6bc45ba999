"""Settings of the built-in tools."""

from __future__ import annotations

from pydantic import Field

from ledger.vocabulary import Frozen


class BuiltinSettings(Frozen):
    """Settings of the built-in tools."""

    search_timeout_s: float = Field(20.0, gt=0, description="seconds that a search may take")
    indexed_files: int = Field(
        50_000, ge=16, description="contents of files whose symbols, calls and imports are remembered"
    )
    indexed_file_bytes: int = Field(
        1024 * 1024, ge=1024, description="larger files are left out of the code index; results name them"
    )
    index_wait_s: float = Field(
        20.0, gt=0, description="seconds that a call waits for an index that is still being built"
    )
    command_timeout_s: float = Field(120.0, gt=0, description="seconds that a shell command may take")
    command_files: int = Field(200, ge=1, description="files that one shell command may change")
    command_kb: int = Field(4096, ge=1, description="what those files may have together, in KiB")
