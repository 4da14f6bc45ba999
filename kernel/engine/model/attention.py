"""Rotary positions, and attention over keys in several stores, some of them shared by many rows.

Prompts for holes of one function share a prefix. Its keys and values are stored once for all rows, whose queries are
multiplied with them in one matrix product; only the tokens after the prefix are stored per row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel.engine.cache.key_values import KeyValues
from kernel.engine.model.config import Rope

if TYPE_CHECKING:
    from torch import Tensor


def frequencies(rope: Rope, head_size: int) -> Tensor:
    """Rotary frequencies in radians per position, (head_size / 2), float32."""
    import torch

    plain = rope.theta ** -(torch.arange(0, head_size, 2, dtype=torch.float32) / head_size)
    if rope.kind == "default":
        return plain
    if rope.kind == "linear":
        return plain / rope.factor
    waves = 2 * math.pi / plain
    smooth = (rope.original / waves - rope.low) / (rope.high - rope.low)
    return torch.lerp(plain / rope.factor, plain, smooth.clamp(0, 1))


def rotation(speed: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
    """Cosine and sine for ``positions`` (rows, new): each (rows, 1, new, head_size), float32."""
    import torch

    angles = positions[:, None, :, None].float() * speed
    both = torch.cat((angles, angles), dim=-1)
    return both.cos(), both.sin()


def rotate(x: Tensor, turn: tuple[Tensor, Tensor]) -> Tensor:
    """Applies the rotation to ``x`` (rows, heads, new, head_size); a pair consists of one number of each half of a
    head.
    """
    import torch

    cosine, sine = turn
    left, right = x.chunk(2, dim=-1)
    return x * cosine + torch.cat((-right, left), dim=-1) * sine


@dataclass(frozen=True, slots=True)
class Sharing:
    """Maps rows to the groups that they read, padded: each group has ``widest`` seats, and an empty seat repeats row 0.

    ``seat`` (rows,): index of each row's seat, int64. ``reader`` (groups * widest,): the row on each seat.
    """

    seat: Tensor
    reader: Tensor
    groups: int
    widest: int

    @classmethod
    def of(cls, group: Sequence[int], groups: int, device: str = "cpu") -> Sharing:
        """``group``: the group that each row reads."""
        import torch

        seen = [0] * groups
        place = []
        for wanted in group:
            place.append(seen[wanted])
            seen[wanted] += 1
        widest = max(seen)
        seats = [wanted * widest + at for wanted, at in zip(group, place, strict=True)]
        return cls._from_seats(torch.tensor(seats, device=device), groups, widest)

    @classmethod
    def _from_seats(cls, seat: Tensor, groups: int, widest: int) -> Sharing:
        import torch

        reader = torch.zeros(groups * widest, dtype=torch.int64, device=seat.device)
        reader[seat] = torch.arange(len(seat), device=seat.device)
        return cls(seat, reader, groups, widest)

    def only(self, rows: Tensor) -> Sharing:
        """The same mapping for a subset of the rows."""
        return self._from_seats(self.seat[rows], self.groups, self.widest)

    def gather(self, x: Tensor) -> Tensor:
        """Rows collected by group: (rows, heads, m, n) to (groups, heads, widest * m, n)."""
        _, heads, m, n = x.shape
        seated = x.index_select(0, self.reader).view(self.groups, self.widest, heads, m, n)
        return seated.transpose(1, 2).reshape(self.groups, heads, self.widest * m, n)

    def scatter(self, x: Tensor, m: int) -> Tensor:
        """Inverse of ``gather``."""
        groups, heads, _, n = x.shape
        seated = x.view(groups, heads, self.widest, m, n).transpose(1, 2).reshape(-1, heads, m, n)
        return seated.index_select(0, self.seat)


@dataclass(frozen=True, slots=True)
class CachePart:
    """One store of keys and values, as a forward pass attends to it; a place is one token's entry.

    ``sharing`` None: row ``i`` reads row ``i``. ``mask`` is added to the scores, (rows, 1, new or 1, places), or None
    when all places are visible; ``attend`` needs the result of ``fold``. ``written``: the pass appends its tokens.
    """

    store: KeyValues
    sharing: Sharing | None = None
    mask: Tensor | None = None
    written: bool = False

    def fold(self, groups: int) -> CachePart:
        """Repeats the mask for query heads that share a key head, which attention treats as further new places."""
        if self.mask is None or self.mask.shape[2] == 1:
            return self
        return replace(self, mask=self.mask.repeat(1, 1, groups, 1))

    def only(self, rows: Tensor) -> CachePart:
        """The same part for a subset of the rows."""
        return CachePart(
            self.store,
            self.sharing.only(rows) if self.sharing is not None else None,
            self.mask[rows] if self.mask is not None and self.mask.shape[0] > 1 else self.mask,
            self.written,
        )

    def read(self, layer: int, step: int, new: int, rows: Tensor | None) -> tuple[Tensor, Tensor]:
        """Keys and values for a pass of ``new`` tokens."""
        end = self.store.length + (new if self.written else 0)
        return self.store.read(layer, step, end, None if self.sharing is not None else rows)


def attend(query: Tensor, parts: Sequence[CachePart], layer: int, step: int, rows: Tensor | None) -> Tensor:
    """Attention of ``query`` (rows, heads, new, size); ``rows`` are the sequences of unshared stores that it belongs
    to.

    Returns (rows, new, heads * size).
    """
    import torch

    count, heads, new, size = query.shape
    found = [part.read(layer, step, new, rows) for part in parts]
    key_heads = found[0][0].shape[1]
    groups = heads // key_heads
    folded = query.reshape(count, key_heads, groups * new, size)
    if len(parts) == 1 and parts[0].sharing is None:
        keys, values = found[0]
        mask = parts[0].mask.to(keys.dtype) if parts[0].mask is not None else None
        out = torch.nn.functional.scaled_dot_product_attention(folded.to(keys.dtype), keys, values, attn_mask=mask)
    else:
        out = _attend_parts(folded, parts, found)
    return out.reshape(count, heads, new, size).transpose(1, 2).reshape(count, new, heads * size)


def _attend_parts(folded: Tensor, parts: Sequence[CachePart], found: Sequence[tuple[Tensor, Tensor]]) -> Tensor:
    """One softmax over the places of all parts. ``folded`` (rows, key heads, groups * new, size)."""
    import torch

    m = folded.shape[2]
    folded = folded * folded.shape[3] ** -0.5
    pieces = []
    for part, (keys, _) in zip(parts, found, strict=True):
        queries = part.sharing.gather(folded) if part.sharing is not None else folded
        scores = (queries.to(keys.dtype) @ keys.transpose(-1, -2)).float()
        if part.sharing is not None:
            scores = part.sharing.scatter(scores, m)
        if part.mask is not None:
            scores = scores + part.mask
        pieces.append(scores)
    weights = torch.softmax(torch.cat(pieces, dim=-1), dim=-1).split([p.shape[-1] for p in pieces], dim=-1)
    out = torch.zeros_like(folded)
    for part, (_, values), weight in zip(parts, found, weights, strict=True):
        if part.sharing is None:
            out = out + (weight.to(values.dtype) @ values).to(out.dtype)
        else:
            mixed = part.sharing.gather(weight).to(values.dtype) @ values
            out = out + part.sharing.scatter(mixed, m).to(out.dtype)
    return out
