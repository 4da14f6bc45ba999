"""A loaded model and its operations: answers to one prompt or to many, alternatives to a text, scores of texts.

Runs in the worker thread. Everything here is blocking.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from kernel.canary import Canary, Levels, adjust_decoding
from kernel.cancel import CancelToken
from kernel.engine.cache.batch import Batch, CacheFormat
from kernel.engine.cache.key_values import KeyValues, PrefixCache
from kernel.engine.cache.packing import Row, split_batches
from kernel.engine.cache.prefill import Prefill
from kernel.engine.decoding.answer import AnswerText, DepthStats, GeneratedAnswer, OnAlarm
from kernel.engine.decoding.branching import choose_branches, read_texts
from kernel.engine.decoding.decode import DecodingRun, OnToken, decode_batch
from kernel.engine.decoding.sampling import SamplingOptions, draw_uniforms
from kernel.engine.decoding.speculative import SpeculativeDecoder
from kernel.engine.decoding.tokenizer import Vocabulary
from kernel.engine.model.decoder import LoopModel
from kernel.engine.model.exits import ExitRule

if TYPE_CHECKING:
    from torch import Tensor


CAUTIOUS_NGRAM = 16
"""After a collapse no n-gram of this length may occur twice: shorter ones repeat in any code, a loop repeats all."""


@dataclass(frozen=True, slots=True)
class BatchLimits:
    """How much is computed at once."""

    prefill_tokens: int
    cache_tokens: int
    rows: int
    kept_tokens: int = 0


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How answers are generated. ``on_alarm``: effect of a collapse; without ``levels`` the canary is off.

    ``caution``: worst proximity of an earlier attempt (0 to 1). A cautious attempt goes deeper and penalises
    repetition.
    """

    sampling: SamplingOptions
    levels: Levels | None = None
    on_alarm: OnAlarm = "observe"
    speculate: bool = False
    adapt: bool = False
    caution: float = 0.0


@dataclass(frozen=True, slots=True)
class DecodeRequest:
    """Prompts with a common prefix (``trunk``), and the stop strings of each answer."""

    trunk: Sequence[int]
    rows: Sequence[Row]
    stops: Sequence[tuple[str, ...]]
    options: DecodeOptions
    samples: int = 1
    on_token: OnToken | None = None
    cancel: CancelToken = field(default_factory=CancelToken)


