"""The corpus as a file: xz-compressed JSON lines, a header first, then one generation a line.

Probabilities are kept as whole thousandths.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kernel.canary import TokenStep

FORMAT = 2
HERE = Path(__file__).parent
FIT, HELD = "fit", "held"
CLEAN = "clean"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One generation. ``onset`` is the first token of the collapse (``None`` when clean), ``onset_char`` the same place
    in ``text``. The first ``given`` of the ``steps`` were not the model's choice; no onset lies among them."""

    aim: str
    kind: str
    label: str  # clean, loop, stutter, echo, garbage
    onset: int | None
    onset_char: int | None
    split: str
    given: int
    schedule: tuple[tuple[int, float], ...]
    seed: int
    prompt_text: str
    text: str
    prompt: tuple[int, ...]
    steps: tuple[TokenStep, ...]

    @property
    def told(self) -> tuple[TokenStep, ...]:
        """The steps as a canary is told them: what was given says nothing of what the model thinks."""
        return (
            *(TokenStep(step.token, None, None, None) for step in self.steps[: self.given]),
            *self.steps[self.given :],
        )

    @property
    def driven(self) -> bool:
        """A collapse that was meant to be one; others came to it by themselves."""
        return self.aim != CLEAN and not self.clean

    @property
    def clean(self) -> bool:
        return self.label == CLEAN


def _milli(values: Iterator[float | None]) -> list[int]:
    return [round(1000 * (value or 0.0)) for value in values]


def _line(sample: Sample) -> dict[str, Any]:
    return {
        "aim": sample.aim,
        "kind": sample.kind,
        "label": sample.label,
        "onset": sample.onset,
        "onset_char": sample.onset_char,
        "split": sample.split,
        "given": sample.given,
        "schedule": sample.schedule,
        "seed": sample.seed,
        "prompt_text": sample.prompt_text,
        "text": sample.text,
        "prompt": sample.prompt,
        "tokens": [step.token for step in sample.steps],
        "margins": _milli(step.margin for step in sample.steps),
        "entropies": _milli(step.entropy for step in sample.steps),
        "logprobs": _milli(step.logprob for step in sample.steps),
    }


def _sample(line: dict[str, Any]) -> Sample:
    columns = [line.pop(name) for name in ("tokens", "margins", "entropies", "logprobs")]
    steps = tuple(
        TokenStep(token, margin / 1000, entropy / 1000, logprob / 1000)
        for token, margin, entropy, logprob in zip(*columns, strict=True)
    )
    schedule = tuple((start, heat) for start, heat in line.pop("schedule"))
    return Sample(**{**line, "prompt": tuple(line["prompt"])}, schedule=schedule, steps=steps)


def write(path: Path, samples: Sequence[Sample], *, model: str, dropped: dict[str, int]) -> None:
    """``dropped`` says how many generations of each aim did not become what they were meant to be."""
    header = {"format": FORMAT, "model": model, "samples": len(samples), "dropped": dropped}
    with lzma.open(path, "wt", encoding="utf-8", preset=9 | lzma.PRESET_EXTREME) as stream:
        for line in (header, *map(_line, samples)):
            stream.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")) + "\n")


def read(path: Path) -> tuple[dict[str, Any], list[Sample]]:
    """Header and samples. Raises ``ValueError`` for another format."""
    with lzma.open(path, "rt", encoding="utf-8", newline="\n") as stream:
        header = json.loads(next(stream))
        if header["format"] != FORMAT:
            raise ValueError(f"{path} has format {header['format']}, not {FORMAT}")
        return header, [_sample(json.loads(line)) for line in stream]


def found() -> list[Path]:
    """The committed corpora, one a model: ``NAME.jsonl.xz`` beside this module."""
    return sorted(HERE.glob("*.jsonl.xz"))
