"""Answers requests of the provider protocol (infill, diverge, weigh, chat) with a loaded engine. Blocking."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kernel.canary import CollapseDetected, Levels
from kernel.cancel import CancelToken
from kernel.engine.cache.packing import Row, share_prefix
from kernel.engine.decoding.answer import COLLAPSED, GeneratedAnswer, OnAlarm
from kernel.engine.decoding.decode import OnToken
from kernel.engine.decoding.prompt import chat_prompt, infill_prompt
from kernel.engine.decoding.sampling import SamplingOptions
from kernel.engine.decoding.tokenizer import Vocabulary
from kernel.engine.engine import DecodeOptions, DecodeRequest, Engine
from kernel.engine.settings import LocalSettings
from kernel.policy import InfillFamily
from kernel.provider import (
    DivergeRequest,
    Infill,
    InfillAnswer,
    InfillRequest,
    InfillSpan,
    Limits,
    Message,
    Usage,
    WeighAnswer,
    WeighRequest,
)
from ledger.errors import ProviderBadOutput

EXTRA_TOKENS = 8
"""Tokens that an answer of ``diverge`` may be longer than the text it replaces."""


@dataclass(frozen=True, slots=True)
class InfillPrompts:
    """Tokenised holes: the prompts, the length of each prefix that other prompts may share, and the texts of the holes
    (empty where a request has none)."""

    prompts: list[list[int]]
    prefixes: list[int]
    texts: list[list[int]]

    @property
    def tokens(self) -> int:
        """Number of prompt tokens."""
        return sum(map(len, self.prompts))


@dataclass(frozen=True, slots=True)
class RequestHandler:
    """An engine with the owner's settings and the model's canary levels.

    ``room`` is the maximum number of tokens of a prompt and its answer together; a request that needs more raises
    ``ProviderBadOutput``.
    """

    engine: Engine
    settings: LocalSettings
    levels: Levels
    room: int

    def fill(self, family: InfillFamily, request: InfillRequest, cancel: CancelToken) -> InfillAnswer:
        """Fills all spans as one batch; the common prefix of their prompts is computed once.

        Raises ``CollapseDetected`` when every answer has collapsed.
        """
        holes = self._tokenise(family, request.spans)
        trunk, rows = self._rows(holes, [span.max_tokens for span in request.spans])
        options = DecodeOptions(
            sampling=SamplingOptions(request.temperature, request.top_p, request.seed),
            levels=self._watched_levels,
            on_alarm=self._on_alarm_of_many,
            speculate=self.settings.speculate == "auto",
            caution=request.caution_milli / 1000,
        )
        stops = [span.stop for span in request.spans]
        answers = self.engine.answer(DecodeRequest(trunk, rows, stops, options, samples=request.samples, cancel=cancel))
        return _infill_answer(answers, holes.tokens)

    def diverge(self, family: InfillFamily, request: DivergeRequest, cancel: CancelToken) -> InfillAnswer:
        """Answers that differ from the current text of each hole: one batch, greedy after the branch point.

        Raises ``CollapseDetected`` when every answer has collapsed.
        """
        holes = self._tokenise(family, request.spans, request.texts)
        limits = [max(s.max_tokens, len(t) + EXTRA_TOKENS) for s, t in zip(request.spans, holes.texts, strict=True)]
        trunk, rows = self._rows(holes, limits)
        options = DecodeOptions(
            sampling=SamplingOptions(),
            levels=self._watched_levels,
            on_alarm=self._on_alarm_of_many,
            caution=request.caution_milli / 1000,
        )
        stops = [span.stop for span in request.spans]
        wanted = DecodeRequest(trunk, rows, stops, options, samples=request.answers, cancel=cancel)
        answers = self.engine.diverge(wanted, holes.texts, line_end_tokens(self.engine.vocabulary))
        return _infill_answer(answers, holes.tokens + sum(map(len, holes.texts)))

    def weigh(self, family: InfillFamily, request: WeighRequest, cancel: CancelToken) -> WeighAnswer:
        """Log-probability of each text in its hole, followed by the end of the answer or of the line; one batch."""
        plain = self._tokenise(family, request.spans, request.texts)
        holes = replace(plain, prompts=[[*p, *text] for p, text in zip(plain.prompts, plain.texts, strict=True)])
        trunk, rows = self._rows(holes, [1] * len(holes.prompts))
        ends = sorted(line_end_tokens(self.engine.vocabulary))
        logprobs = self.engine.weigh(trunk, rows, list(map(len, holes.texts)), ends, cancel)
        usage = Usage(tokens_in=holes.tokens, tokens_out=0)
        return WeighAnswer(logprobs_milli=tuple(round(1000 * logprob) for logprob in logprobs), usage=usage)

    def reply(
        self, conversation: Sequence[Message], limits: Limits, on_token: OnToken, cancel: CancelToken
    ) -> tuple[GeneratedAnswer, int]:
        """The assistant's next turn, and the number of prompt tokens.

        Raises ``CollapseDetected`` when the answer has collapsed and ``canary`` is ``stop``.
        """
        settings, prompt = self.settings, chat_prompt(self.engine.vocabulary, conversation)
        self._check_room(len(prompt) + limits.max_tokens)
        trunk, rows = share_prefix([prompt], [0], [limits.max_tokens])
        sampling = SamplingOptions(limits.temperature, limits.top_p, limits.seed or 0)
        if limits.prose:
            sampling = replace(sampling, penalty=settings.repetition_penalty, ngram=settings.no_repeat_ngram)
        options = DecodeOptions(
            sampling=sampling,
            levels=self._watched_levels,
            on_alarm="raise" if settings.canary == "stop" else "observe",
            speculate=settings.speculate == "auto",
            adapt=settings.adapt,
            caution=limits.caution_milli / 1000,
        )
        (answer,) = self.engine.answer(
            DecodeRequest(trunk, rows, [limits.stop], options, on_token=on_token, cancel=cancel)
        )
        return answer, len(prompt)

    @property
    def _watched_levels(self) -> Levels | None:
        return self.levels if self.settings.canary != "off" else None

    @property
    def _on_alarm_of_many(self) -> OnAlarm:
        """Of several answers only the collapsed one ends."""
        return "stop" if self.settings.canary == "stop" else "observe"

    def _tokenise(self, family: InfillFamily, spans: Sequence[InfillSpan], texts: Sequence[str] = ()) -> InfillPrompts:
        vocabulary = self.engine.vocabulary
        prompts = [infill_prompt(vocabulary, family, span) for span in spans]
        numbers = [vocabulary.encode(text) if text else [] for text in texts]
        return InfillPrompts([tokens for tokens, _ in prompts], [prefix for _, prefix in prompts], numbers)

    def _rows(self, holes: InfillPrompts, limits: Sequence[int]) -> tuple[list[int], list[Row]]:
        """The shared trunk and one row a prompt, with ``limits[i]`` answer tokens."""
        for prompt, limit in zip(holes.prompts, limits, strict=True):
            self._check_room(len(prompt) + limit)
        return share_prefix(holes.prompts, holes.prefixes, limits, again=True)

    def _check_room(self, tokens: int) -> None:
        if tokens > self.room:
            raise ProviderBadOutput(
                f"The prompt and its answer need {tokens} tokens; {self.room} is what the model takes.",
                provider="local",
                remedy="Ask with less context, or raise kernel.local.context where it is set.",
            )


def line_end_tokens(vocabulary: Vocabulary) -> frozenset[int]:
    """Tokens that end an answer or a line."""
    return vocabulary.ending | {vocabulary.encode(line)[0] for line in ("\n", "\n\n")}


def _infill_answer(answers: Sequence[GeneratedAnswer], tokens_in: int) -> InfillAnswer:
    """Raises ``CollapseDetected`` when every answer has collapsed."""
    written = sum(one.answer.tokens for one in answers)
    if answers and all(one.answer.finish == COLLAPSED for one in answers):
        last = answers[0].last
        raise CollapseDetected(last.proximity, last.signal, written)
    usage = Usage(tokens_in=tokens_in, tokens_out=written)
    return InfillAnswer(infills=tuple(map(_infill, answers)), usage=usage)


def _infill(answer: GeneratedAnswer) -> Infill:
    text = answer.answer
    return Infill(
        span=answer.span,
        text=text.text,
        logprob_milli=text.logprob_milli,
        finish="stop" if text.finish == "stop" else "collapsed" if text.finish == COLLAPSED else "length",
        report=answer.report(),
    )
