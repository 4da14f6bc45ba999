"""Writing one answer, with guesses that cost little and never change it.

Guessed tokens are computed in one pass with the last sure one. Every place then chooses its token as it would have
chosen without guesses; the first that differs from the guess is kept and what lies behind it is forgotten.
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


PAIR = 3  # tokens that have to match


class PromptLookup:
    """Where each short run of tokens was last seen; O(1) a token."""

    def __init__(self, tokens: Sequence[int]) -> None:
        self._tokens: list[int] = []
        self._behind: dict[tuple[int, ...], int] = {}
        self._match = 0
        for token in tokens:
            self.push(token)

    def push(self, token: int) -> None:
        self._tokens.append(token)
        if len(self._tokens) >= PAIR:
            key = tuple(self._tokens[-PAIR:])
            self._match = self._behind.get(key, 0)
            self._behind[key] = len(self._tokens)

    @property
    def hit(self) -> bool:
        """The last tokens were there before."""
        return self._match > 0

    def guess(self, most: int) -> list[int]:
        """What came behind the last tokens when they were there before; empty when they were not."""
        return self._tokens[self._match : self._match + most] if self._match else []


MOST = 6  # guesses of one draft; products with few rows take hardly longer than with one
PAUSE = 4  # tokens without guesses after drafts that were all wrong, doubled each time
LONGEST_PAUSE = 64


@dataclass(slots=True)
class DraftPacer:
    """How many tokens to guess, by how often guesses were right: guessing in vain costs more than not guessing."""

    length: int = 2
    wrong: int = 0  # drafts in a row without a right guess
    wait: int = 0  # tokens until the next draft

    def next(self, room: int) -> int:
        """Guesses to make now, at most ``room``; 0 for none."""
        if self.wait:
            self.wait -= 1
            return 0
        return min(self.length, room)

    def told(self, guessed: int, right: int) -> None:
        """``right`` of the ``guessed`` tokens were chosen in the end."""
        if right:
            self.wrong = 0
            self.length = min(self.length + 2, MOST) if right == guessed else max(right, 1)
            return
        self.wrong += 1
        self.length = 1
        if self.wrong > 1:
            self.wait = min(PAUSE << (self.wrong - 2), LONGEST_PAUSE)


class SpeculativeDecoder:
    """One row of a batch of its own. ``speculate``: drafts are made; ``adapt``: the canary turns the knobs."""

    def __init__(
        self,
        writing: DecodingRun,
        batch: Batch,
        trail: GeneratedAnswer,
        prompt: list[int],
        *,
        speculate: bool,
        adapt: bool,
    ) -> None:
        self._writing, self._batch, self._trail = writing, batch, trail
        self._adapt = adapt
        # with one slot for all steps a guess would look at other keys than the token that it guesses
        whole = batch.own.held == batch.own.steps
        self._speculate = speculate and whole and not writing.rule.adaptive and not adapt
        self._looped = writing.rule.steps > 1
        self._lookup = PromptLookup(prompt if self._speculate and not self._looped else ())
        self._pace = DraftPacer()

    def write(self, logits: Tensor) -> None:
        """Until the answer is finished. ``logits`` (1, vocabulary) are those behind the prompt."""
        token = self._take(logits)
        while not self._trail.answer.finish:
            token = self._next(token)

    def _next(self, token: int) -> int:
        """One token or several behind the last sure one."""
        answer = self._trail.answer
        if self._speculate and (self._looped or self._lookup.hit):
            guesses = self._pace.next(answer.max_tokens - answer.tokens - 1)
            if guesses:
                return self._shallow_first(token, guesses) if self._looped else self._checked(token, guesses)
        return self._take(next_scores([token], self._writing.model, self._batch, [self._trail], self._rule()))

    def _take(self, logits: Tensor) -> int:
        """Choose the next token from scores (1, vocabulary)."""
        (step,) = self._writing.chosen(logits, [self._trail], self._sampling())
        self._writing.take(self._trail, step)
        self._lookup.push(step.token)
        return step.token

    def _sampling(self) -> SamplingOptions:
        sampling = self._writing.sampling
        if not self._adapt:
            return sampling
        return replace(sampling, penalty=self._trail.turned(self._writing.rule.q, sampling.penalty).repetition_penalty)

    def _rule(self) -> ExitRule:
        rule = self._writing.rule
        if not self._adapt:
            return rule
        turned = self._trail.turned(rule.q, 1.0)
        return replace(rule, steps=min(rule.steps + turned.extra_steps, self._batch.own.steps), q=turned.q)

    def _checked(self, token: int, guesses: int) -> int:
        """The last sure token and what stood behind it in the prompt, in one pass."""
        import torch

        tokens = [token, *self._lookup.guess(guesses)]
        model, own = self._writing.model, self._batch.own
        before = own.length
        states = full_pass(model, torch.tensor([tokens]), self._batch.view(len(tokens)), self._writing.rule.steps)
        return self._accept(tokens, states, before)

    def _shallow_first(self, token: int, guesses: int) -> int:
        """Guesses of a looped model after one step; the other steps then check them all in one pass."""
        import torch

        model, own, steps = self._writing.model, self._batch.own, self._writing.rule.steps
        before, tokens, states = own.length, [token], []
        for _ in range(guesses + 1):
            view = self._batch.view()
            state = model.step(model.begin(torch.tensor([tokens[-1:]]), view), 0, view)
            states.append(state)
            tokens.append(int(model.scores(model.end(state, view)[:, -1]).argmax()))  # the coda has keys here, too
            own.advance(1)
        own.length = before
        tokens.pop()  # nothing has been computed behind it
        deep = finish_pass(model, torch.cat(states, dim=1), self._batch.view(len(tokens)), 1, steps)
        return self._accept(tokens, deep, before)

    def _accept(self, tokens: list[int], states: Tensor, before: int) -> int:
        """``states`` (1, new, width) behind each of ``tokens``; the places of guesses that were wrong are forgotten."""
        model, own, token = self._writing.model, self._batch.own, tokens[0]
        logits = model.scores(states[0])
        for at in range(len(tokens)):
            self._trail.depths.add(self._writing.rule.steps)
            token = self._take(logits[at : at + 1])
            own.length = before + at + 1
            if self._trail.answer.finish or (at + 1 < len(tokens) and token != tokens[at + 1]):
                break
        self._pace.told(len(tokens) - 1, own.length - before - 1)
        return token
