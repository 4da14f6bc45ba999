"""One answer while it is written: its text, what the canary says of it, and how deep its tokens went."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan
from typing import TYPE_CHECKING, Literal

from kernel.canary import Canary, CollapseDetected, DecodingAdjustment, TokenStep, adjust_decoding
from kernel.canary.reading import QUIET, CanaryReading
from kernel.engine.decoding.tokenizer import REPLACEMENT, Vocabulary
from kernel.engine.model.exits import REASON, ExitTracker
from kernel.provider import Report

if TYPE_CHECKING:
    from collections.abc import Sequence


def cut_at_stop(text: str, stops: Sequence[str]) -> str | None:
    """``text`` up to the first stop string, or ``None`` when it holds none."""
    found = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return text[: min(found)] if found else None


def stable_prefix(text: str, stops: Sequence[str]) -> str:
    """The part of an unfinished answer that no later token can change: safe to show already."""
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
    """One answer as it grows."""

    stops: tuple[str, ...]
    max_tokens: int
    numbers: list[int] = field(default_factory=list)
    logprob: float = 0.0
    tokens: int = 0  # generated, with the one that ended it
    text: str = ""
    finish: str = ""  # "", "stop", "length", or "collapsed" by the canary

    def add(self, number: int, logprob: float, vocabulary: Vocabulary) -> None:
        """Take one more token and see whether the answer is finished."""
        self.tokens += 1
        self.logprob += logprob
        if vocabulary.ends(number):
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


OnAlarm = Literal["observe", "stop", "raise"]
"""What a collapse does: it is reported; it ends the answer, and those beside it go on; it ends the call."""
COLLAPSED = "collapsed"


@dataclass(slots=True)
class DepthStats:
    """How deep tokens went. A prompt always goes to full depth, so the first token of an answer does: it stands there
    from the beginning."""

    per_token: list[int]
    reasons: Counter[str] = field(default_factory=lambda: Counter({"depth": 1}))
    contraction: float = 0.0
    contracted: int = 0

    def add(self, depth: int, reason: str = "depth", contraction: float = float("nan")) -> None:
        self.per_token.append(depth)
        self.reasons[reason] += 1
        if not isnan(contraction):
            self.contraction += contraction
            self.contracted += 1

    def add_walk(self, walk: ExitTracker, row: int) -> None:
        reason = REASON[walk.rule.kind] if bool(walk.left[row]) else "depth"
        self.add(int(walk.depth[row]), reason, float(walk.contraction[row]))


@dataclass(slots=True)
class GeneratedAnswer:
    """``on_alarm``: what a collapse does. ``worst`` is the reading that came closest to one.

    ``given``: tokens that the answer begins with, whatever the model would have written.
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
        """Take one more token. Raises ``CollapseDetected`` where a collapse does that."""
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

    def turned(self, q: float, penalty: float) -> DecodingAdjustment:
        """What the last reading makes of the settings."""
        return adjust_decoding(self.last.proximity, q=q, repetition_penalty=penalty)

    def report(self) -> Report:
        depths = self.depths
        return Report(
            depth_milli=round(1000 * sum(depths.per_token) / len(depths.per_token)),
            contraction_milli=round(1000 * depths.contraction / depths.contracted) if depths.contracted else None,
            exit=depths.reasons.most_common(1)[0][0],
            proximity_milli=round(1000 * self.worst.proximity),
            signal=self.worst.signal,
            alarm=self.collapsed,
        )
