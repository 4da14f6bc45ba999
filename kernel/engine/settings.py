"""Settings of the model that runs in this process."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from kernel.weights.settings import PullSettings
from ledger.vocabulary import Frozen


class LocalSettings(Frozen):
    """``[kernel.local]``."""

    quantise: Literal["auto", "none", "fp32", "int8", "int4"] = Field(
        "auto",
        description="Form of the weights; none: bf16, or float32 where that is quicker and fits; auto: what a short "
        "trial finds fastest on this processor.",
    )
    family: str = Field(
        "", description="How own weights fill holes, as a family of policy.toml; empty: the one named in their path."
    )
    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="auto: a GPU when there is one.")
    threads: int = Field(0, ge=0, description="Threads to compute with; 0: the cores that this process may use.")
    prefill_tokens: int = Field(
        256, ge=64, description="Prompt tokens that are computed in one pass; more do not stay in the cache."
    )
    cache_tokens: int = Field(32_768, ge=256, description="Places of attention memory that are held at once.")
    kept_tokens: int = Field(
        2_048, ge=0, description="Tokens of prompts' beginnings that stay in memory for requests that begin alike."
    )
    rows: int = Field(64, ge=1, description="Answers that are decoded together.")
    context: int = Field(0, ge=0, description="Most tokens of prompt and answer together; 0: what the model takes.")
    memory_ceiling_mb: int = Field(0, ge=0, description="The model is not loaded when it needs more; 0: no ceiling.")
    idle_unload_s: float = Field(600.0, gt=0, description="The model is dropped after so long without a call.")

    steps: int = Field(0, ge=0, le=16, description="Most steps of a looped model; 0: as many as it was trained with.")
    core: str = Field(
        "",
        pattern=r"^([1-9]\d*-[1-9]\d*)?$",
        description='Layers of a plain model that are looped, first and last one, as "9-16"; needs steps.',
    )
    exit: Literal["fixed", "qexit", "converge", "accel"] = Field(
        "fixed", description="When a looped model has thought enough about a token, before all steps are done."
    )
    q: float = Field(0.5, ge=0, description="qexit leaves at this share of the gate's distribution; 1: full depth.")
    eps: float = Field(0.05, gt=0, description="converge and accel leave below this relative change of the state.")
    patience: int = Field(2, ge=1, description="accel: for so many steps in a row.")
    floor: int = Field(1, ge=1, description="Steps that are always done.")
    holes: Literal["copy_last", "last_step_reuse"] = Field(
        "copy_last",
        description="What later tokens see of steps that a token did not do; last_step_reuse keeps one step only of "
        "answers, which takes a fraction of the memory.",
    )
    kv_int8: bool = Field(False, description="Attention memory in one byte a number: a quarter of float32.")
    speculate: Literal["auto", "off"] = Field(
        "auto", description="Draft tokens from the prompt (plain models) or with one step (looped ones), then check."
    )

    canary: Literal["off", "observe", "stop"] = Field(
        "stop", description="What happens when an answer collapses; observe: it is reported, and no op acts on it."
    )
    adapt: bool = Field(False, description="A restless canary deepens the loop and discourages repetition.")
    repetition_penalty: float = Field(1.3, ge=1, description="Of answers in prose; code is never penalised.")
    no_repeat_ngram: int = Field(3, ge=0, description="Of answers in prose: no n-gram of this length twice; 0: off.")
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
        """The first layer of ``core``, from 0, and the one behind its last."""
        first, last = map(int, self.core.split("-"))
        return first - 1, last
