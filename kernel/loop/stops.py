"""Where an answer ends: the first stop string, a control token, or the token limit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kernel.loop.tokenizer import REPLACEMENT, Vocabulary


def cut(text: str, stops: Sequence[str]) -> str | None:
    """``text`` up to the first stop string, or ``None`` when it holds none."""
    found = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return text[: min(found)] if found else None


def settled(text: str, stops: Sequence[str]) -> str:
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
class Answer:
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
        ended = cut(self.text, self.stops)
        if ended is not None:
            self.text, self.finish = ended, "stop"
        elif self.tokens >= self.max_tokens:
            self.text, self.finish = self.text.rstrip(REPLACEMENT), "length"

    @property
    def logprob_milli(self) -> int:
        """Mean log-probability per token times 1000."""
        return round(1000 * self.logprob / self.tokens) if self.tokens else 0
