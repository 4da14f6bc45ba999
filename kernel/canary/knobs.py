"""From how close a collapse is to how the next token is computed: deeper, and less free to repeat."""

from __future__ import annotations

from dataclasses import dataclass

CALM = 0.2  # clean runs pass this now and then: below it nothing changes, and the fast path stays the fast path
MOST_STEPS = 2  # a looped model that was trained with T steps gains little beyond T + 2, and may lose
MOST_PENALTY = 1.3  # factor on the base; CTRL's value


@dataclass(frozen=True, slots=True)
class Knobs:
    """``extra_steps`` loops more than the exit policy asks for, the exit quantile ``q`` (0 to 1; 1 means full depth),
    and ``repetition_penalty`` (1 means none)."""

    extra_steps: int
    q: float
    repetition_penalty: float


def knobs(proximity: float, *, q: float = 0.5, repetition_penalty: float = 1.0) -> Knobs:
    """How to compute the next token at this ``proximity``; ``q`` and ``repetition_penalty`` are what is set.

    Every knob only grows with ``proximity``. Raises ``ValueError`` outside [0, 1].
    """
    if not 0.0 <= proximity <= 1.0:
        raise ValueError(f"proximity {proximity} is not in [0, 1]")
    turn = max(proximity - CALM, 0.0) / (1.0 - CALM)
    return Knobs(
        extra_steps=round(MOST_STEPS * turn),
        q=q + max(1.0 - q, 0.0) * turn,
        repetition_penalty=repetition_penalty * (1.0 + (MOST_PENALTY - 1.0) * turn),
    )
