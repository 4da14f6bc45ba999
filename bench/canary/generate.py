"""Make a corpus with a real model:

    python -m bench.canary.generate --writer MODULE:FUNCTION --raw FILE [--out FILE]

``FUNCTION`` takes no arguments and gives a ``Writer``. Answers are added to ``--raw`` as they come; a run that was
stopped goes on where it was, and a complete file is only judged again. The corpus is written beside this module under
the model's name; ``bench.canary.calibrate`` then fits the levels and draws the curve.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from itertools import groupby
from pathlib import Path
from typing import Protocol

from bench.canary import corpus, label, raw
from bench.canary.corpus import Sample
from bench.canary.raw import Answer
from bench.canary.recipes import Recipe, Schedule, recipes
from kernel.canary import TokenStep

BATCH = 32
LENGTH_STEP = 32  # limits are rounded up to it, so that batches are full

Wanted = list[tuple[int, Recipe]]  # recipes with their numbers


class Writer(Protocol):
    """A model that writes many answers at once and tells the probabilities before temperature."""

    @property
    def model(self) -> str: ...

    def encode_chat(self, text: str) -> list[int]:
        """The prompt for one question."""
        ...

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: Sequence[int]) -> str: ...

    def write(
        self, prompts: Sequence[Sequence[int]], given: Sequence[Sequence[int]], *, max_tokens: int,
        temperature: Sequence[Schedule], seed: Sequence[int],
    ) -> list[list[TokenStep]]:  # fmt: skip
        """One answer a prompt, without the token that ended it: first what is ``given``, the rest sampled from the
        whole distribution (no top-p, no top-k: garbage needs the tail). ``max_tokens`` counts all of it."""
        ...


def batches(wanted: Wanted, given: dict[int, list[int]]) -> Iterator[tuple[int, Wanted]]:
    """The token limit and at most ``BATCH`` recipes of about that length."""

    def limit(one: tuple[int, Recipe]) -> int:
        number, recipe = one
        return -(-(len(given[number]) + recipe.max_tokens) // LENGTH_STEP) * LENGTH_STEP

    for tokens, same in groupby(sorted(wanted, key=limit), key=limit):
        rows = list(same)
        yield from ((tokens, rows[at : at + BATCH]) for at in range(0, len(rows), BATCH))


def write_all(writer: Writer, wanted: Wanted) -> Iterator[list[Answer]]:
    """Every recipe carried out, a batch at a time."""
    given = {number: _given(writer, recipe) for number, recipe in wanted}
    for limit, rows in batches(wanted, given):
        prompts = [writer.encode_chat(recipe.text) for _, recipe in rows]
        answers = writer.write(
            prompts,
            [given[number] for number, _ in rows],
            max_tokens=limit,
            temperature=[recipe.schedule for _, recipe in rows],
            seed=[recipe.seed for _, recipe in rows],
        )
        yield [(number, prompt, steps) for (number, _), prompt, steps in zip(rows, prompts, answers, strict=True)]


def judged(writer: Writer, wanted: Sequence[Recipe], written: Sequence[Answer]) -> tuple[list[Sample], dict[str, int]]:
    """The samples with their labels, and how many of each aim did not become what they were meant to be."""
    sound = (writer.decode([s.token for s in steps]) for number, _, steps in written if wanted[number].aim == "clean")
    known = label.words([*sound, *(recipe.text for recipe in wanted)])
    samples: list[Sample] = []
    dropped: Counter[str] = Counter()
    for number, prompt, steps in written:
        recipe = wanted[number]
        given = len(_given(writer, recipe))
        most = given + recipe.max_tokens  # a batch may have written on: its longest answer decides
        answer = [step.token for step in steps[:most]]
        hot = writer.decode(answer[recipe.turn :]) if recipe.turn is not None else ""
        verdict = label.judge(
            recipe.aim, answer, ended=len(answer) < most, turn=recipe.turn, hot_text=hot, known=known
        )  # fmt: skip
        if verdict is None or not steps:
            dropped[recipe.aim] += 1
        else:
            samples.append(_sample(writer, recipe, given, prompt, steps[:most], verdict))
    return samples, dict(dropped)


def _sample(
    writer: Writer, recipe: Recipe, given: int, prompt: Sequence[int], steps: Sequence[TokenStep], verdict: label.Label
) -> Sample:
    answer = [step.token for step in steps]
    onset = None if verdict.onset is None else max(verdict.onset, given)  # the model's own part of the collapse
    return Sample(
        aim=recipe.aim,
        kind=recipe.kind,
        label=verdict.name,
        onset=onset,
        onset_char=None if onset is None else len(writer.decode(answer[:onset])),
        split=recipe.split,
        given=given,
        schedule=recipe.schedule,
        seed=recipe.seed,
        prompt_text=recipe.text,
        text=writer.decode(answer),
        prompt=tuple(prompt),
        steps=tuple(steps),
    )


def _given(writer: Writer, recipe: Recipe) -> list[int]:
    return writer.encode(recipe.given) if recipe.given else []


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--writer", required=True, help="module:function that opens the model")
    parser.add_argument("--raw", type=Path, required=True, help="where answers are kept until all are there")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    module, function = args.writer.split(":")
    writer: Writer = getattr(import_module(module), function)()
    wanted = recipes()
    there = {number for number, _, _ in raw.read(args.raw)}
    missing = [(number, recipe) for number, recipe in enumerate(wanted) if number not in there]
    for batch in write_all(writer, missing):
        raw.append(args.raw, batch)
        there |= {number for number, _, _ in batch}
        print(f"{len(there)} of {len(wanted)}", flush=True)
    samples, dropped = judged(writer, wanted, raw.read(args.raw))
    out = args.out or corpus.HERE / f"{writer.model}.jsonl.xz"
    corpus.write(out, samples, model=writer.model, dropped=dropped)
    print(f"{out}: {out.stat().st_size} bytes, {dict(Counter(s.label for s in samples))}, dropped {dropped}")


if __name__ == "__main__":
    main()
