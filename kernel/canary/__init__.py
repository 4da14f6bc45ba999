"""The decode canary: notices, token by token, that a model's generation is collapsing.

Three ways of collapsing are known to it: a loop (the same thing again and again), an echo (a passage that was already
told), and garbage (tokens that the model itself finds absurd). ``features`` measures, ``levels`` says what is normal
for a model, ``watch`` folds both into one number, ``text`` does the same on finished text. Nothing here imports torch.
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
