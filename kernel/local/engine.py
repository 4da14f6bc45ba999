"""One loaded model and what can be done with it: a pass over new tokens, and answers for many prompts at once.

Runs in the worker thread. Everything here is blocking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.cancel import CancelToken
from kernel.local.cache import KeyValues
from kernel.local.loader import load_model
from kernel.local.packing import Row, batches, prefill_groups
from kernel.local.precision import Precision
from kernel.local.sampling import Sampling, choose, uniforms
from kernel.local.stops import Answer
from kernel.local.tokenizer import Vocabulary

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is computed at once."""

    prefill_tokens: int
    cache_tokens: int
    rows: int


@dataclass(frozen=True, slots=True)
class Filled:
    """One finished answer: which span, which sample, what."""

    span: int
    sample: int
    answer: Answer


@dataclass(slots=True)
class _Live:
    """One row of the decoding batch."""

    span: int
    sample: int
    answer: Answer
    chance: list[float]
    length: int  # tokens so far, without padding


class Engine:
    """A model in memory. Not thread-safe: one worker thread uses it."""

    def __init__(self, *, model: Any, vocabulary: Vocabulary, precision: Precision) -> None:
        self.vocabulary = vocabulary
        self.precision = precision
        self._model = model
        self._cancel = CancelToken()
        for module in model.modules():
            if hasattr(module, "weight"):
                module.register_forward_pre_hook(self._between_products)

    @classmethod
    def load(cls, folder: Path, precision: Precision) -> Engine:
        return cls(model=load_model(folder, precision), vocabulary=Vocabulary.load(folder), precision=precision)

    def _between_products(self, *_: object) -> None:
        """A pass over a long prompt takes seconds, and on a busy machine so does one layer: it is cancelled inside."""
        self._cancel.check()

    def answer(
        self,
        trunk: Sequence[int],
        rows: Sequence[Row],
        stops: Sequence[tuple[str, ...]],
        *,
        samples: int,
        sampling: Sampling,
        bounds: Bounds,
        cancel: CancelToken,
        grown: Callable[[Answer], None] | None = None,
    ) -> list[Filled]:
        """``samples`` answers for every row. ``grown`` is called after each token of each answer.

        Raises ``Cancelled`` within one matrix product after ``cancel`` is set.
        """
        import torch

        self._cancel = cancel
        done: list[Filled] = []
        with torch.inference_mode():
            common = self._prefill_trunk(trunk, bounds)
            for batch in batches(rows, copies=samples, cache_tokens=bounds.cache_tokens, max_rows=bounds.rows):
                cache, logits, lengths = self._prefill(common, batch, samples, bounds)
                live = [
                    _Live(
                        span=row.span,
                        sample=sample,
                        answer=Answer(stops=stops[row.span], max_tokens=row.max_tokens),
                        chance=uniforms(sampling.seed, row.span, sample, row.max_tokens),
                        length=length,
                    )
                    for (row, sample), length in zip(
                        ((r, s) for r in batch for s in range(samples)), lengths, strict=True
                    )
                ]
                done += self._decode(cache, logits, live, sampling, grown)
        return done

    # --- passes -----------------------------------------------------------------------------------------------------

    def _new_cache(self, rows: int, capacity: int) -> KeyValues:
        config = self._model.config
        return KeyValues(
            layers=config.num_hidden_layers,
            rows=rows,
            heads=config.num_key_value_heads,
            capacity=capacity,
            head_size=config.hidden_size // config.num_attention_heads,
            dtype=self._model.model.norm.weight.dtype,
        )

    def _forward(self, numbers: Tensor, positions: Tensor, seen: Tensor, cache: KeyValues) -> Tensor:
        """numbers, positions (rows, new); seen (rows, 1, new, places) bool. Logits of the last place, float32."""
        import torch

        self._cancel.check()
        dtype = self._model.model.norm.weight.dtype
        mask = torch.zeros(seen.shape, dtype=dtype).masked_fill_(~seen, float("-inf"))
        state = self._model.model(
            input_ids=numbers,
            position_ids=positions,
            attention_mask={"full_attention": mask},
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        cache.advance(numbers.shape[1])
        logits: Tensor = self._model.lm_head(state[:, -1]).float()
        return logits

    def _prefill_trunk(self, trunk: Sequence[int], bounds: Bounds) -> KeyValues:
        """The shared prefix, in pieces of ``prefill_tokens``."""
        import torch

        cache = self._new_cache(1, len(trunk))
        for start in range(0, len(trunk), bounds.prefill_tokens):
            piece = torch.tensor([list(trunk[start : start + bounds.prefill_tokens])])
            positions = torch.arange(start, start + piece.shape[1])
            seen = torch.arange(start + piece.shape[1])[None, :] <= positions[:, None]
            self._forward(piece, positions[None], seen[None, None], cache)
        return cache

    def _prefill(
        self, common: KeyValues, batch: Sequence[Row], samples: int, bounds: Bounds
    ) -> tuple[KeyValues, Tensor, list[int]]:
        """Cache, next-token logits and lengths of all answers of a batch, in the order of rows, then samples.

        In the decoding cache every row stands against the right end of the prompt part, padded on its left.
        """
        import torch

        width = max(len(row.numbers) for row in batch)
        cache = self._new_cache(len(batch) * samples, width + max(row.max_tokens for row in batch))
        cache.length = width
        logits: list[Tensor | None] = [None] * len(batch)
        place = {row.span: i for i, row in enumerate(batch)}
        for group in prefill_groups(batch, tokens=bounds.prefill_tokens):
            prompt, scores = self._prefill_group(common, group, bounds)
            for source, row in enumerate(group):
                logits[place[row.span]] = scores[source]
                for copy in range(samples):
                    target = place[row.span] * samples + copy
                    start = width - len(row.numbers)
                    cache.copy_in(target, start, common, 0, 0, row.shared)
                    cache.copy_in(target, start + row.shared, prompt, source, prompt.length - row.rest, prompt.length)
        together = torch.stack([score for score in logits if score is not None]).repeat_interleave(samples, dim=0)
        return cache, together, [len(row.numbers) for row in batch for _ in range(samples)]

    def _prefill_group(self, common: KeyValues, group: Sequence[Row], bounds: Bounds) -> tuple[KeyValues, Tensor]:
        """The rows' own tokens, each behind its part of the trunk: [trunk | padding | own tokens].

        A single row may be longer than ``prefill_tokens``; then it goes in pieces.
        """
        import torch

        shared = torch.tensor([row.shared for row in group])
        front, width = int(shared.max()), max(row.rest for row in group)
        cache = self._new_cache(len(group), front + width)
        for row in range(len(group)):
            cache.copy_in(row, 0, common, 0, 0, front)
        cache.length = front
        own = torch.tensor([[0] * (width - r.rest) + list(r.numbers[r.shared :]) for r in group])
        padding = torch.tensor([width - r.rest for r in group])
        place = torch.arange(width)
        positions = (shared[:, None] + place - padding[:, None]).clamp_(min=0)
        of_trunk = torch.arange(front)[None, :] < shared[:, None]  # (rows, front)
        step = max(1, bounds.prefill_tokens // len(group))
        scores = torch.empty(0)
        for start in range(0, width, step):
            end = min(start + step, width)
            causal = place[None, :end] <= place[start:end, None]  # (new, end)
            real = place[None, :end] >= padding[:, None]  # (rows, end)
            itself = place[None, :end] == place[start:end, None]  # padding sees itself: an empty row has no softmax
            seen_own = (causal[None] & real[:, None]) | itself[None]
            seen = torch.cat([of_trunk[:, None].expand(-1, end - start, -1), seen_own], dim=-1)
            scores = self._forward(own[:, start:end], positions[:, start:end], seen[:, None], cache)
        return cache, scores

    # --- decoding ---------------------------------------------------------------------------------------------------

    def _decode(
        self,
        cache: KeyValues,
        logits: Tensor,
        live: list[_Live],
        sampling: Sampling,
        grown: Callable[[Answer], None] | None,
    ) -> list[Filled]:
        """One token a step for every live row, until no row is live."""
        import torch

        width = cache.length
        padding = torch.tensor([width - row.length for row in live])
        done: list[Filled] = []
        while True:
            chance = [row.chance[row.answer.tokens] for row in live]
            numbers, logprobs = choose(logits, sampling, chance)
            for row, number, logprob in zip(live, numbers, logprobs, strict=True):
                row.answer.add(number, logprob, self.vocabulary)
                if grown is not None:
                    grown(row.answer)
            for at in reversed([i for i, row in enumerate(live) if row.answer.finish]):
                done.append(Filled(live[at].span, live[at].sample, live[at].answer))
                cache.drop(at)
                live[at], padding[at], numbers[at] = live[-1], padding[len(live) - 1], numbers[-1]
                live.pop()
                numbers.pop()
            if not live:
                return done
            padding = padding[: len(live)]
            places = torch.arange(cache.length + 1)
            seen = places[None, :] >= padding[:, None]
            positions = (cache.length - padding)[:, None]
            logits = self._forward(torch.tensor(numbers)[:, None], positions, seen[:, None, None], cache)
