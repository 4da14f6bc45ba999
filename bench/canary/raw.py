"""What a model wrote, kept as it comes: a long run can be stopped and gone on with, and be judged again by new labels.

JSON lines, one generation each: the number of its recipe, the prompt, the steps. Never committed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from kernel.canary import TokenStep

Answer = tuple[int, list[int], list[TokenStep]]  # number of the recipe, prompt, what came


def append(path: Path, answers: Iterable[Answer]) -> None:
    with path.open("a", encoding="utf-8") as stream:
        for number, prompt, steps in answers:
            stream.write(json.dumps([number, prompt, steps]) + "\n")


def read(path: Path) -> list[Answer]:
    """Everything so far, in the order of the recipes; a line that was cut off at the end is left out."""
    if not path.exists():
        return []
    found: dict[int, Answer] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            number, prompt, steps = json.loads(line)
        except json.JSONDecodeError:
            continue
        found[number] = (number, prompt, [TokenStep(*step) for step in steps])
    return [found[number] for number in sorted(found)]
