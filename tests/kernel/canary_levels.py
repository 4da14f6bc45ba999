"""Levels that stay as they are when the shipped ones are calibrated anew."""

from __future__ import annotations

from kernel.canary import Baseline, Levels

NORMAL = {  # about what a small code model does: mean, deviation, weight
    "repeat": (0.40, 0.15, 0.2),
    "echo": (0.20, 0.20, 0.2),
    "copy": (1.00, 1.30, 0.6),
    "loop": (0.05, 0.40, 0.5),
    "prompt": (0.50, 1.50, 0.1),
    "margin": (1.30, 0.60, 0.3),
    "entropy": (0.50, 0.40, 0.4),
    "surprise": (0.40, 0.30, 0.4),
}
LEVELS = Levels(
    bias=-4.0,
    alarm=0.88,
    patience=4,
    features={name: Baseline(mean=m, deviation=d, weight=w) for name, (m, d, w) in NORMAL.items()},
)
