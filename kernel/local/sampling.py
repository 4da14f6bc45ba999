"""Choosing the next token of every row, the same way for the same seed whatever else is in the batch."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

TOP_K = 64  # candidates looked at; sorting the whole vocabulary for every row costs more than a layer


@dataclass(frozen=True, slots=True)
class Sampling:
    """``temperature`` 0 is greedy."""

    temperature: float
    top_p: float
    seed: int


def uniforms(seed: int, span: int, sample: int, count: int) -> list[float]:
    """The random numbers of one answer, one a token."""
    source = random.Random(f"{seed}/{span}/{sample}")
    return [source.random() for _ in range(count)]


def choose(logits: Tensor, sampling: Sampling, chance: list[float]) -> tuple[list[int], list[float]]:
    """Token and its log-probability for each row of ``logits`` (rows, vocabulary), float32.

    The log-probability is that of the model itself, before temperature. ``chance`` has a number in [0, 1) a row.
    """
    import torch

    if sampling.temperature <= 0:
        picked = logits.argmax(dim=-1)
    else:
        values, candidates = logits.topk(min(TOP_K, logits.shape[-1]), dim=-1)
        weight = torch.softmax(values / sampling.temperature, dim=-1)
        before = weight.cumsum(dim=-1) - weight
        kept = before < sampling.top_p
        kept[:, 0] = True  # the best candidate always stays
        weight = weight * kept
        reach = weight.cumsum(dim=-1)
        point = torch.tensor(chance, dtype=reach.dtype)[:, None] * reach[:, -1:]
        place = (reach <= point).sum(dim=-1, keepdim=True).clamp_(max=reach.shape[-1] - 1)
        picked = candidates.gather(-1, place).squeeze(-1)
    logprob = logits.gather(-1, picked[:, None]).squeeze(-1) - logits.logsumexp(dim=-1)
    return picked.tolist(), logprob.tolist()
