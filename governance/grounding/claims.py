"""The three claims recorded for an op: a sensor's condition, a strategy's change, and a model's replies. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime

from kernel.provider import Infill
from kernel.providers.reprompt.confidence import split_confidence
from ledger.clock import unstamp
from ledger.events.grounding import About, Band, ClaimMade, TrustKey, band_of
from ledger.sources import SOURCES
from ledger.vocabulary import Candidate, Operation, Source

ALL_BP = 10_000


def source_key(source: Source) -> TrustKey:
    return TrustKey(kind="source", name=source.value)


def goal_key(op: Operation) -> TrustKey:
    """The trust key of an op's goal: its closure check's kind."""
    return TrustKey(kind="goal", name=op.signals[0].closure.kind)


def condition(op: Operation, now: datetime) -> ClaimMade:
    """A sensor's claim that its condition exists and is worth an op, with the confidence of its surest signal."""
    surest = max(op.signals, key=lambda signal: signal.confidence_bp)
    seen_at = unstamp(surest.seen_at) if surest.seen_at else None
    evidence = surest.evidence[0].evidence if surest.evidence else surest.closure.kind
    return ClaimMade(
        about=About.CONDITION,
        claim=op.goal,
        evidence=evidence,
        confidence_bp=surest.confidence_bp,
        source=op.origin.value,
        keys=() if SOURCES[op.origin].is_request else (source_key(op.origin),),
        band=band_of(seen_at, now=now, same_commit=surest.base == op.base),
    )


def change(
    op: Operation, candidate: Candidate, *, route: str, evidence: str, confidence_bp: int | None, way: str
) -> ClaimMade:
    """A strategy's claim that a candidate meets the goal. ``way``: the method within the strategy."""
    strategies = dict.fromkeys((candidate.strategy, f"{candidate.strategy}/{way}" if way else candidate.strategy))
    return ClaimMade(
        about=About.CHANGE,
        claim=f"{candidate.strategy} on {', '.join(candidate.paths[:3]) or 'nothing'}",
        evidence=evidence or candidate.rationale,
        confidence_bp=confidence_bp,
        source=f"{candidate.provider} {candidate.model}",
        keys=(
            TrustKey(kind="provider", name=candidate.provider),
            TrustKey(kind="route", name=route),
            *(TrustKey(kind="strategy", name=name) for name in strategies),
            goal_key(op),
        ),
        band=Band.NOW,
    )


def reply(*, provider: str, model: str, purpose: str, answer: str, confidence_bp: int | None) -> ClaimMade:
    """A model's claim that its answer is useful. ``answer``: hash of the blob that holds it."""
    return ClaimMade(
        about=About.REPLY,
        claim=purpose,
        evidence=f"blob {answer}",
        confidence_bp=confidence_bp,
        source=f"{provider} {model}",
        keys=(TrustKey(kind="reply", name=f"{provider}/{purpose.partition(':')[0]}"),),
        band=Band.NOW,
    )


def stated_bp(text: str) -> int | None:
    """The confidence stated in an answer's closing line; None without one."""
    _, stated = split_confidence(text)
    return None if stated is None else round(ALL_BP * min(max(stated, 0.0), 1.0))


def likeliest_bp(infills: Sequence[Infill]) -> int | None:
    """Mean token probability of the likeliest infill; None when the model reports no probabilities."""
    logprobs = [infill.logprob_milli for infill in infills if infill.logprob_milli < 0]
    return round(ALL_BP * math.exp(max(logprobs) / 1000)) if logprobs else None


def preferred_bp(gain_milli: int | None, others: Sequence[int | None]) -> int | None:
    """Probability that the chosen one of several repairs is right, from the model's log-probability gains.

    A gain is relative to the original text, which has gain 0. The result is the softmax share of the chosen repair
    among all repairs and the original. None when the model was not queried.
    """
    if gain_milli is None:
        return None
    gains = [gain_milli, 0, *(gain for gain in others if gain is not None)]
    top = max(gains)
    return round(ALL_BP * math.exp((gain_milli - top) / 1000) / sum(math.exp((g - top) / 1000) for g in gains))
