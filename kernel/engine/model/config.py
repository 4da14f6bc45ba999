"""Configuration of a decoder whose middle layers may run several times with the same weights.

The layers form a *prelude* (run once), a *core* (run ``steps`` times) and a *coda* (run once). Ouro loops its whole
stack; a plain decoder is the same with one step.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, ValidationError, model_validator

from ledger.errors import OuroError
from ledger.vocabulary import Frozen

Family = Literal["ouro", "qwen2", "llama"]

# Parameters of the published Ouro checkpoints, by number of layers.
OURO_PARAMETERS = {24: 1_434_652_673, 48: 2_667_974_657}
OURO_VOCABULARY, OURO_WIDTH = 49_152, 2048


class Rope(Frozen):
    """Rotary position embedding. ``linear`` divides all positions by ``factor``; ``llama3`` scales low frequencies
    only.
    """

    theta: float = Field(gt=0)
    kind: Literal["default", "linear", "llama3"] = "default"
    factor: float = Field(1.0, gt=0)
    low: float = 1.0  # llama3: wavelengths above ``original / low`` are scaled by the whole factor
    high: float = 4.0  # llama3: wavelengths below ``original / high`` are not scaled
    original: int = 8192  # llama3: context length of the original training


class LoopConfig(Frozen):
    """Everything that determines the weights of a decoder and the order in which they are applied."""

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
    bias: bool = False  # in the query, key and value products
    steps: int = Field(1, ge=1, le=1_000)
    core: tuple[int, int]  # looped layers, half-open
    sandwich: bool = False  # also a norm after attention and after the feed-forward part
    norm_each_step: bool = False  # the final norm is applied after every step, and not again at the end
    gate: bool = False  # a learned exit gate scores the state of every step
    stops: tuple[int, ...] = ()  # tokens that end an answer
    start: int | None = None  # beginning-of-text token, where a template uses one

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        first, end = self.core
        if not 0 <= first < end <= self.layers:
            raise ValueError(f"the core {self.core} does not lie in {self.layers} layers")
        if self.heads % self.key_heads:
            raise ValueError(f"{self.heads} query heads cannot share {self.key_heads} key heads")
        if self.head_size % 2:
            raise ValueError(f"a head of {self.head_size} numbers cannot be rotated in pairs")
        return self

    @property
    def core_layers(self) -> int:
        """Number of layers in the core."""
        return self.core[1] - self.core[0]

    def slots(self, steps: int) -> int:
        """Number of key-value slots: one for each layer and step of the core, one for each other layer."""
        return self.layers + (steps - 1) * self.core_layers

    def slot(self, layer: int, step: int, steps: int) -> int:
        """Slot of ``layer`` in ``step`` (from 0). Without prelude and coda this is ``step * layers + layer``."""
        first, end = self.core
        if layer < first:
            return layer
        if layer < end:
            return first + step * self.core_layers + (layer - first)
        return layer + (steps - 1) * self.core_layers

    def with_core(self, first: int, end: int, steps: int) -> LoopConfig:
        """The same weights with other layers looped (experiments, retrofits). Raises ``ValidationError``."""
        return LoopConfig.model_validate({**self.model_dump(), "core": (first, end), "steps": steps})


def config_from_published(raw: Mapping[str, Any]) -> LoopConfig:
    """The configuration in a checkpoint's ``config.json``. Raises ``OuroError`` for an unknown architecture.

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
        raise OuroError(f"The model's config.json has no {error.args[0]!r}.") from error
    except (ValidationError, TypeError, ValueError, ArithmeticError) as error:
        raise OuroError(f"The model's config.json does not fit together: {error}.") from error


def _rope(raw: Mapping[str, Any]) -> Rope:
    """Reads both spellings: ``rope_theta`` with ``rope_scaling``, and the newer ``rope_parameters``."""
    values = {**(raw.get("rope_scaling") or {}), **(raw.get("rope_parameters") or {})}
    kind = values.get("rope_type", values.get("type", "default"))
    if kind not in ("default", "linear", "llama3"):
        raise OuroError(f"Weights with positions of the kind {kind!r} cannot be loaded.")
    theta = values.get("rope_theta", raw.get("rope_theta"))
    if theta is None:
        raise KeyError("rope_theta")
    return Rope(
        theta=theta,
        kind=kind,
        factor=values.get("factor", 1.0),
        low=values.get("low_freq_factor", 1.0),
        high=values.get("high_freq_factor", 4.0),
        original=values.get("original_max_position_embeddings", 8192),
    )


def _stops(kind: str, raw: Mapping[str, Any]) -> tuple[int, ...]:
    """Tokens that end an answer. The published Ouro checkpoints give 0 for every special token; their turns end
    with 2.
    """
    values = raw.get("eos_token_id")
    stops = tuple(values) if isinstance(values, list) else () if values is None else (values,)
    if kind == "ouro" and set(stops) <= {0}:
        return (2, 0)
    return stops


def _start(kind: str, raw: Mapping[str, Any]) -> int | None:
    start = raw.get("bos_token_id")
    return 1 if kind == "ouro" and start == 0 else start
