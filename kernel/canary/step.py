"""What the canary is told about a token, and what it answers."""

from __future__ import annotations

from typing import NamedTuple


class Step(NamedTuple):
    """One generated token, with the model's own distribution at that place: before temperature, before any penalty.

    ``margin`` is the probability of the best token minus that of the second (0 to 1), ``entropy`` is in nats, and
    ``logprob`` is the log-probability in nats of the token that was chosen. ``None`` where a source does not tell.
    """

    token: int
    margin: float | None
    entropy: float | None
    logprob: float | None


class Reading(NamedTuple):
    """How close to a collapse the generation is.

    ``proximity`` is in [0, 1], ``signal`` names the feature that drove it (``none`` when no feature is above normal),
    and ``alarm`` says that decoding should stop.
    """

    proximity: float
    signal: str
    alarm: bool


QUIET = Reading(0.0, "none", False)
