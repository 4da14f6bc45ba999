"""Storage of keys and values in preallocated memory, and the cache of prompt prefixes.

There is one slot for every layer and loop step: a step only attends to keys of the same step. A store may also hold
fewer steps than the loop has; then every step sees what the last step wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kernel.engine.cache.packing import common_prefix_length
from kernel.engine.model.config import LoopConfig

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class SlotArray:
    """Keys, or values, of all slots: each (rows, key heads, capacity, head size).

    With ``int8`` each number takes a byte, with one scale per head and place.
    """

    def __init__(self, slots: int, shape: tuple[int, int, int, int], dtype: torch.dtype, device: str, int8: bool):
        import torch

        stored = torch.int8 if int8 else dtype
        self.dtype = dtype
        self.numbers = [torch.zeros(shape, dtype=stored, device=device) for _ in range(slots)]
        self.scales = [torch.zeros((*shape[:3], 1), dtype=dtype, device=device) for _ in range(slots if int8 else 0)]

    def tensors(self) -> Iterator[Tensor]:
        """The arrays of numbers, then those of scales."""
        yield from self.numbers
        yield from self.scales

    def read(self, slot: int, end: int, rows: Tensor | None, count: int) -> Tensor:
        """Places before ``end``, of the given rows or of the first ``count``."""
        pick = slice(count) if rows is None else rows
        found = self.numbers[slot][pick, :, :end]
        return found.to(self.dtype) * self.scales[slot][pick, :, :end] if self.scales else found

    def write(self, slot: int, start: int, new: Tensor, rows: Tensor | None) -> None:
        """Stores ``new`` (rows, key heads, new, head size) from place ``start`` on."""
        import torch

        places = slice(start, start + new.shape[2])
        pick = slice(new.shape[0]) if rows is None else rows
        if self.scales:
            scale = new.abs().amax(dim=-1, keepdim=True).clamp_(min=1e-8) / 127
            self.scales[slot][pick, :, places] = scale.to(self.dtype)
            new = (new / scale).round_().to(torch.int8)
        self.numbers[slot][pick, :, places] = new.to(self.numbers[slot].dtype)


class KeyValues:
    """Keys and values of ``rows`` sequences, all with the same number of places in use (``length``)."""

    def __init__(
        self,
        config: LoopConfig,
        *,
        steps: int,
        held: int,
        rows: int,
        capacity: int,
        dtype: torch.dtype,
        device: str = "cpu",
        int8: bool = False,
    ) -> None:
        """``steps`` of the loop, of which ``held`` have slots of their own (all of them, or 1)."""
        shape = (rows, config.key_heads, capacity, config.head_size)
        slots = config.slots(held)
        self.config, self.steps, self.held = config, steps, held
        self.keys = SlotArray(slots, shape, dtype, device, int8)
        self.values = SlotArray(slots, shape, dtype, device, int8)
        self.rows, self.capacity = rows, capacity
        self.length = 0

    @property
    def bytes(self) -> int:
        """Allocated memory."""
        return sum(t.numel() * t.element_size() for t in self.tensors())

    def tensors(self) -> Iterator[Tensor]:
        yield from self.keys.tensors()
        yield from self.values.tensors()

    def slot(self, layer: int, step: int) -> int:
        """Slot of ``layer`` in loop step ``step``."""
        return self.config.slot(layer, min(step, self.held - 1), self.held)

    def write(self, layer: int, step: int, key: Tensor, value: Tensor, rows: Tensor | None) -> None:
        """Stores new places after those in use; ``rows`` are the sequences they belong to (None: all)."""
        slot = self.slot(layer, step)
        self.keys.write(slot, self.length, key, rows)
        self.values.write(slot, self.length, value, rows)

    def read(self, layer: int, step: int, end: int, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        """Places before ``end``: keys and values, each (rows, key heads, end, head size)."""
        slot = self.slot(layer, step)
        return self.keys.read(slot, end, rows, self.rows), self.values.read(slot, end, rows, self.rows)

    def advance(self, count: int) -> None:
        """Marks ``count`` more places as used, after a pass through all layers."""
        self.length += count

    def copy_last(self, rows: Tensor, step: int) -> None:
        """For rows that left the loop after ``step``: copies what it wrote for the newest place to all later steps."""
        if self.held == 1:
            return
        at = self.length
        for layer in range(*self.config.core):
            for kept in (self.keys, self.values):
                for kind in (kept.numbers, kept.scales):
                    if not kind:
                        continue
                    newest = kind[self.slot(layer, step)][rows, :, at]
                    for later in range(step + 1, self.steps):
                        kind[self.slot(layer, later)][rows, :, at] = newest

    def copy_in(self, row: int, start: int, source: KeyValues, source_row: int, begin: int, end: int) -> None:
        """Copies places ``begin`` to ``end`` of a row of ``source`` (same format) to ``start`` of ``row``."""
        stop = start + end - begin
        for mine, theirs in zip(self.tensors(), source.tensors(), strict=True):
            mine[row, :, start:stop] = theirs[source_row, :, begin:end]

    def drop(self, row: int) -> None:
        """Removes ``row``; the last row takes its place."""
        last = self.rows - 1
        if row != last:
            for tensor in self.tensors():
                tensor[row, :, : self.length] = tensor[last, :, : self.length]
        self.rows = last


class PrefixCache:
    """Keys and values of recent prompt prefixes, at most ``places`` tokens in all; the least recently used goes first.

    A search sends many requests about the same code, which begin alike.
    """

    def __init__(self, places: int) -> None:
        self._places = places
        self._kept: list[tuple[tuple[int, ...], KeyValues]] = []

    def longest_match(self, tokens: Sequence[int]) -> tuple[KeyValues, int] | None:
        """A store whose first places hold the first of ``tokens``, and their number; None without a common prefix."""
        best = max(self._kept, key=lambda kept: common_prefix_length(kept[0], tokens), default=None)
        length = common_prefix_length(best[0], tokens) if best is not None else 0
        return (best[1], length) if best is not None and length else None

    def keep(self, tokens: Sequence[int], store: KeyValues) -> None:
        """Adds ``store``, which holds ``tokens``; drops stores that it contains, then the oldest above the limit."""
        own = tuple(tokens)
        kept = [row for row in self._kept if common_prefix_length(row[0], own) < len(row[0])]
        kept.append((own, store))
        while kept and sum(len(row[0]) for row in kept) > self._places:
            kept.pop(0)
        self._kept = kept