class Engine:
    """A model in memory with its exit rule. Not thread-safe: one thread uses it."""

    def __init__(
        self,
        *,
        model: LoopModel,
        vocabulary: Vocabulary,
        memory: CacheFormat,
        rule: ExitRule,
        bounds: BatchLimits,
        why: str = "",
    ) -> None:
        self.model = model
        self.vocabulary = vocabulary
        self.memory = memory
        self.rule = rule
        self.bounds = bounds
        self.prefill = Prefill(model, memory, bounds.prefill_tokens)
        self.why = why  # reason for the chosen forms of the weights
        self._prefixes = PrefixCache(bounds.kept_tokens)

    def answer(self, ask: DecodeRequest) -> list[GeneratedAnswer]:
        """``samples`` finished answers for every row, in the order of rows and samples.

        Raises ``Cancelled`` within one matrix product after the token is set, ``CollapseDetected`` when ``on_alarm`` is
        ``raise``.
        """

        def write(trunk: KeyValues, rows: list[Row]) -> list[GeneratedAnswer]:
            room = self._room(ask, rows)
            prompts, scores = self.prefill.rows(trunk, rows, room)
            if room:
                rows = [replace(rows[0], shared=0)]
            batch = Batch(self.model, self.memory, trunk, prompts, rows, ask.samples)
            answers = [self._new_answer(ask, row, sample) for row in rows for sample in range(ask.samples)]
            self._write(ask, batch, scores.repeat_interleave(ask.samples, dim=0), answers)
            return answers

        return self._in_batches(ask, write)

    def diverge(
        self, ask: DecodeRequest, texts: Sequence[Sequence[int]], ends: frozenset[int]
    ) -> list[GeneratedAnswer]:
        """Like :meth:`answer`, but each answer branches off from the current text of its hole, ``texts[span]``; see
        ``branching``.
        """

        def write(trunk: KeyValues, rows: list[Row]) -> list[GeneratedAnswer]:
            prompts, scores, branches = read_texts(self.prefill, trunk, rows, texts, ends)
            batch = Batch(self.model, self.memory, trunk, prompts, rows, ask.samples)
            answers = [
                replace(self._new_answer(ask, row, sample), given=(*texts[row.span][: branch.at], branch.token))
                for row, found in zip(rows, branches, strict=True)
                for sample, branch in enumerate(choose_branches(found, ask.samples))
            ]
            decode_batch(self._run_of(ask), batch, scores.repeat_interleave(ask.samples, dim=0), answers)
            return answers

        return self._in_batches(ask, write)

    def weigh(
        self, trunk: Sequence[int], rows: Sequence[Row], texts: Sequence[int], ends: Sequence[int], cancel: CancelToken
    ) -> list[float]:
        """Log-probability of the last ``texts[span]`` tokens of each row; see ``Prefill.score_texts``."""
        import torch

        self.model.check = cancel.check
        with torch.inference_mode():
            shared = self._trunk(trunk)
            return self.prefill.score_texts(shared, rows, texts, ends)

    def _in_batches(
        self, ask: DecodeRequest, write: Callable[[KeyValues, list[Row]], list[GeneratedAnswer]]
    ) -> list[GeneratedAnswer]:
        """Calls ``write`` with as many rows at a time as the limits allow; the answers in the order of rows and
        samples.
        """
        import torch

        self.model.check = ask.cancel.check
        most = self.bounds
        with torch.inference_mode():
            trunk = self._trunk(ask.trunk)
            parts = split_batches(ask.rows, copies=ask.samples, cache_tokens=most.cache_tokens, max_rows=most.rows)
            done = [generated for rows in parts for generated in write(trunk, rows)]
        return sorted(done, key=lambda t: (t.span, t.sample))

    def _trunk(self, tokens: Sequence[int]) -> KeyValues:
        """Keys and values of a common prefix; the part known from earlier requests is not computed again."""
        known = self._prefixes.longest_match(tokens)
        store = self.prefill.trunk(tokens, known)
        if tokens:
            self._prefixes.keep(tokens, store)
        return store

    def _room(self, ask: DecodeRequest, rows: Sequence[Row]) -> int:
        """Places to reserve after the prompt: a single answer follows its prompt in one store when both have the same
        format.
        """
        alone = len(rows) * ask.samples == 1 and self.memory.held == self.memory.steps
        return rows[0].max_tokens if alone else 0

    def _write(self, ask: DecodeRequest, batch: Batch, logits: Tensor, answers: list[GeneratedAnswer]) -> None:
        options, run = ask.options, self._run_of(ask)
        if len(answers) > 1:
            decode_batch(run, batch, logits, answers)
            return
        prompt = next(list(row.numbers) for row in ask.rows if row.span == answers[0].span)
        decoder = SpeculativeDecoder(run, batch, answers[0], prompt, speculate=options.speculate, adapt=options.adapt)
        decoder.decode(logits)

    def _run_of(self, ask: DecodeRequest) -> DecodingRun:
        sampling, rule = ask.options.sampling, self.rule
        if ask.options.caution:
            adjusted = adjust_decoding(ask.options.caution, q=rule.q, repetition_penalty=sampling.penalty)
            ngram = sampling.ngram or CAUTIOUS_NGRAM
            sampling = replace(sampling, penalty=adjusted.repetition_penalty, ngram=ngram)
            rule = rule.with_more_steps(adjusted.extra_steps, adjusted.q, limit=self.memory.steps)
        return DecodingRun(self.model, self.vocabulary, sampling, rule, ask.on_token)

    def _new_answer(self, ask: DecodeRequest, row: Row, sample: int) -> GeneratedAnswer:
        options = ask.options
        return GeneratedAnswer(
            span=row.span,
            sample=sample,
            answer=AnswerText(stops=ask.stops[row.span], max_tokens=row.max_tokens),
            chance=draw_uniforms(options.sampling.seed, row.span, sample, row.max_tokens),
            depths=DepthStats([self.rule.steps]),
            canary=Canary(options.levels, row.numbers) if options.levels is not None else None,
            on_alarm=options.on_alarm,
        )
