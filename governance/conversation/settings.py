"""Settings of the tool loop."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ledger.vocabulary import Frozen


class LoopSettings(Frozen):
    """``[loop]``: bounds of one conversation."""

    tools: Literal["auto", "off"] = Field(
        "auto",
        description="auto: a model calls tools, in its own way or, where it has none, by a protocol of plain text; "
        "off: it answers in one shot.",
    )
    rounds: int = Field(8, ge=1, le=40, description="Turns of a model in one conversation; the last is for its answer.")
    explore_rounds: int = Field(5, ge=1, le=40, description="Of these, turns that look around and do nothing else.")
    deadline_s: float = Field(
        600, gt=0, description="One conversation ends after this time, or earlier where the op's clock has less left."
    )
    calls_per_turn: int = Field(16, ge=1, le=64, description="Calls of one turn that are run; more are not.")
    prompt_chars: int = Field(98_304, ge=8_192, description="Characters that a prompt of a conversation may have.")
    compact_at: int = Field(
        75, ge=10, le=100, description="Percent of prompt_chars at which older results give way to a counted line."
    )
    kept_results: int = Field(6, ge=1, le=32, description="Newest results that always stay in the prompt.")
    answer_chars: int = Field(200_000, ge=1_000, description="A longer answer is not read.")
