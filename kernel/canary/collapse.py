"""The error of a generation that collapsed."""

from __future__ import annotations

from ledger.errors import ProviderBadOutput


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
