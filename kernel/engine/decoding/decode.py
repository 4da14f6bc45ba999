"""Writing answers: many at once, one token a step for every row that is not finished."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.canary import TokenStep
from kernel.engine.cache.batch import Batch
from kernel.engine.decoding.answer import GeneratedAnswer
from kernel.engine.decoding.sampling import SamplingOptions, assess, penalise, pick, rank
from kernel.engine.decoding.tokenizer import Vocabulary
from kernel.engine.model.decoder import LoopModel
from kernel.engine.model.exits import ExitRule
from kernel.engine.model.passes import adaptive_pass, full_pass

if TYPE_CHECKING:
    from torch import Tensor

OnToken = Callable[[GeneratedAnswer], None]  # called after each token of an answer


@dataclass(frozen=True, slots=True)
class DecodingRun:
    """What all rows of a batch have in common."""

    model: LoopModel
    vocabulary: Vocabulary
    sampling: SamplingOptions
    rule: ExitRule
    on_token: OnToken | None = None

    def chosen(self, logits: Tensor, trails: list[GeneratedAnswer], sampling: SamplingOptions) -> list[TokenStep]:
        """The next token of every row; ``logits`` (rows, vocabulary)."""
        own = rank(logits)
        ruled = penalise(logits, [t.answer.numbers for t in trails], sampling.penalty, sampling.ngram)
        chance = [t.chance[t.answer.tokens] for t in trails]
        best = own if ruled is logits else rank(ruled)
        picked = pick(best, [sampling.temperature] * len(trails), sampling.top_p, chance)
        for at, trail in enumerate(trails):
            if trail.answer.tokens < len(trail.given):
                picked[at] = trail.given[trail.answer.tokens]
        return assess(logits, own, picked)

    def take(self, trail: GeneratedAnswer, step: TokenStep) -> None:
        trail.add(step, self.vocabulary)
        if self.on_token is not None:
            self.on_token(trail)


def decode_batch(writing: DecodingRun, batch: Batch, logits: Tensor, trails: list[GeneratedAnswer]) -> None:
    """Until every answer is finished. ``logits`` (rows, vocabulary) are those behind the prompts."""
    live = list(trails)
    while True:
        steps = writing.chosen(logits, live, writing.sampling)
        tokens = [step.token for step in steps]
        for trail, step in zip(live, steps, strict=True):
            writing.take(trail, step)
        finished = [at for at, trail in enumerate(live) if trail.answer.finish]
        for at in reversed(finished):
            batch.drop(at)
            live[at], tokens[at] = live[-1], tokens[-1]
            live.pop()
            tokens.pop()
        if not live:
            return
        if finished:
            batch.rearrange()
        logits = next_scores(tokens, writing.model, batch, live, writing.rule)


def next_scores(
    tokens: list[int], model: LoopModel, batch: Batch, trails: list[GeneratedAnswer], rule: ExitRule
) -> Tensor:
    """One token more in every row: the scores of the next one (rows, vocabulary)."""
    import torch

    column = torch.tensor(tokens)[:, None]
    if batch.own.steps == 1:
        state = full_pass(model, column, batch.view(), 1)
        for trail in trails:
            trail.depths.add(1)
    else:
        passed = adaptive_pass(model, column, batch.view(), rule)
        state = passed.state
        for row, trail in enumerate(trails):
            trail.depths.add_walk(passed.walk, row)
    return model.scores(state[:, -1])
