"""The rows of a batch during decoding: which keys each row attends to, and its positions.

A row attends to up to three parts: the trunk shared by all prompts, the rest of its own prompt (shared by its samples),
and its own answer. All rows of a batch have the same answer length. A single row has one part for all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.engine.cache.key_values import KeyValues
from kernel.engine.cache.packing import Row
from kernel.engine.model.attention import CachePart, Sharing
from kernel.engine.model.decoder import AttentionView, LoopModel

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class CacheFormat:
    """Storage format of keys and values. ``held``: loop steps of answers that have slots of their own."""

    dtype: torch.dtype
    steps: int
    held: int
    int8: bool = False

    def store(self, model: LoopModel, *, rows: int, capacity: int, answer: bool = False) -> KeyValues:
        """An empty store for ``rows`` sequences of at most ``capacity`` places."""
        return KeyValues(
            model.config,
            steps=self.steps,
            held=self.held if answer else self.steps,
            rows=rows,
            capacity=capacity,
            dtype=self.dtype,
            device=model.device,
            int8=self.int8,
        )


class Batch:
    """Rows in order; ``prompts`` has one row a prompt, right-aligned in the common width.

    When ``prompts`` has free capacity, the answer is written after the prompt; only for a single row.
    """

    def __init__(
        self,
        model: LoopModel,
        memory: CacheFormat,
        trunk: KeyValues,
        prompts: KeyValues,
        rows: Sequence[Row],
        samples: int,
    ) -> None:
        import torch

        self._model, self._trunk, self._prompts = model, trunk, prompts
        self._group = [at for at in range(len(rows)) for _ in range(samples)]
        self._prompt_places = prompts.length if prompts.capacity > prompts.length else 0
        longest = max(row.max_tokens for row in rows)
        self.own = prompts
        if not self._prompt_places:
            self.own = memory.store(model, rows=len(self._group), capacity=longest, answer=True)
        width = prompts.length
        self._device = model.device
        shared, rest = torch.tensor([[row.shared, row.rest] for row in rows], device=model.device).t()
        self._starts = shared + rest
        self._hide_trunk = additive_mask(torch.arange(trunk.length, device=model.device)[None] < shared[:, None])
        self._hide_prompt = additive_mask(torch.arange(width, device=model.device)[None] >= (width - rest)[:, None])
        self._arrange()

    def view(self, new: int = 1) -> AttentionView:
        """View for a pass of ``new`` more tokens in every row."""
        import torch

        places = torch.arange(new, device=self._device)
        positions = self._start + self.own.length - self._prompt_places + places
        causal = None
        if new > 1:
            total = torch.arange(self.own.length + new, device=self._device)
            causal = additive_mask(total[None] <= (self.own.length + places)[:, None])[None, None]
        return self._model.view(positions, (*self._shared, CachePart(self.own, mask=causal, written=True)))

    def drop(self, at: int) -> None:
        """Removes a row; the last one takes its place. Call ``rearrange`` after the last removal."""
        self.own.drop(at)
        self._group[at] = self._group[-1]
        self._group.pop()

    def rearrange(self) -> None:
        """Updates positions and shared parts after rows were dropped."""
        if self._group:
            self._arrange()

    def _arrange(self) -> None:
        import torch

        group = torch.tensor(self._group, device=self._device)
        self._start = self._starts[group][:, None]
        self._shared: tuple[CachePart, ...] = ()
        if self._prompt_places:
            return
        parts = []
        if self._trunk.length:
            parts.append(
                CachePart(
                    self._trunk, Sharing.of([0] * len(group), 1, self._device), self._hide_trunk[group][:, None, None]
                )
            )
        sharing = Sharing.of(self._group, self._prompts.rows, self._device)
        parts.append(CachePart(self._prompts, sharing, self._hide_prompt[group][:, None, None]))
        self._shared = tuple(parts)


def additive_mask(seen: Tensor) -> Tensor:
    """Additive attention mask of a boolean one: 0 where True, minus infinity elsewhere."""
    import torch

    return torch.zeros(seen.shape, device=seen.device).masked_fill_(~seen, float("-inf"))
