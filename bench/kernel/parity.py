"""Our logits against those of transformers, both in float32 on the same GGUF file:

    python -m bench.kernel.parity [--model NAME] [--models DIR] [--cache DIR] [--prompts N] [--tokens N]

The published models have one table for what goes in and comes out; the file has it twice, and the one for input with
fewer bits. Ours takes the better one for both, transformers takes the file at its word: *as filed* is the difference
that makes, *same table* the one between the two programs, transformers having been given our table.

Ends with 1 when the latter is above 1e-4, or when no answer of a kind of prompts is the same to its end.
"""

from __future__ import annotations

import argparse
import sys
from argparse import Namespace
from itertools import groupby
from pathlib import Path

from bench.kernel import published
from bench.kernel.insides import Ours, Theirs
from bench.kernel.prompts import Prompt, cut_at_control, equal_share, prompts
from daemon.settings.config import prepare_process

ALLOWED = 1e-4
HOME = Path.home() / ".cache"


def arguments(description: str, tokens: int) -> argparse.ArgumentParser:
    """What both comparisons are asked."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--model", default="qwen2.5-coder-0.5b")
    parser.add_argument("--models", type=Path, default=HOME / "ouroboros" / "models", help="folder of the GGUF files")
    parser.add_argument("--cache", type=Path, default=HOME / "ouroboros-bench", help="for transformers' weights")
    parser.add_argument("--prompts", type=int, default=0, help="so many of each kind only")
    parser.add_argument("--tokens", type=int, default=tokens, help="of a greedy answer")
    return parser


def chosen(found: list[Prompt], each: int) -> list[Prompt]:
    """The first ``each`` of every kind; all with 0."""
    kinds = (list(same) for _, same in groupby(found, key=lambda prompt: prompt.kind))
    return [prompt for same in kinds for prompt in (same[:each] if each else same)]


def compare(options: Namespace) -> bool:
    published.make(options.models, options.cache, options.model)
    ours = Ours(options.models, options.model, "fp32")
    theirs = Theirs(options.cache, options.model, "fp32")
    asked = chosen(prompts(ours.engine.vocabulary, options.model), options.prompts)
    filed = [theirs.scores(prompt.numbers) for prompt in asked]
    theirs.share_table()
    print("| prompt | tokens | as filed | same table | same best token | largest logit |\n|---|---|---|---|---|---|")
    worst = 0.0
    for prompt, as_filed in zip(asked, filed, strict=True):
        mine, its = ours.scores(prompt.numbers), theirs.scores(prompt.numbers)
        off = float((mine - its).abs().max())
        worst = max(worst, off)
        cells = (f"{float((mine - as_filed).abs().max()):.2e}", f"{off:.2e}",
                 f"{float((mine.argmax(-1) == its.argmax(-1)).float().mean()):.1%}", f"{float(its.abs().max()):.1f}")  # fmt: skip
        print(f"| {prompt.kind} | {len(prompt.numbers)} | {' | '.join(cells)} |", flush=True)
    equal = {
        kind: _same_answer(ours, theirs, list(of), options.tokens) for kind, of in groupby(asked, lambda p: p.kind)
    }
    print(f"\nLargest difference {worst:.2e}, allowed {ALLOWED:.0e}.")
    return worst <= ALLOWED and all(equal.values())


def _same_answer(ours: Ours, theirs: Theirs, asked: list[Prompt], tokens: int) -> bool:
    """Looks until one greedy answer is the same to its end."""
    vocabulary = ours.engine.vocabulary
    for number, prompt in enumerate(asked, 1):
        mine = cut_at_control(ours.write(prompt.numbers, tokens), vocabulary)
        its = cut_at_control(theirs.write(prompt.numbers, tokens), vocabulary)
        share = equal_share(its, mine)
        print(f"\n{prompt.kind} {number}: {len(mine)} and {len(its)} greedy tokens, the same for {share:.1%}")
        if mine == its:
            return True
    return False


def main() -> int:
    prepare_process()
    options = arguments((__doc__ or "").splitlines()[0], 200).parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    return 0 if compare(options) else 1


if __name__ == "__main__":
    sys.exit(main())
