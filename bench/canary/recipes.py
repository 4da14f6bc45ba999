"""How every generation of the corpus is begun: which prompt, which words of the answer are given, how hot the rest is
sampled.

The recipe says what is *meant* to happen; ``label`` says afterwards what did. There are two sets of prompts, written
apart from one another: levels are fitted on one, and the other is only ever measured.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from bench.canary import prompts, seeds
from bench.canary.corpus import FIT, HELD
from bench.canary.held import prompts as held_prompts
from bench.canary.held import seeds as held_seeds

Schedule = tuple[tuple[int, float], ...]  # (from which token of the answer, temperature), ascending, first from 0

CLEAN_HEATS = (0.0, 0.3, 0.7, 0.7, 0.9)
GARBAGE_HEATS = (1.8, 2.2, 3.0, 5.0)
TOLD = ((2, 0.0), (3, 0.3), (3, 0.0), (2, 0.5))  # how often a line is given, and the temperature of what follows
CLEAN_TOKENS, LOOP_TOKENS, ECHO_TOKENS, GARBAGE_TOKENS = 256, 160, 256, 72


@dataclass(frozen=True, slots=True)
class Seeds:
    """One set of prompts. ``lines``: what is asked, how the answer begins, what repeats."""

    prompts: Mapping[str, Sequence[str]]
    lines: Sequence[tuple[str, str, str]]
    asked: Sequence[str]
    passages: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """One generation. The words of ``given`` are its first, whatever the model would have said; ``turn`` is the token
    from which a garbage recipe is hot. ``max_tokens`` does not count what is given."""

    aim: str  # clean, loop, echo, garbage
    kind: str
    text: str
    split: str = FIT
    given: str = ""
    schedule: Schedule = ((0, 0.0),)
    seed: int = 0
    max_tokens: int = CLEAN_TOKENS
    turn: int | None = None


def clean(of: Seeds) -> Iterator[Recipe]:
    """Every prompt at five temperatures."""
    for kind, texts in of.prompts.items():
        for text in texts:
            for seed, heat in enumerate(CLEAN_HEATS):
                yield Recipe(aim="clean", kind=kind, text=text, schedule=((0, heat),), seed=seed)


def garbage(of: Seeds) -> Iterator[Recipe]:
    """An answer that begins as usual and turns hot at a token that is known."""
    texts = [(kind, text) for kind, texts in of.prompts.items() for text in texts]
    for number, (kind, text) in enumerate(texts + texts[::2]):
        turn = 12 + (number * 29) % 96
        yield Recipe(
            aim="garbage",
            kind=kind,
            text=text,
            schedule=((0, 0.7), (turn, GARBAGE_HEATS[number % len(GARBAGE_HEATS)])),
            seed=1000 + number,
            max_tokens=turn + GARBAGE_TOKENS,
            turn=turn,
        )


def loops(of: Seeds) -> Iterator[Recipe]:
    """A line that was already told, and requests that have no end."""
    for number, (text, opening, line) in enumerate(of.lines):
        for turn, (times, heat) in enumerate(TOLD):
            yield Recipe(
                aim="loop",
                kind="line",
                text=text,
                given=whole_words(opening + line * times),
                schedule=((0, heat),),
                seed=2000 + 10 * number + turn,
                max_tokens=LOOP_TOKENS,
            )
    for text in of.asked:
        for seed, heat in enumerate((0.0, 0.5)):
            yield Recipe(aim="loop", kind="asked", text=text, schedule=((0, heat),), seed=seed, max_tokens=256)


def echoes(of: Seeds) -> Iterator[Recipe]:
    """A passage of the prompt, or of the answer itself, that is told again."""
    for number, passage in enumerate(of.passages):
        shown = f"Here is a text.\n\n{passage}\n\nWhat should be improved in it?"
        for kind, text, told in (("own", "Go on with the text.", 2), ("prompt", shown, 1)):
            for turn, heat in enumerate((0.0, 0.5)):
                yield Recipe(
                    aim="echo",
                    kind=kind,
                    text=text,
                    given=(passage.rstrip() + "\n\n") * told + whole_words(passage[: len(passage) // 3], cut=True),
                    schedule=((0, heat),),
                    seed=3000 + 10 * number + turn,
                    max_tokens=ECHO_TOKENS,
                )


def whole_words(text: str, *, cut: bool = False) -> str:
    """Up to the end of a word, so that tokens fall as they do when a model writes the text; ``cut``: the last word may
    be half of one."""
    return (text.rstrip(" ").rpartition(" ")[0] if cut else text).rstrip(" ")


def recipes() -> list[Recipe]:
    """All of them, in a fixed order."""
    fit = Seeds(prompts.PROMPTS, seeds.LINES, seeds.ASKED, seeds.PASSAGES)
    other = Seeds(held_prompts.PROMPTS, held_seeds.LINES, held_seeds.ASKED, held_seeds.PASSAGES)
    return [
        replace(recipe, split=split)
        for of, split in ((fit, FIT), (other, HELD))
        for make in (clean, garbage, loops, echoes)
        for recipe in make(of)
    ]
