"""Settings of the model that runs in this process."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kernel.weights.settings import PullSettings
from ledger.vocabulary import Frozen


class LocalSettings(Frozen):
    """``[kernel.local]``."""

    precision: Literal["auto", "bf16", "fp32", "int8"] = Field(
        "auto", description="Arithmetic of the model; auto: what a short trial finds fastest on this processor."
    )
    threads: int = Field(0, ge=0, description="Threads to compute with; 0: the cores that this process may use.")
    prefill_tokens: int = Field(2_048, ge=64, description="Prompt tokens that are computed in one pass.")
    cache_tokens: int = Field(32_768, ge=256, description="Places of attention memory that are held at once.")
    rows: int = Field(64, ge=1, description="Answers that are decoded together.")
    memory_ceiling_mb: int = Field(0, ge=0, description="The model is not loaded when it needs more; 0: no ceiling.")
    idle_unload_s: float = Field(600.0, gt=0, description="The model is dropped after so long without a call.")
    pull: PullSettings = PullSettings()
