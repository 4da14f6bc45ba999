"""The shape of a decoder whose middle layers may be run several times with the same weights.

Layers fall into a *prelude* (run once), a *core* (run ``steps`` times) and a *coda* (run once). Ouro loops its whole
stack; a plain decoder is the same thing at one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from ledger.errors import OuroError
from ledger.vocabulary import Frozen

Family = Literal["ouro", "qwen2", "llama"]

# Of the published Ouro checkpoints, by layers: a file with other weights than these is not one of them.
OURO_PARAMETERS = {24: 1_434_652_673, 48: 2_667_974_657}
OURO_VOCABULARY, OURO_WIDTH = 49_152, 2048


class Rope(Frozen):
    """Rotary positions. ``linear`` divides all positions; ``llama3`` stretches the slow waves only."""

    theta: float = Field(gt=0)
    kind: Literal["default", "linear", "llama3"] = "default"
    factor: float = Field(1.0, gt=0)
    low: float = 1.0  # llama3: waves longer than ``original / low`` are stretched by the whole factor
    high: float = 4.0  # llama3: waves shorter than ``original / high`` are left alone
    original: int = 8192  # llama3: the context that the model was first trained with


class LoopConfig(Frozen):
    """Everything that decides which weights there are and in which order they are applied."""

    family: Family
    vocabulary: int = Field(gt=0)
    width: int = Field(gt=0)
    inner: int = Field(gt=0)
    layers: int = Field(gt=0, le=1_000)
    heads: int = Field(gt=0)
    key_heads: int = Field(gt=0)
    head_size: int = Field(gt=0)
    context: int = Field(gt=0)
    epsilon: float
    rope: Rope
    tied: bool
    bias: bool = False  # of the query, key and value products
    steps: int = Field(1, ge=1, le=1_000)
    core: tuple[int, int]  # first looped layer and the one behind the last
    sandwich: bool = False  # a norm behind attention and behind the feed-forward part, too
    norm_each_step: bool = False  # the final norm closes every step; there is no other one at the end
    gate: bool = False  # a learned exit gate reads the state of every step
    stops: tuple[int, ...] = ()  # tokens that end an answer
    start: int | None = None  # the token that stands before everything, where a template asks for it

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        first, behind = self.core
        if not 0 <= first < behind <= self.layers:
            raise ValueError(f"the core {self.core} does not lie in {self.layers} layers")
        if self.heads % self.key_heads:
            raise ValueError(f"{self.heads} query heads cannot share {self.key_heads} key heads")
        if self.head_size % 2:
            raise ValueError(f"a head of {self.head_size} numbers cannot be rotated in pairs")
        return self

    @property
    def looped(self) -> int:
        """Layers in the core."""
        return self.core[1] - self.core[0]

    def slots(self, steps: int) -> int:
        """Places for keys and values: one for each layer and step of the core, one for each other layer."""
        return self.layers + (steps - 1) * self.looped

    def slot(self, layer: int, step: int, steps: int) -> int:
        """Slot of ``layer`` in ``step`` (from 0). Without prelude and coda this is ``step * layers + layer``."""
        first, behind = self.core
        if layer < first:
            return layer
        if layer < behind:
            return first + step * self.looped + (layer - first)
        return layer + (steps - 1) * self.looped

    def with_core(self, first: int, behind: int, steps: int) -> LoopConfig:
        """The same weights with another part looped (experiments, retrofits). Raises ``ValidationError``."""
        return LoopConfig.model_validate({**self.model_dump(), "core": (first, behind), "steps": steps})


def config_from_published(raw: Mapping[str, Any]) -> LoopConfig:
    """From a checkpoint's ``config.json``. Raises ``OuroError`` for an architecture that is not known.

    The defaults of the published Ouro class differ from its checkpoints, so a missing number is an error.
    """
    kind = str(raw.get("model_type", ""))
    if kind not in ("ouro", "qwen2", "llama"):
        raise OuroError(
            f"Models of the type {kind!r} cannot be loaded.", remedy="The types ouro, qwen2 and llama can be."
        )
    for feature in ("use_sliding_window", "attention_bias", "mlp_bias"):
        if raw.get(feature):
            raise OuroError(f"Weights of the type {kind!r} with {feature} cannot be loaded.")
    try:
        heads = int(raw["num_attention_heads"])
        layers = int(raw["num_hidden_layers"])
        looped = kind == "ouro"
        return LoopConfig(
            family=kind,
            vocabulary=raw["vocab_size"],
            width=raw["hidden_size"],
            inner=raw["intermediate_size"],
            layers=layers,
            heads=heads,
            key_heads=raw.get("num_key_value_heads") or heads,
            head_size=raw.get("head_dim") or raw["hidden_size"] // heads,
            context=raw["max_position_embeddings"],
            epsilon=raw["rms_norm_eps"],
            rope=_rope(raw),
            tied=bool(raw.get("tie_word_embeddings", False)),
            bias=kind == "qwen2",
            steps=raw["total_ut_steps"] if looped else 1,
            core=(0, layers),
            sandwich=looped,
            norm_each_step=looped,
            gate=looped,
            stops=_stops(kind, raw),
            start=_start(kind, raw),
        )
    except KeyError as error:
        raise OuroError(f"The model's config.json does not say {error.args[0]!r}.") from error
    except (ValidationError, TypeError, ValueError, ArithmeticError) as error:
        raise OuroError(f"The model's config.json does not fit together: {error}.") from error


def _rope(raw: Mapping[str, Any]) -> Rope:
    """Both spellings: ``rope_theta`` with ``rope_scaling``, and the newer ``rope_parameters``."""
    told = {**(raw.get("rope_scaling") or {}), **(raw.get("rope_parameters") or {})}
    kind = told.get("rope_type", told.get("type", "default"))
    if kind not in ("default", "linear", "llama3"):
        raise OuroError(f"Weights with positions of the kind {kind!r} cannot be loaded.")
    theta = told.get("rope_theta", raw.get("rope_theta"))
    if theta is None:
        raise KeyError("rope_theta")
    return Rope(
        theta=theta,
        kind=kind,
        factor=told.get("factor", 1.0),
        low=told.get("low_freq_factor", 1.0),
        high=told.get("high_freq_factor", 4.0),
        original=told.get("original_max_position_embeddings", 8192),
    )


def _stops(kind: str, raw: Mapping[str, Any]) -> tuple[int, ...]:
    """The published Ouro checkpoints say 0 for every special token; their turns really end with 2."""
    told = raw.get("eos_token_id")
    stops = tuple(told) if isinstance(told, list) else () if told is None else (told,)
    if kind == "ouro" and set(stops) <= {0}:
        return (2, 0)
    return stops


def _start(kind: str, raw: Mapping[str, Any]) -> int | None:
    start = raw.get("bos_token_id")
    return 1 if kind == "ouro" and start == 0 else start
