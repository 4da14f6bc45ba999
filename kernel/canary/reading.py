"""What the canary is told about a token, and what it answers."""

from __future__ import annotations

from typing import NamedTuple

from ledger.errors import ProviderBadOutput


class TokenStep(NamedTuple):
    """One generated token, with the model's own distribution at that place: before temperature, before any penalty.

    ``margin`` is the probability of the best token minus that of the second (0 to 1), ``entropy`` is in nats, and
    ``logprob`` is the log-probability in nats of the token that was chosen. ``None`` where a source does not tell.
    """

    token: int
    margin: float | None
    entropy: float | None
    logprob: float | None


class CanaryReading(NamedTuple):
    """How close to a collapse the generation is.

    ``proximity`` is in [0, 1], ``signal`` names the feature that drove it (``none`` when no feature is above normal),
    and ``alarm`` says that decoding should stop.
    """

    proximity: float
    signal: str
    alarm: bool


QUIET = CanaryReading(0.0, "none", False)


class CollapseDetected(ProviderBadOutput):
    """Decoding was stopped: what came was no longer an answer.

    ``proximity`` is that of the last token, ``signal`` the feature that drove it, ``tokens`` how many were generated.
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
