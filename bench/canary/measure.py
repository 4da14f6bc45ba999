"""Replay generations through the canary and count what it got right.

A true alarm is one within ``IN_TIME`` tokens from the onset on. An alarm before the onset is *early* and counts as a
miss; an alarm on a clean generation is false. A generation that was stopped is looked at no further.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bench.canary.corpus import Sample
from kernel.canary import Canary, Levels, TokenStep
from kernel.canary.text import split_pieces, steps_of_text

IN_TIME = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """``onset`` and ``alarm`` are indices of tokens (or of pieces of text); ``None``: there was none."""

    sample: Sample
    onset: int | None
    alarm: int | None
    signal: str

    @property
    def delay(self) -> int | None:
        """Tokens of the collapse that were let out, the one that raised the alarm included; below 1: early."""
        return None if self.alarm is None or self.onset is None else self.alarm - self.onset + 1

    @property
    def in_time(self) -> bool:
        return self.delay is not None and 1 <= self.delay <= IN_TIME


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Counts over some outcomes; ``delays`` of all alarms that were not early, sorted."""

    clean: int
    false: int
    collapsed: int
    true: int
    late: int
    early: int
    missed: int
    delays: tuple[int, ...]

    @property
    def true_rate(self) -> float:
        return self.true / max(self.collapsed, 1)

    @property
    def false_rate(self) -> float:
        return self.false / max(self.clean, 1)

    def delay(self, share: float) -> int:
        """The quantile ``share`` of the delays (0 when there are none)."""
        return self.delays[min(int(share * len(self.delays)), len(self.delays) - 1)] if self.delays else 0


def first_alarm(levels: Levels, prompt: Sequence[int], steps: Iterable[TokenStep]) -> tuple[int | None, str]:
    """Index of the token that raised the alarm, and the signal."""
    canary = Canary(levels, prompt)
    for at, step in enumerate(steps):
        reading = canary.push(step)
        if reading.alarm:
            return at, reading.signal
    return None, "none"


def proximities(sample: Sample, levels: Levels) -> list[float]:
    """The proximity at every token."""
    canary = Canary(levels, sample.prompt)
    return [canary.push(step).proximity for step in sample.told]


def first_held(line: Sequence[float], level: float, patience: int) -> int | None:
    """Where ``line`` first has been at ``level`` or over it for ``patience`` tokens in a row."""
    over = 0
    for at, proximity in enumerate(line):
        over = over + 1 if proximity >= level else 0
        if over >= patience:
            return at
    return None


def replay(sample: Sample, levels: Levels) -> Outcome:
    """Token by token, as in decoding."""
    alarm, signal = first_alarm(levels, sample.prompt, sample.told)
    return Outcome(sample=sample, onset=sample.onset, alarm=alarm, signal=signal)


def replay_text(sample: Sample, levels: Levels, *, logprobs: bool) -> Outcome:
    """As ``read_text`` sees it; places are pieces of text."""
    known = [step.logprob or 0.0 for step in sample.told] if logprobs else None
    prompt, steps = steps_of_text(sample.text, sample.prompt_text, known)
    onset = None if sample.onset_char is None else len(split_pieces(sample.text[: sample.onset_char]))
    alarm, signal = first_alarm(levels, prompt, steps)
    return Outcome(sample=sample, onset=onset, alarm=alarm, signal=signal)


def figures(outcomes: Iterable[Outcome]) -> Figures:
    found = list(outcomes)
    collapsed = [outcome for outcome in found if not outcome.sample.clean]
    delays = sorted(outcome.delay for outcome in collapsed if outcome.delay is not None)
    clean = [outcome for outcome in found if outcome.sample.clean]
    return Figures(
        clean=len(clean),
        false=sum(outcome.alarm is not None for outcome in clean),
        collapsed=len(collapsed),
        true=sum(outcome.in_time for outcome in collapsed),
        late=sum(delay > IN_TIME for delay in delays),
        early=sum(delay < 1 for delay in delays),
        missed=len(collapsed) - len(delays),
        delays=tuple(delay for delay in delays if delay >= 1),
    )
