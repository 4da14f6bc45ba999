"""Settings of the local model."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from kernel.weights.settings import PullSettings
from ledger.vocabulary import Frozen


class LocalSettings(Frozen):
    """``[kernel.local]``."""

    quantise: Literal["auto", "none", "fp32", "int8", "int4"] = Field(
        "auto",
        description="trial finds fastest on this processor.",
    )
    family: str = Field(
        "",
        description="Infill format of your own weights: a family of policy.toml; empty: the one in their path.",
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU when there is one.")
    threads: int = Field(0, ge=0, description="Compute threads; 0: one per core that this process may use.")
    prefill_tokens: int = Field(
        256, ge=64, description="Prompt tokens computed in one pass; larger passes fall out of the processor's cache."
    )
    cache_tokens: int = Field(32_768, ge=256, description="Tokens whose keys and values are held at once.")
    kept_tokens: int = Field(
        2_048, ge=0, description="Tokens of prompt prefixes kept in memory for later requests with the same prefix."
    )
    rows: int = Field(64, ge=1, description="Answers decoded together.")
    context: int = Field(0, ge=0, description="Maximum tokens of prompt and answer; 0: the model's own maximum.")
    memory_ceiling_mb: int = Field(0, ge=0, description="A model that needs more memory is not loaded; 0: no ceiling.")
    idle_unload_s: float = Field(600.0, gt=0, description="Seconds without a call after which the model is unloaded.")

    steps: int = Field(0, ge=0, le=16, description="Maximum loop steps; 0: as many as the model was trained with.")
    core: str = Field(
        "",
        pattern=r"^([1-9]\d*-[1-9]\d*)?$",
        description='Layers of a plain model to loop, first and last, e.g. "9-16"; needs steps.',
    )
    exit: Literal["fixed", "qexit", "converge", "accel"] = Field(
        "fixed", description="Rule by which a token leaves the loop before all steps are done."
    )
    q: float = Field(0.5, ge=0, description="qexit leaves at this share of the gate's distribution; 1: full depth.")
    eps: float = Field(0.05, gt=0, description="converge and accel leave below this relative change of the state.")
    patience: int = Field(2, ge=1, description="accel: number of steps in a row.")
    floor: int = Field(1, ge=1, description="Minimum steps of every token.")
    holes: Literal["copy_last", "last_step_reuse"] = Field(
        "copy_last",
        description="answers, which takes a fraction of the memory.",
    )
    kv_int8: bool = Field(False, description="Keys and values in int8: a quarter of float32's memory.")
    speculate: Literal["auto", "off"] = Field(
        "auto",
        description="Speculative decoding: drafts from the prompt (plain models) or from one step (looped ones).",
    )

    canary: Literal["off", "observe", "stop"] = Field(
        "stop", description="What happens when an answer collapses; observe: it is reported, and no op uses it."
    )
    adapt: bool = Field(False, description="High canary proximity deepens the loop and penalises repetition.")
    repetition_penalty: float = Field(1.3, ge=1, description="For answers in prose; code is never penalised.")
    no_repeat_ngram: int = Field(3, ge=0, description="For answers in prose: no n-gram of this length twice; 0: off.")
    pull: PullSettings = PullSettings()

    @model_validator(mode="after")
    def _core_is_looped(self) -> Self:
        if self.core:
            if self.looped_layers[0] >= self.looped_layers[1]:
                raise ValueError(f"core = {self.core!r} ends before it begins")
            if self.steps < 2:
                raise ValueError(f"core = {self.core!r} needs steps = 2 or more: once is what the model does anyway")
        return self

    @property
    def looped_layers(self) -> tuple[int, int]:
        """The layers of ``core`` as a half-open range, counted from 0."""
        first, last = map(int, self.core.split("-"))
        return first - 1, last
