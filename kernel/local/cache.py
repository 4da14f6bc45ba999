"""Keys and values of a batch, written in place into memory that was taken once.

A row that is finished is overwritten by the last row, so a shrinking batch copies one row and not all of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import Tensor


class KeyValues:
    """Per layer two tensors of shape (rows, heads, capacity, head size)."""

    def __init__(
        self, *, layers: int, rows: int, heads: int, capacity: int, head_size: int, dtype: torch.dtype
    ) -> None:
        import torch

        shape = (rows, heads, capacity, head_size)
        self.keys = [torch.zeros(shape, dtype=dtype) for _ in range(layers)]
        self.values = [torch.zeros(shape, dtype=dtype) for _ in range(layers)]
        self.rows = rows
        self.length = 0  # places in use, the same for all rows: shorter rows are padded on the left

    def update(self, key: Tensor, value: Tensor, layer: int) -> tuple[Tensor, Tensor]:
        """Called by each attention layer: store the new places, return all places so far."""
        end = self.length + key.shape[2]
        keys, values = self.keys[layer][: self.rows], self.values[layer][: self.rows]
        keys[:, :, self.length : end] = key
        values[:, :, self.length : end] = value
        return keys[:, :, :end], values[:, :, :end]

    def advance(self, count: int) -> None:
        """After a pass through all layers: ``count`` places more are in use."""
        self.length += count

    def copy_in(self, row: int, start: int, source: KeyValues, source_row: int, begin: int, end: int) -> None:
        """Copy places ``begin`` to ``end`` of a row of ``source`` to ``start`` of our ``row``, in all layers."""
        stop = start + end - begin
        for mine, theirs in zip((*self.keys, *self.values), (*source.keys, *source.values), strict=True):
            mine[row, :, start:stop] = theirs[source_row, :, begin:end]

    def drop(self, row: int) -> None:
        """Forget ``row``: the last row takes its place."""
        last = self.rows - 1
        if row != last:
            for tensor in (*self.keys, *self.values):
                tensor[row, :, : self.length] = tensor[last, :, : self.length]
        self.rows = last
