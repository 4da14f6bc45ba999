"""Prefill: computes keys, values and next-token scores of prompts, always through all loop steps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.engine.cache.batch import CacheFormat, additive_mask
from kernel.engine.cache.key_values import KeyValues
from kernel.engine.cache.packing import Row, split_prefill
from kernel.engine.model.attention import CachePart
from kernel.engine.model.decoder import LoopModel
from kernel.engine.model.passes import full_pass

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Prefill:
    """Prefill with one model, ``at_once`` tokens a pass; ``memory`` is the format of the stored keys and values."""

    model: LoopModel
    memory: CacheFormat
    at_once: int

    def trunk(self, tokens: Sequence[int], known: tuple[KeyValues, int] | None = None) -> KeyValues:
        """Keys and values of the prefix shared by several prompts, computed ``at_once`` tokens at a time.

        ``known``: a store whose first places hold the first tokens of ``tokens``, and how many places those are.
        """
        import torch

        model = self.model
        store = self.memory.store(model, rows=1, capacity=len(tokens))
        if known is not None:
            store.copy_in(0, 0, known[0], 0, 0, known[1])
            store.length = known[1]
        for start in range(store.length, len(tokens), self.at_once):
            piece = torch.tensor([list(tokens[start : start + self.at_once])])
            end = start + piece.shape[1]
            positions = torch.arange(start, end, device=model.device)
            mask = additive_mask(torch.arange(end, device=model.device)[None] <= positions[:, None])
            view = model.view(positions[None], [CachePart(store, mask=mask[None, None], written=True)])
            full_pass(model, piece, view, self.memory.steps)
        return store

    def rows(self, trunk: KeyValues, rows: Sequence[Row], room: int = 0) -> tuple[KeyValues, Tensor]:
        """Keys and values of each row's tokens after the trunk, and its next-token scores (rows, vocabulary).

        Every row is right-aligned in the places in use, with padding on its left. With ``room`` there is one row: its
        store begins with its part of the trunk and has that many free places at the end.
        """
        import torch

        taken = {row.span: len(row.numbers) if room else row.rest for row in rows}
        width = max(taken.values())
        store = self.memory.store(self.model, rows=len(rows), capacity=width + room)
        store.length = width
        scores: dict[int, Tensor] = {}
        place = {row.span: at for at, row in enumerate(rows)}
        for group in split_prefill(rows, tokens=self.at_once):
            own, found = self._prefill_group(trunk, group)
            for source, row in enumerate(group):
                target = place[row.span]
                scores[target] = found[source]
                count = taken[row.span]
                store.copy_in(target, width - count, own, source, own.length - count, own.length)
        return store, torch.stack([scores[at] for at in range(len(rows))])

    def score_texts(
        self, trunk: KeyValues, rows: Sequence[Row], texts: Sequence[int], ends: Sequence[int]
    ) -> list[float]:
        """Log-probability (nats) of the last ``texts[span]`` tokens of each row followed by an end, in the order of the
        spans.

        ``ends``: tokens that end an answer; the probability is that of any of them.
        """
        import torch

        found = [0.0] * len(texts)
        ending = torch.tensor(sorted(ends), device=self.model.device)
        for group in split_prefill(rows, tokens=self.at_once):
            width = max(row.rest for row in group)
            for _, start, state in self.prefill_pieces(trunk, group):
                for at, row in enumerate(group):
                    first, last = max(width - texts[row.span] - 1, start), start + state.shape[1]
                    if first >= last:
                        continue
                    chances = self.model.scores(state[at, first - start :]).float().log_softmax(dim=-1)
                    shift = len(row.numbers) - width + 1  # from a place to the next token
                    follow = row.numbers[first + shift : last + shift]
                    wanted = torch.tensor(follow, device=self.model.device)[:, None]
                    found[row.span] += float(chances[: len(follow)].gather(1, wanted).sum())
                    if last == width:
                        found[row.span] += float(chances[-1, ending].logsumexp(dim=0))
        return found

    def _prefill_group(self, trunk: KeyValues, group: Sequence[Row]) -> tuple[KeyValues, Tensor]:
        """The group's keys and values, and its next-token scores."""
        *_, (store, _, state) = self.prefill_pieces(trunk, group)
        return store, self.model.scores(state[:, -1])

    def prefill_pieces(self, trunk: KeyValues, group: Sequence[Row]) -> Iterator[tuple[KeyValues, int, Tensor]]:
        """Computes the rows' own tokens, each after its part of the trunk: [trunk | padding | own tokens].

        Yields the store, the first place of the piece, and its last states (rows, places, width). There is one piece,
        except for a single row longer than ``at_once``.
        """
        import torch

        front, width = max(row.shared for row in group), max(row.rest for row in group)
        shared = torch.tensor([row.shared for row in group], device=self.model.device)
        store = self.memory.store(self.model, rows=len(group), capacity=front + width)
        for row in range(len(group)):
            store.copy_in(row, 0, trunk, 0, 0, front)
        store.length = front
        own = torch.tensor([[0] * (width - r.rest) + list(r.numbers[r.shared :]) for r in group])
        padding = torch.tensor([width - r.rest for r in group], device=self.model.device)
        place = torch.arange(width, device=self.model.device)
        positions = (shared[:, None] + place - padding[:, None]).clamp_(min=0)
        of_trunk = torch.arange(front, device=self.model.device)[None, :] < shared[:, None]  # (rows, front)
        step = max(1, self.at_once // len(group))
        for start in range(0, width, step):
            end = min(start + step, width)
            causal = place[None, :end] <= place[start:end, None]  # (new, end)
            real = place[None, :end] >= padding[:, None]  # (rows, end)
            # Padding attends to itself: the softmax of an empty row is undefined.
            itself = place[None, :end] == place[start:end, None]
            seen_own = (causal[None] & real[:, None]) | itself[None]
            seen = torch.cat([of_trunk[:, None].expand(-1, end - start, -1), seen_own], dim=-1)
            part = CachePart(store, mask=additive_mask(seen)[:, None], written=True)
            view = self.model.view(positions[:, start:end], [part])
            yield store, start, full_pass(self.model, own[:, start:end], view, self.memory.steps)
