"""Chooses the next token of every row; the same seed gives the same token whatever else is in the batch."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.canary import TokenStep

if TYPE_CHECKING:
    from torch import Tensor

TOP_K = 64  # candidate tokens; passes over the whole vocabulary for every row cost as much as a layer


@dataclass(frozen=True, slots=True)
class SamplingOptions:
    """``temperature`` 0 is greedy. ``penalty`` 1 and ``ngram`` 0 switch the repetition rules off."""

    temperature: float = 0.0
    top_p: float = 1.0
    seed: int = 0
    penalty: float = 1.0
    ngram: int = 0


def draw_uniforms(seed: int, span: int, sample: int, count: int) -> list[float]:
    """The random numbers of one answer, one a token."""
    source = random.Random(f"{seed}/{span}/{sample}")
    return [source.random() for _ in range(count)]


@dataclass(frozen=True, slots=True)
class TopTokens:
    """The most probable tokens of each row, best first: ``scores`` and ``tokens`` (rows, k); ``total`` (rows, 1) is the
    logsumexp over the whole vocabulary.
    """

    scores: Tensor
    tokens: Tensor
    total: Tensor


def rank(logits: Tensor, top_k: int = TOP_K) -> TopTokens:
    """The top tokens of logits (rows, vocabulary), float32."""
    scores, tokens = logits.topk(min(top_k, logits.shape[-1]), dim=-1)
    return TopTokens(scores, tokens, logits.logsumexp(dim=-1, keepdim=True))


def assess(logits: Tensor, own: TopTokens, picked: Tensor) -> list[TokenStep]:
    """Margin, entropy and log-probability of the picked tokens under the model's own distribution: ``logits`` (rows,
    vocabulary) before any rule, ``own`` their ranking.

    The entropy is that of the ranked tokens with all others as one outcome.
    """
    import torch

    logprobs = own.scores - own.total
    share = logprobs.exp()
    rest = (1 - share.sum(dim=-1)).clamp_(min=0)
    entropy = -(share * logprobs).sum(dim=-1) - torch.special.xlogy(rest, rest)
    margin = share[:, 0] - share[:, 1]
    chosen = logits.gather(-1, picked[:, None]) - own.total
    rows = zip(picked.tolist(), margin.tolist(), entropy.tolist(), chosen[:, 0].tolist(), strict=True)
    return [TokenStep(*row) for row in rows]


def pick(best: TopTokens, temperature: Sequence[float], top_p: float, chance: Sequence[float]) -> Tensor:
    """Token numbers (rows,): the best where the temperature is 0, else drawn from the ranked ones.

    ``chance``: a uniform number in [0, 1) per row.
    """
    import torch

    if all(t <= 0 for t in temperature):
        return best.tokens[:, 0]
    heat = torch.tensor(list(temperature), dtype=best.scores.dtype, device=best.scores.device)[:, None]
    weight = torch.softmax(best.scores / heat.clamp(min=1e-6), dim=-1)
    before = weight.cumsum(dim=-1) - weight
    kept = before < top_p
    kept[:, 0] = True  # always keep the best candidate
    weight = weight * kept
    reach = weight.cumsum(dim=-1)
    point = torch.tensor(list(chance), dtype=reach.dtype, device=reach.device)[:, None] * reach[:, -1:]
    place = (reach <= point).sum(dim=-1, keepdim=True).clamp_(max=reach.shape[-1] - 1)
    return torch.where(heat[:, 0] <= 0, best.tokens[:, 0], best.tokens.gather(-1, place).squeeze(-1))


def penalise(logits: Tensor, written: Sequence[Sequence[int]], penalty: float, ngram: int) -> Tensor:
    """Logits after the repetition rules, given the tokens written so far per row.

    ``penalty`` divides positive scores of tokens already written and multiplies negative ones; ``ngram`` forbids tokens
    that would complete an n-gram of that length a second time.
    """
    import torch

    if penalty == 1.0 and not ngram:
        return logits
    changed = logits.clone()
    for row, tokens in enumerate(written):
        if penalty != 1.0 and tokens:
            seen = torch.tensor(sorted(set(tokens)), device=logits.device)
            scores = changed[row, seen]
            changed[row, seen] = torch.where(scores > 0, scores / penalty, scores * penalty)
        for banned in ngram_completions(tokens, ngram):
            changed[row, banned] = float("-inf")
    return changed


def ngram_completions(tokens: Sequence[int], ngram: int) -> set[int]:
    """Tokens that followed the last ``ngram - 1`` tokens at an earlier place."""
    if not 0 < ngram <= len(tokens):
        return set()
    tail = tuple(tokens[len(tokens) - ngram + 1 :])
    starts = range(len(tokens) - ngram + 1)
    return {tokens[at + ngram - 1] for at in starts if tuple(tokens[at : at + ngram - 1]) == tail}
