"""Input and output of the canary for one token, and the error of a collapsed generation."""

from __future__ import annotations

from typing import NamedTuple

from ledger.errors import ProviderBadOutput


class TokenStep(NamedTuple):
    """One generated token with the model's own distribution at that place, before temperature and penalties.

    ``margin`` is the probability of the best token minus that of the second (0 to 1), ``entropy`` is in nats,
    ``logprob`` is the log-probability of the chosen token in nats. ``None`` where the source does not report it.
    """

    token: int
    margin: float | None
    entropy: float | None
    logprob: float | None


class CanaryReading(NamedTuple):
    """How close the generation is to a collapse.

    ``proximity`` is in [0, 1], ``signal`` names the feature that drives it (``none`` when no feature is above normal),
    ``alarm`` means that decoding should stop.
    """

    proximity: float
    signal: str
    alarm: bool


QUIET = CanaryReading(0.0, "none", False)


class CollapseDetected(ProviderBadOutput):
    """Decoding was stopped because the generation collapsed.

    ``proximity`` is that of the last token, ``signal`` the feature that drives it, ``tokens`` the number of generated
    tokens.
    """

    def __init__(self, proximity: float, signal: str, tokens: int, *, provider: str = "local") -> None:
        super().__init__(
            f"The generation collapsed after {tokens} tokens ({signal}, proximity {proximity:.2f}).",
            provider=provider,
            remedy="What it wrote is discarded: gather fresh evidence and ask again, or use another model.",
        )
        self.proximity = proximity
        self.signal = signal
        self.tokens = tokens
