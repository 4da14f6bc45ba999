"""Decode canary: detects, token by token, that a generation is collapsing.

It knows three kinds of collapse: a loop (the same text again and again), an echo (a verbatim copy of an earlier
passage), and garbage (tokens that the model itself finds improbable). ``features`` are the measurements, ``levels`` the
normal values of a model, ``detector`` combines both into one proximity, ``text`` applies it to finished text. Nothing
here imports torch.
"""

from kernel.canary.detector import Canary, DecodingAdjustment, adjust_decoding
from kernel.canary.levels import Baseline, Levels, load_levels
from kernel.canary.reading import CanaryReading, CollapseDetected, TokenStep
from kernel.canary.text import read_text

__all__ = [
    "Baseline",
    "Canary",
    "CanaryReading",
    "CollapseDetected",
    "DecodingAdjustment",
    "Levels",
    "TokenStep",
    "adjust_decoding",
    "load_levels",
    "read_text",
]
