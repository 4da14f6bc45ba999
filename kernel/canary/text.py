"""The same features on finished text, for models of which only the text comes back."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kernel.canary.levels import TEXT, Levels, load_levels
from kernel.canary.step import QUIET, Reading, Step
from kernel.canary.watch import Canary

# Names and numbers, signs, line ends. Spaces are left out. A name is one piece, however many words it has: cut at its
# underscores, rows like `a_limit = settings.a_limit,` would hold little that is new. Every piece has an end, for
# "aaaa..." must become many, and a script without spaces between its words is cut by character.
UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
PIECE = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]{{1,24}}|[^\w\s]{{1,16}}|\n+")


def pieces(text: str) -> list[str]:
    """``text`` cut into word-like pieces, about as long as tokens."""
    return PIECE.findall(text)


def text_steps(text: str, prompt: str = "", logprobs: Sequence[float] | None = None) -> tuple[list[int], list[Step]]:
    """Prompt and text as numbers, each piece its own; the second as steps.

    ``logprobs`` (nats, one for each token of the provider) are laid over the pieces by their place in the text.
    """
    numbers: dict[str, int] = {}

    def number(found: Sequence[str]) -> list[int]:
        return [numbers.setdefault(piece, len(numbers)) for piece in found]

    before, after = number(pieces(prompt)), number(pieces(text))
    if not logprobs:
        return before, [Step(token, None, None, None) for token in after]
    places = (at * len(logprobs) // len(after) for at in range(len(after)))
    return before, [Step(token, None, None, logprobs[place]) for token, place in zip(after, places, strict=True)]


def read_text(
    text: str, prompt: str = "", logprobs: Sequence[float] | None = None, *, levels: Levels | None = None
) -> Reading:
    """The worst reading over the text; ``alarm`` when any place of it raised one.

    Without ``logprobs`` garbage is seen only where it repeats: words alone do not tell what a model found absurd.
    """
    before, steps = text_steps(text, prompt, logprobs)
    canary = Canary(levels or load_levels(TEXT), before)
    worst, alarm = QUIET, False
    for step in steps:
        reading = canary.push(step)
        alarm = alarm or reading.alarm
        if reading.proximity > worst.proximity:
            worst = reading
    return worst._replace(alarm=alarm)
