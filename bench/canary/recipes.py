"""How every generation of the corpus is begun: which prompt, what already stands in the answer, how hot it is sampled.

The recipe says what is *meant* to happen; ``label`` says afterwards what did.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bench.canary.prompts import PROMPTS
from bench.canary.seeds import ASKED, LINES, PASSAGES

Schedule = tuple[tuple[int, float], ...]  # (from which token of the answer, temperature), ascending, first from 0

CLEAN_HEATS = (0.0, 0.3, 0.7, 0.7, 0.9)
GARBAGE_HEATS = (1.8, 2.2, 3.0, 5.0)
TOLD = ((2, 0.0), (3, 0.3), (4, 0.0), (6, 0.5))  # how often a line already stands there, and the temperature
CLEAN_TOKENS, LOOP_TOKENS, ECHO_TOKENS, GARBAGE_TOKENS = 256, 160, 256, 72


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One generation. ``group`` is what must not stand on both sides of the split; ``turn`` is the token from which a
    garbage recipe is hot."""

    aim: str  # clean, loop, echo, garbage
    kind: str
    text: str
    group: str
    answer: str = ""
    schedule: Schedule = ((0, 0.0),)
    seed: int = 0
    max_tokens: int = CLEAN_TOKENS
    turn: int | None = None


def clean() -> Iterator[Recipe]:
    """Every prompt at five temperatures."""
    for kind, texts in PROMPTS.items():
        for text in texts:
            for seed, heat in enumerate(CLEAN_HEATS):
                yield Recipe(aim="clean", kind=kind, text=text, group=text, schedule=((0, heat),), seed=seed)


def garbage() -> Iterator[Recipe]:
    """An answer that begins as usual and turns hot at a token that is known."""
    texts = [(kind, text) for kind, texts in PROMPTS.items() for text in texts]
    for number, (kind, text) in enumerate(texts + texts[::2]):
        turn = 12 + (number * 29) % 96
        yield Recipe(
            aim="garbage",
            kind=kind,
            text=text,
            group=text,
            schedule=((0, 0.7), (turn, GARBAGE_HEATS[number % len(GARBAGE_HEATS)])),
            seed=1000 + number,
            max_tokens=turn + GARBAGE_TOKENS,
            turn=turn,
        )


def loops() -> Iterator[Recipe]:
    """A line that already stands there a few times, and requests that have no end."""
    for number, (text, opening, line) in enumerate(LINES):
        for turn, (times, heat) in enumerate(TOLD):
            yield Recipe(
                aim="loop",
                kind="line",
                text=text,
                group=text + line,
                answer=opening + line * times,
                schedule=((0, heat),),
                seed=2000 + 10 * number + turn,
                max_tokens=LOOP_TOKENS,
            )
    for text in ASKED:
        for seed, heat in enumerate((0.0, 0.5)):
            yield Recipe(
                aim="loop", kind="asked", text=text, group=text, schedule=((0, heat),), seed=seed, max_tokens=256
            )


def echoes() -> Iterator[Recipe]:
    """A passage of the prompt, or of the answer itself, that is told again."""
    for number, passage in enumerate(PASSAGES):
        given = f"Here is a text.\n\n{passage}\n\nWhat should be improved in it?"
        for kind, text, told in (("own", "Go on with the text.", 2), ("prompt", given, 1)):
            for turn, heat in enumerate((0.0, 0.5)):
                yield Recipe(
                    aim="echo",
                    kind=kind,
                    text=text,
                    group=passage,
                    answer=(passage.rstrip() + "\n\n") * told + passage[: len(passage) // 3],
                    schedule=((0, heat),),
                    seed=3000 + 10 * number + turn,
                    max_tokens=ECHO_TOKENS,
                )


def recipes() -> list[Recipe]:
    """All of them, in a fixed order."""
    return [*clean(), *garbage(), *loops(), *echoes()]
