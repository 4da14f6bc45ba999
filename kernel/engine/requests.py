"""What a caller asks, as work for the engine; and the engine's answers, as what a caller is given."""

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
from kernel.engine.engine import AnswerOptions, AnswerRequest, Engine
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
"""Tokens more than what stands in a hole: an answer may be a little longer."""


@dataclass(frozen=True, slots=True)
class InfillPrompts:
    """Prompts as tokens, how many tokens of each may be common to all, and what stands in the holes."""

    prompts: list[list[int]]
    prefixes: list[int]
    texts: list[list[int]]

    @property
    def tokens(self) -> int:
        return sum(map(len, self.prompts))

    def rows(self, limits: Sequence[int], room: int) -> tuple[list[int], list[Row]]:
        """One batch of them, ``limits[i]`` tokens behind each. Raises ``ProviderBadOutput`` where one is too long."""
        for prompt, limit in zip(self.prompts, limits, strict=True):
            check_room(len(prompt) + limit, room)
        return share_prefix(self.prompts, self.prefixes, limits, again=True)


def tokenise_spans(
    vocabulary: Vocabulary, family: InfillFamily, spans: Sequence[InfillSpan], texts: Sequence[str] = ()
) -> InfillPrompts:
    asked = [infill_prompt(vocabulary, family, span) for span in spans]
    written = [vocabulary.encode(text) if text else [] for text in texts]
    return InfillPrompts([numbers for numbers, _ in asked], [prefix for _, prefix in asked], written)


def line_end_tokens(vocabulary: Vocabulary) -> frozenset[int]:
    """Tokens behind which a model is done with a line: with the answer, or with the next line."""
    return vocabulary.ending | {vocabulary.encode(line)[0] for line in ("\n", "\n\n")}


def fill(
    engine: Engine,
    family: InfillFamily,
    request: InfillRequest,
    *,
    settings: LocalSettings,
    levels: Levels,
    room: int,
    cancel: CancelToken,
) -> InfillAnswer:
    """All spans as one batch; the common beginning of their prompts is computed once.

    ``room``: most tokens of a prompt and its answer. Raises ``CollapseDetected`` where every answer has collapsed.
    """
    limits = [span.max_tokens for span in request.spans]
    holes = tokenise_spans(engine.vocabulary, family, request.spans)
    trunk, rows = holes.rows(limits, room)
    manner = AnswerOptions(
        sampling=SamplingOptions(request.temperature, request.top_p, request.seed),
        levels=levels if settings.canary != "off" else None,
        on_alarm=ending_one(settings),
        speculate=settings.speculate == "auto",
        caution=request.caution_milli / 1000,
    )
    trails = engine.answer(
        AnswerRequest(
            trunk, rows, [span.stop for span in request.spans], manner, samples=request.samples, cancel=cancel
        )
    )
    return _answer(trails, holes.tokens)


def diverge(
    engine: Engine,
    family: InfillFamily,
    request: DivergeRequest,
    *,
    settings: LocalSettings,
    levels: Levels,
    room: int,
    cancel: CancelToken,
) -> InfillAnswer:
    """All spans as one batch, each read once with what stands there; greedy behind the turn. See ``fill``."""
    holes = tokenise_spans(engine.vocabulary, family, request.spans, request.texts)
    limits = [max(s.max_tokens, len(t) + EXTRA_TOKENS) for s, t in zip(request.spans, holes.texts, strict=True)]
    trunk, rows = holes.rows(limits, room)
    manner = AnswerOptions(
        sampling=SamplingOptions(),
        levels=levels if settings.canary != "off" else None,
        on_alarm=ending_one(settings),
        caution=request.caution_milli / 1000,
    )
    stops = [span.stop for span in request.spans]
    ask = AnswerRequest(trunk, rows, stops, manner, samples=request.answers, cancel=cancel)
    trails = engine.diverge(ask, holes.texts, line_end_tokens(engine.vocabulary))
    return _answer(trails, holes.tokens + sum(map(len, holes.texts)))


def ending_one(settings: LocalSettings) -> OnAlarm:
    """Of several answers one that collapses is ended alone."""
    return "stop" if settings.canary == "stop" else "observe"


def weigh(
    engine: Engine, family: InfillFamily, request: WeighRequest, *, room: int, cancel: CancelToken
) -> WeighAnswer:
    """All texts in their holes as one batch. A text ends where the model would end it, or go on to the next line."""
    read = tokenise_spans(engine.vocabulary, family, request.spans, request.texts)
    holes = replace(read, prompts=[[*p, *text] for p, text in zip(read.prompts, read.texts, strict=True)])
    trunk, rows = holes.rows([1] * len(holes.prompts), room)
    ends = sorted(line_end_tokens(engine.vocabulary))
    found = engine.weigh(trunk, rows, list(map(len, holes.texts)), ends, cancel)
    usage = Usage(tokens_in=holes.tokens, tokens_out=0)
    return WeighAnswer(logprobs_milli=tuple(round(1000 * one) for one in found), usage=usage)


def _answer(trails: Sequence[GeneratedAnswer], read: int) -> InfillAnswer:
    """Raises ``CollapseDetected`` where nothing is left."""
    written = sum(t.answer.tokens for t in trails)
    if trails and all(trail.answer.finish == COLLAPSED for trail in trails):
        last = trails[0].last
        raise CollapseDetected(last.proximity, last.signal, written)
    usage = Usage(tokens_in=read, tokens_out=written)
    return InfillAnswer(infills=tuple(_infill(trail) for trail in trails), usage=usage)


def _infill(trail: GeneratedAnswer) -> Infill:
    answer = trail.answer
    return Infill(
        span=trail.span,
        text=answer.text,
        logprob_milli=answer.logprob_milli,
        finish="stop" if answer.finish == "stop" else "collapsed" if answer.finish == COLLAPSED else "length",
        report=trail.report(),
    )


def reply(
    engine: Engine,
    conversation: Sequence[Message],
    limits: Limits,
    *,
    settings: LocalSettings,
    levels: Levels,
    room: int,
    grown: OnToken,
    cancel: CancelToken,
) -> tuple[GeneratedAnswer, int]:
    """One answer to a conversation, and how many tokens that was. Raises ``CollapseDetected`` where that is set."""
    prompt = chat_prompt(engine.vocabulary, conversation)
    check_room(len(prompt) + limits.max_tokens, room)
    trunk, rows = share_prefix([prompt], [0], [limits.max_tokens])
    prose = limits.prose
    manner = AnswerOptions(
        sampling=SamplingOptions(
            limits.temperature,
            limits.top_p,
            limits.seed or 0,
            penalty=settings.repetition_penalty if prose else 1.0,
            ngram=settings.no_repeat_ngram if prose else 0,
        ),
        levels=levels if settings.canary != "off" else None,
        on_alarm="raise" if settings.canary == "stop" else "observe",
        speculate=settings.speculate == "auto",
        adapt=settings.adapt,
        caution=limits.caution_milli / 1000,
    )
    (trail,) = engine.answer(AnswerRequest(trunk, rows, [limits.stop], manner, grown=grown, cancel=cancel))
    return trail, len(prompt)


def check_room(tokens: int, room: int) -> None:
    if tokens > room:
        raise ProviderBadOutput(
            f"The prompt and its answer need {tokens} tokens; {room} is what the model takes.",
            provider="local",
            remedy="Ask with less context, or raise kernel.local.context where it is set.",
        )
