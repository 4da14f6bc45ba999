"""One answer during decoding: text and stop conditions, canary state, and depth statistics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import Literal

from kernel.canary import Canary, CollapseDetected, DecodingAdjustment, TokenStep, adjust_decoding
from kernel.canary.reading import QUIET, CanaryReading
from kernel.engine.decoding.tokenizer import REPLACEMENT, Vocabulary
from kernel.engine.model.exits import REASON, ExitTracker
from kernel.provider import Report

OnAlarm = Literal["observe", "stop", "raise"]
"""Effect of a collapse: ``observe`` reports it, ``stop`` ends this answer alone, ``raise`` ends the whole batch."""
COLLAPSED = "collapsed"


def cut_at_stop(text: str, stops: Sequence[str]) -> str | None:
    """``text`` up to the first stop string, or None without one."""
    found = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return text[: min(found)] if found else None


def stable_prefix(text: str, stops: Sequence[str]) -> str:
    """The part of an unfinished answer that no later token can change: safe to stream."""
    text = text.rstrip(REPLACEMENT)
    held = 0
    for stop in stops:
        for length in range(min(len(stop) - 1, len(text)), held, -1):
            if text.endswith(stop[:length]):
                held = length
                break
    return text[: len(text) - held]


@dataclass(slots=True)
class AnswerText:
    """The text of an answer: decoded tokens, ended by a stop string, a special token or the token limit."""

    stops: tuple[str, ...]
    max_tokens: int
    numbers: list[int] = field(default_factory=list)
    logprob: float = 0.0
    tokens: int = 0  # generated, including the token that ended the answer
    text: str = ""
    finish: str = ""  # "", "stop", "length", or "collapsed" by the canary

    def add(self, number: int, logprob: float, vocabulary: Vocabulary) -> None:
        """Adds a token and checks whether the answer is finished."""
        self.tokens += 1
        self.logprob += logprob
        if vocabulary.is_end(number):
            self.text, self.finish = self.text.rstrip(REPLACEMENT), "stop"
            return
        self.numbers.append(number)
        self.text = vocabulary.decode(self.numbers)
        ended = cut_at_stop(self.text, self.stops)
        if ended is not None:
            self.text, self.finish = ended, "stop"
        elif self.tokens >= self.max_tokens:
            self.text, self.finish = self.text.rstrip(REPLACEMENT), "length"

    @property
    def logprob_milli(self) -> int:
        """Mean log-probability per token times 1000."""
        return round(1000 * self.logprob / self.tokens) if self.tokens else 0


@dataclass(slots=True)
class DepthStats:
    """Loop depths of an answer's tokens. ``per_token`` starts with the first token, which always runs at full depth, as
    the prompt does.
    """

    per_token: list[int]
    reasons: Counter[str] = field(default_factory=lambda: Counter({"depth": 1}))
    contraction: float = 0.0
    contracted: int = 0

    def add(self, depth: int, reason: str = "depth", contraction: float = float("nan")) -> None:
        """Adds the depth of one token, why it left the loop, and its contraction (NaN when unknown)."""
        self.per_token.append(depth)
        self.reasons[reason] += 1
        if not isnan(contraction):
            self.contraction += contraction
            self.contracted += 1

    def add_pass(self, walk: ExitTracker, row: int) -> None:
        """Adds the token of ``row`` from a pass with early exit."""
        reason = REASON[walk.rule.kind] if bool(walk.left_early[row]) else "depth"
        self.add(int(walk.depth[row]), reason, float(walk.contraction[row]))


@dataclass(slots=True)
class GeneratedAnswer:
    """An answer and its statistics. ``on_alarm``: effect of a collapse. ``worst``: the reading with the highest
    proximity.

    ``given``: tokens that the answer is forced to begin with. ``chance``: the uniform random number of each token.
    """

    span: int
    sample: int
    answer: AnswerText
    chance: Sequence[float]
    depths: DepthStats
    canary: Canary | None = None
    on_alarm: OnAlarm = "observe"
    given: tuple[int, ...] = ()
    last: CanaryReading = QUIET
    worst: CanaryReading = QUIET
    collapsed: bool = False

    def add(self, step: TokenStep, vocabulary: Vocabulary) -> None:
        """Adds one token. Raises ``CollapseDetected`` when ``on_alarm`` is ``raise`` and the answer has collapsed."""
        self.answer.add(step.token, step.logprob or 0.0, vocabulary)
        if self.canary is None:
            return
        self.last = self.canary.push(step)
        if self.last.proximity >= self.worst.proximity:
            self.worst = self.last
        if not self.last.alarm:
            return
        self.collapsed = True
        if self.on_alarm == "raise":
            raise CollapseDetected(self.last.proximity, self.last.signal, self.answer.tokens)
        if self.on_alarm == "stop":
            self.answer.finish = COLLAPSED

    def adjustment(self, q: float, penalty: float) -> DecodingAdjustment:
        """Decoding settings adjusted to the last reading."""
        return adjust_decoding(self.last.proximity, q=q, repetition_penalty=penalty)

    def report(self) -> Report:
        """The statistics as a report of the provider protocol."""
        depths = self.depths
        return Report(
            depth_milli=round(1000 * sum(depths.per_token) / len(depths.per_token)),
            contraction_milli=round(1000 * depths.contraction / depths.contracted) if depths.contracted else None,
            exit=depths.reasons.most_common(1)[0][0],
            proximity_milli=round(1000 * self.worst.proximity),
            signal=self.worst.signal,
            alarm=self.collapsed,
        )
