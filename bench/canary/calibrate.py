"""Fit the canary's levels on one half of the corpora, and say what they do on the other:

    python -m bench.canary.calibrate [CORPUS ...]

Writes ``kernel/canary_levels.toml`` (one table a model, ``default`` over all of them, ``text`` for finished text) and
``docs/canary.svg``, and prints the figures of the held-out half as a markdown table.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from bench.canary import corpus, curve
from bench.canary.corpus import FIT, HELD, Sample
from bench.canary.fit import fit, run_of
from bench.canary.measure import IN_TIME, Figures, Outcome, figures, first_held, proximities, replay, replay_text
from kernel.canary import Levels
from kernel.canary.detector import logistic
from kernel.canary.features import FEATURES
from kernel.canary.levels import FALLBACK, TEXT
from kernel.canary.text import split_pieces, steps_of_text

TOP = Path(__file__).parents[2]
LEVELS = TOP / "kernel" / "canary_levels.toml"
PICTURE = TOP / "docs" / "canary.svg"
SWEEP = [step / 10 for step in range(-30, 81)]  # log-odds of the alarm


def token_levels(samples: Iterable[Sample]) -> Levels:
    """Levels for tokens, from the half that is fitted."""
    fitted = [sample for sample in samples if sample.split == FIT]
    return fit([run_of(sample.prompt, sample.told, sample.label, sample.onset) for sample in fitted])


def text_levels(samples: Iterable[Sample]) -> Levels:
    """Levels for pieces of text, log-probabilities given."""
    runs = []
    for sample in samples:
        if sample.split == FIT:
            prompt, steps = steps_of_text(
                sample.text, sample.prompt_text, [step.logprob or 0.0 for step in sample.told]
            )
            onset = None if sample.onset_char is None else len(split_pieces(sample.text[: sample.onset_char]))
            runs.append(run_of(prompt, steps, sample.label, onset))
    return fit(runs)


def table(name: str, levels: Levels, source: str) -> str:
    """One table of the file."""
    lines = [f'["{name}"]  # {source}', f"bias = {levels.bias}", f"alarm = {levels.alarm}"]
    lines += [f"patience = {levels.patience}", f'["{name}".features]']
    for feature in FEATURES:
        base = levels.features[feature]
        lines.append(f"{feature} = {{ mean = {base.mean}, deviation = {base.deviation}, weight = {base.weight} }}")
    return "\n".join(lines) + "\n"


def row(name: str, found: Figures) -> str:
    return (
        f"| {name} | {found.true} of {found.collapsed} ({found.true_rate:.1%}) | {found.false} of {found.clean} "
        f"({found.false_rate:.2%}) | {found.delay(0.5)} / {found.delay(0.95)} / {found.delay(1.0)} | "
        f"{found.late} | {found.early} | {found.missed} |"
    )


def report(title: str, outcomes: Sequence[Outcome]) -> None:
    """The figures, all together and by label, and what drove the alarms."""
    print(f"\n{title}\n")
    print(f"| what | stopped within {IN_TIME} tokens | false alarms | delay p50 / p95 / max | late | early | missed |")
    print("|---|---|---|---|---|---|---|")
    print(row("all", figures(outcomes)))
    collapsed = [outcome for outcome in outcomes if not outcome.sample.clean]
    print(row("driven into it", figures(outcome for outcome in collapsed if outcome.sample.driven)))
    print(row("came to it by themselves", figures(outcome for outcome in collapsed if not outcome.sample.driven)))
    for label in sorted({outcome.sample.label for outcome in outcomes} - {corpus.CLEAN}):
        print(row(label, figures(outcome for outcome in outcomes if outcome.sample.label == label)))
    print(
        "\nsignals:", dict(Counter(outcome.signal for outcome in outcomes if outcome.alarm is not None).most_common())
    )
    for outcome in outcomes:
        if outcome.sample.clean and outcome.alarm is not None:
            print(
                f"false: {outcome.sample.kind}, token {outcome.alarm}, {outcome.signal}: {outcome.sample.text[:60]!r}"
            )


def sweep(samples: Sequence[Sample], levels: Levels) -> list[tuple[float, float]]:
    """(false alarms, true alarms) for alarms from low to high: each generation is read once, then judged at each."""
    read = [(sample, proximities(sample, levels)) for sample in samples]
    points = []
    for odds in SWEEP:
        level = logistic(odds)
        found = figures(
            Outcome(sample=sample, onset=sample.onset, alarm=first_held(line, level, levels.patience), signal="")
            for sample, line in read
        )
        points.append((found.false_rate, found.true_rate))
    return points


def picture(samples: Sequence[Sample], levels: Levels, outcomes: Sequence[Outcome]) -> str:
    found = figures(outcomes)
    delays = [(o.sample.label, o.delay) for o in outcomes if o.delay is not None and o.delay >= 1]
    return curve.draw(sweep(samples, levels), (found.false_rate, found.true_rate), delays, IN_TIME)


def held(samples: Iterable[Sample], see: Callable[[Sample], Outcome]) -> list[Outcome]:
    return [see(sample) for sample in samples if sample.split == HELD]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("corpora", nargs="*", type=Path, help="default: those beside this module")
    parser.add_argument("--levels", type=Path, default=LEVELS)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    args = parser.parse_args()
    every: list[Sample] = []
    tables = ["# Written by bench/canary/calibrate.py. Not to be edited: make a corpus and run it again.\n"]
    for path in args.corpora or corpus.found():
        header, samples = corpus.read(path)
        every += samples
        levels = token_levels(samples)
        tables.append(table(header["model"], levels, f"from {sum(s.split == FIT for s in samples)} generations"))
        report(f"{header['model']}, held-out half", held(samples, lambda s, levels=levels: replay(s, levels)))  # type: ignore[misc]
    fitted = sum(sample.split == FIT for sample in every)
    default, text = token_levels(every), text_levels(every)
    tables.append(table(FALLBACK, default, f"over all models, from {fitted} generations"))
    tables.append(table(TEXT, text, f"pieces of text, from {fitted} generations"))
    args.levels.write_text("\n".join(tables), encoding="utf-8")
    outcomes = held(every, lambda sample: replay(sample, default))
    report("default, held-out half of all models", outcomes)
    for logprobs in (True, False):
        seen = held(every, lambda sample, logprobs=logprobs: replay_text(sample, text, logprobs=logprobs))  # type: ignore[misc]
        report(f"finished text {'with' if logprobs else 'without'} log-probabilities, held-out half", seen)
    args.picture.write_text(
        picture([sample for sample in every if sample.split == HELD], default, outcomes), encoding="utf-8"
    )


if __name__ == "__main__":
    main()
