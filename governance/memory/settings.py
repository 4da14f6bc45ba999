"""The owner's settings of memory."""

from __future__ import annotations

from pydantic import Field

from ledger.vocabulary import Frozen


class MemorySettings(Frozen):
    """``[memory]``. Memory can raise a tier and add to a prompt, never the reverse."""

    reputation: bool = Field(
        True, description="Files whose changes failed or were taken back are handled with more caution for a week."
    )
    history: bool = Field(
        True, description="A model is told why earlier changes of the files before it were turned down or failed."
    )
    lessons: bool = Field(
        False, description="A model is told what came of the last ops of this boot. Off: it was not seen to help."
    )
