"""Decoding of a single answer, with speculative drafts that never change it.

Draft tokens are computed in one pass with the last accepted one. Every place then chooses its token as it would without
drafts; the first that differs from the draft is kept, and the places after it are discarded.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from kernel.engine.cache.batch import Batch
from kernel.engine.decoding.answer import GeneratedAnswer
from kernel.engine.decoding.decode import DecodingRun, next_scores
from kernel.engine.decoding.sampling import SamplingOptions
from kernel.engine.model.exits import ExitRule
from kernel.engine.model.passes import finish_pass, full_pass

if TYPE_CHECKING:
    from torch import Tensor


PAIR = 3  # tokens that must match an earlier occurrence
MOST = 6  # maximum draft tokens; products with few rows take hardly longer than with one
PAUSE = 4  # tokens without a draft after wrong drafts, doubled each time
LONGEST_PAUSE = 64


class PromptLookup:
    """Prompt-lookup drafts: tokens that followed an earlier occurrence of the last ``PAIR`` tokens; O(1) a token.

    An edit repeats most of what it edits, so the continuation of an earlier occurrence is often right.
    """

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._next_places: dict[tuple[int, ...], int] = {}
        self._match = 0
        for token in tokens:
            self.push(token)

    def push(self, token: int) -> None:
        """Adds a token."""
        self._tokens.append(token)
        if len(self._tokens) >= PAIR:
            key = tuple(self._tokens[-PAIR:])
            self._match = self._next_places.get(key, 0)
            self._next_places[key] = len(self._tokens)

    @property
    def hit(self) -> bool:
        """True when the last tokens occurred earlier."""
        return self._match > 0

    def guess(self, most: int) -> list[int]:
        """The tokens after the earlier occurrence; empty without one."""
        return self._tokens[self._match : self._match + most] if self._match else []


@dataclass(slots=True)
class DraftPacer:
    """Number of tokens to draft, by the acceptance so far: rejected drafts cost more than none."""

    length: int = 2
    wrong: int = 0  # consecutive drafts without an accepted token
    wait: int = 0  # tokens until the next draft

    def next(self, room: int) -> int:
        """Draft tokens now, at most ``room``; 0 for none."""
        if self.wait:
            self.wait -= 1
            return 0
        return min(self.length, room)

    def record(self, drafted: int, accepted: int) -> None:
        """``accepted`` of the ``drafted`` tokens were chosen."""
        if accepted:
            self.wrong = 0
            self.length = min(self.length + 2, MOST) if accepted == drafted else max(accepted, 1)
            return
        self.wrong += 1
        self.length = 1
        if self.wrong > 1:
            self.wait = min(PAUSE << (self.wrong - 2), LONGEST_PAUSE)


class SpeculativeDecoder:
    """Decodes one row in a batch of its own. ``speculate``: use drafts; ``adapt``: adjust decoding to the canary."""

    def __init__(
        self,
        run: DecodingRun,
        batch: Batch,
        generated: GeneratedAnswer,
        prompt: list[int],
        *,
        speculate: bool,
        adapt: bool,
    ) -> None:
        self._run, self._batch, self._generated = run, batch, generated
        self._adapt = adapt
        # with one slot for all steps a draft would attend to other keys than the token that it predicts
        whole = batch.own.held == batch.own.steps
        self._speculate = speculate and whole and not run.rule.adaptive and not adapt
        self._looped = run.rule.steps > 1
        self._lookup = PromptLookup(prompt if self._speculate and not self._looped else ())
        self._pace = DraftPacer()

    def decode(self, logits: Tensor) -> None:
        """Decodes until the answer is finished. ``logits`` (1, vocabulary): the scores after the prompt."""
        token = self._take(logits)
        while not self._generated.answer.finish:
            token = self._next(token)

    def _next(self, token: int) -> int:
        """Adds one token or several after ``token``; returns the last."""
        answer = self._generated.answer
        if self._speculate and (self._looped or self._lookup.hit):
            guesses = self._pace.next(answer.max_tokens - answer.tokens - 1)
            if guesses:
                draft = self._draft_with_one_step if self._looped else self._draft_from_prompt
                return draft(token, guesses)
        return self._take(next_scores([token], self._run.model, self._batch, [self._generated], self._rule()))

    def _take(self, logits: Tensor) -> int:
        """Chooses the next token from scores (1, vocabulary)."""
        (step,) = self._run.choose(logits, [self._generated], self._sampling())
        self._run.add_token(self._generated, step)
        self._lookup.push(step.token)
        return step.token

    def _sampling(self) -> SamplingOptions:
        sampling = self._run.sampling
        if not self._adapt:
            return sampling
        adjusted = self._generated.adjustment(self._run.rule.q, sampling.penalty)
        return replace(sampling, penalty=adjusted.repetition_penalty)

    def _rule(self) -> ExitRule:
        rule = self._run.rule
        if not self._adapt:
            return rule
        adjusted = self._generated.adjustment(rule.q, 1.0)
        return replace(rule, steps=min(rule.steps + adjusted.extra_steps, self._batch.own.steps), q=adjusted.q)

    def _draft_from_prompt(self, token: int, guesses: int) -> int:
        """Computes the last token and a draft from the prompt in one pass."""
        import torch

        tokens = [token, *self._lookup.guess(guesses)]
        model, own = self._run.model, self._batch.own
        before = own.length
        states = full_pass(model, torch.tensor([tokens]), self._batch.view(len(tokens)), self._run.rule.steps)
        return self._accept(tokens, states, before)

    def _draft_with_one_step(self, token: int, guesses: int) -> int:
        """Drafts of a looped model from its first step; the remaining steps then check all of them in one pass."""
        import torch

        model, own, steps = self._run.model, self._batch.own, self._run.rule.steps
        before, tokens, states = own.length, [token], []
        for _ in range(guesses + 1):
            view = self._batch.view()
            state = model.step(model.begin(torch.tensor([tokens[-1:]]), view), 0, view)
            states.append(state)
            tokens.append(int(model.scores(model.end(state, view)[:, -1]).argmax()))  # the coda writes keys here, too
            own.advance(1)
        own.length = before
        tokens.pop()  # not computed yet
        deep = finish_pass(model, torch.cat(states, dim=1), self._batch.view(len(tokens)), 1, steps)
        return self._accept(tokens, deep, before)

    def _accept(self, tokens: list[int], states: Tensor, before: int) -> int:
        """``states`` (1, new, width) after each of ``tokens``; places of rejected drafts are discarded."""
        model, own, token = self._run.model, self._batch.own, tokens[0]
        logits = model.scores(states[0])
        for at in range(len(tokens)):
            self._generated.depths.add(self._run.rule.steps)
            token = self._take(logits[at : at + 1])
            own.length = before + at + 1
            if self._generated.answer.finish or (at + 1 < len(tokens) and token != tokens[at + 1]):
                break
        self._pace.record(len(tokens) - 1, own.length - before - 1)
        return token
