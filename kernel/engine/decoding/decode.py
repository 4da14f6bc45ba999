"""Batched decoding: one token a step for every unfinished row."""

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

OnToken = Callable[[GeneratedAnswer], None]  # called after each token


@dataclass(frozen=True, slots=True)
class DecodingRun:
    """What all rows of a batch have in common."""

    model: LoopModel
    vocabulary: Vocabulary
    sampling: SamplingOptions
    rule: ExitRule
    on_token: OnToken | None = None

    def choose(self, logits: Tensor, answers: list[GeneratedAnswer], sampling: SamplingOptions) -> list[TokenStep]:
        """The next token of every row; ``logits`` (rows, vocabulary)."""
        own = rank(logits)
        ruled = penalise(logits, [t.answer.numbers for t in answers], sampling.penalty, sampling.ngram)
        chance = [t.chance[t.answer.tokens] for t in answers]
        best = own if ruled is logits else rank(ruled)
        picked = pick(best, [sampling.temperature] * len(answers), sampling.top_p, chance)
        for at, generated in enumerate(answers):
            if generated.answer.tokens < len(generated.given):
                picked[at] = generated.given[generated.answer.tokens]
        return assess(logits, own, picked)

    def add_token(self, generated: GeneratedAnswer, step: TokenStep) -> None:
        """Adds a token to an answer and notifies the caller."""
        generated.add(step, self.vocabulary)
        if self.on_token is not None:
            self.on_token(generated)


def decode_batch(run: DecodingRun, batch: Batch, logits: Tensor, answers: list[GeneratedAnswer]) -> None:
    """Decodes until every answer is finished. ``logits`` (rows, vocabulary): the scores after the prompts."""
    live = list(answers)
    while True:
        steps = run.choose(logits, live, run.sampling)
        tokens = [step.token for step in steps]
        for generated, step in zip(live, steps, strict=True):
            run.add_token(generated, step)
        finished = [at for at, generated in enumerate(live) if generated.answer.finish]
        for at in reversed(finished):
            batch.drop(at)
            live[at], tokens[at] = live[-1], tokens[-1]
            live.pop()
            tokens.pop()
        if not live:
            return
        if finished:
            batch.rearrange()
        logits = next_scores(tokens, run.model, batch, live, run.rule)


def next_scores(
    tokens: list[int], model: LoopModel, batch: Batch, answers: list[GeneratedAnswer], rule: ExitRule
) -> Tensor:
    """Appends one token to every row and returns the scores of the next one (rows, vocabulary)."""
    import torch

    column = torch.tensor(tokens)[:, None]
    if batch.own.steps == 1:
        state = full_pass(model, column, batch.view(), 1)
        for generated in answers:
            generated.depths.add(1)
    else:
        passed = adaptive_pass(model, column, batch.view(), rule)
        state = passed.state
        for row, generated in enumerate(answers):
            generated.depths.add_pass(passed.walk, row)
    return model.scores(state[:, -1])
