"""A decoder: token numbers to states, and states to scores of the next token.

The residual stream is float32; the products compute in the form of their weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from kernel.engine.model.attention import CachePart, attend, frequencies, rotate, rotation
from kernel.engine.model.config import LoopConfig
from kernel.engine.model.products import IDENTITY, SILU_GATE, InputTransform, Product, RmsNorm

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Layer:
    """``qkv`` computes queries, keys and values side by side; ``gate_up`` gate and value."""

    attention_norm: RmsNorm
    qkv: Product
    out: Product
    feed_norm: RmsNorm
    gate_up: Product
    down: Product
    after_attention: RmsNorm | None = None
    after_feed: RmsNorm | None = None


@dataclass(frozen=True, slots=True)
class ExitGate:
    """The exit gate: weight (width,), bias (1,), float32."""

    weight: Tensor
    bias: Tensor

    def __call__(self, state: Tensor) -> Tensor:
        """Logits (...) of states (..., width)."""
        return (state.float() * self.weight).sum(dim=-1) + self.bias


@dataclass(frozen=True, slots=True)
class AttentionView:
    """Rotation of the new places of a pass, and the cache parts that they attend to.

    ``rows``: the sequences of unshared stores that the rows of the pass are (None: all of them, in order).
    """

    turn: tuple[Tensor, Tensor]
    parts: tuple[CachePart, ...]
    rows: Tensor | None = None

    def only(self, rows: Tensor) -> AttentionView:
        """The same view for a subset of the rows of a pass over all rows."""
        cosine, sine = self.turn
        turn = self.turn if cosine.shape[0] == 1 else (cosine[rows], sine[rows])
        return AttentionView(turn, tuple(part.only(rows) for part in self.parts), rows)


class FusedPath(Protocol):
    """A faster way through several layers for some passes, with the same result."""

    def takes(self, state: Tensor, view: AttentionView) -> bool: ...

    def run(self, state: Tensor, first: int, last: int, step: int, view: AttentionView) -> Tensor: ...


class LoopModel:
    """The weights and the order in which they are applied. Not thread-safe: one worker thread uses it."""

    def __init__(
        self,
        *,
        config: LoopConfig,
        embed: Callable[[Tensor], Tensor],
        layers: Sequence[Layer],
        norm: RmsNorm,
        head: Product,
        gate: ExitGate | None,
        device: str = "cpu",
    ) -> None:
        self.config = config
        self.device = device
        self.gate = gate
        self.passes = 0  # layers computed so far
        self.fused: FusedPath | None = None
        self.check: Callable[[], None] = lambda: None  # called between products; raises to cancel a pass
        self._embed, self._layers, self._norm, self._head = embed, tuple(layers), norm, head
        self._speed = frequencies(config.rope, config.head_size).to(device)

    def view(self, positions: Tensor, parts: Sequence[CachePart]) -> AttentionView:
        """``positions`` (rows, new), or (1, new) when they are the same for all rows."""
        groups = self.config.heads // self.config.key_heads
        return AttentionView(
            rotation(self._speed, positions.to(self.device)), tuple(part.fold(groups) for part in parts)
        )

    def begin(self, tokens: Tensor, view: AttentionView) -> Tensor:
        """Embedding and prelude: tokens (rows, new) to states (rows, new, width)."""
        return self._run_layers(self._embed(tokens.to(self.device)), 0, self.config.core[0], 0, view)

    def step(self, state: Tensor, step: int, view: AttentionView) -> Tensor:
        """One loop step (from 0) through the core, with the norm after it where the model has one."""
        state = self._run_layers(state, *self.config.core, step, view)
        return self._norm(state) if self.config.norm_each_step else state

    def end(self, state: Tensor, view: AttentionView) -> Tensor:
        """Coda and final norm; a model that norms each step has applied the norm already."""
        state = self._run_layers(state, self.config.core[1], self.config.layers, 0, view)
        return state if self.config.norm_each_step else self._norm(state)

    def scores(self, state: Tensor) -> Tensor:
        """Logits (..., vocabulary) of states (..., width), float32."""
        self.check()
        return self._head(state)

    def _run_layers(self, state: Tensor, first: int, last: int, step: int, view: AttentionView) -> Tensor:
        """Layers ``first`` to ``last`` - 1, in one fused call where possible."""
        self.check()
        if first < last and self.fused is not None and self.fused.takes(state, view):
            self.passes += last - first
            return self.fused.run(state, first, last, step, view)
        for layer in range(first, last):
            state = self._layer(state, layer, step, view)
        return state

    def _layer(self, state: Tensor, number: int, step: int, view: AttentionView) -> Tensor:
        layer = self._layers[number]
        mixed = self._attention(state, layer, number, step, view)
        self.check()
        state = _add_residual(state, layer.out, mixed, IDENTITY, layer.after_attention)
        self.check()
        gate_up = layer.gate_up(state, layer.feed_norm)
        self.check()
        self.passes += 1
        return _add_residual(state, layer.down, gate_up, SILU_GATE, layer.after_feed)

    def _attention(self, state: Tensor, layer: Layer, number: int, step: int, view: AttentionView) -> Tensor:
        config = self.config
        rows, new, _ = state.shape
        self.check()
        heads = layer.qkv(state, layer.attention_norm).view(rows, new, -1, config.head_size).transpose(1, 2)
        looking, value = heads.split([config.heads + config.key_heads, config.key_heads], dim=1)
        query, key = rotate(looking, view.turn).split([config.heads, config.key_heads], dim=1)
        for part in view.parts:
            if part.written:
                part.store.write(number, step, key, value, view.rows)
        return attend(query, view.parts, number, step, view.rows).float()


def _add_residual(state: Tensor, product: Product, x: Tensor, front: InputTransform, norm: RmsNorm | None) -> Tensor:
    """``state`` plus the product of ``x``, after the norm that a layer may have there."""
    return product(x, front, state) if norm is None else state + norm(product(x, front))
