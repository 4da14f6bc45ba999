"""The answers of several prompts while they are written: what each row looks at, and where it stands.

A row looks at up to three parts: the trunk that all prompts share, its own prompt behind that (shared by its samples),
and what it has written itself. All rows of a batch have written equally much. A single row has one part for all.
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
    """In which form keys and values are kept. ``held``: steps of answers that have places of their own."""

    dtype: torch.dtype
    steps: int
    held: int
    int8: bool = False

    def store(self, model: LoopModel, *, rows: int, capacity: int, answer: bool = False) -> KeyValues:
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
    """Rows in order; ``prompts`` has a group for each prompt, its places at the right end of the common width.

    Where ``prompts`` has room, the answers are written behind them: that is for a single row.
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
        self._behind = prompts.length if prompts.capacity > prompts.length else 0
        longest = max(row.max_tokens for row in rows)
        self.own = (
            prompts if self._behind else memory.store(model, rows=len(self._group), capacity=longest, answer=True)
        )
        width = prompts.length
        self._device = model.device
        shared, rest = torch.tensor([[row.shared, row.rest] for row in rows], device=model.device).t()
        self._starts = shared + rest
        self._hide_trunk = additive_mask(torch.arange(trunk.length, device=model.device)[None] < shared[:, None])
        self._hide_prompt = additive_mask(torch.arange(width, device=model.device)[None] >= (width - rest)[:, None])
        self._arrange()

    def view(self, new: int = 1) -> AttentionView:
        """For a pass of ``new`` tokens more in every row."""
        import torch

        places = torch.arange(new, device=self._device)
        positions = self._start + self.own.length - self._behind + places
        causal = None
        if new > 1:
            total = torch.arange(self.own.length + new, device=self._device)
            causal = additive_mask(total[None] <= (self.own.length + places)[:, None])[None, None]
        return self._model.view(positions, (*self._shared, CachePart(self.own, mask=causal, written=True)))

    def drop(self, at: int) -> None:
        """Forget a row: the last one takes its place. Call ``rearrange`` when all are dropped."""
        self.own.drop(at)
        self._group[at] = self._group[-1]
        self._group.pop()

    def rearrange(self) -> None:
        if self._group:
            self._arrange()

    def _arrange(self) -> None:
        import torch

        group = torch.tensor(self._group, device=self._device)
        self._start = self._starts[group][:, None]
        self._shared: tuple[CachePart, ...] = ()
        if self._behind:
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
    """Additive mask of a boolean one: 0 where seen, minus infinity elsewhere."""
    import torch

    return torch.zeros(seen.shape, device=seen.device).masked_fill_(~seen, float("-inf"))
