"""In which order tasks are tried with everything and without each feature, and in which repository. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.evaluation.features import with_all, without
from daemon.evaluation.lift import WITH, label_without
from daemon.evaluation.tasks import Task

NUMBER = re.compile(r"[-_]?\d+$")


@dataclass(frozen=True, slots=True)
class Trial:
    """One task under one label. ``base`` is shared by the tasks of one chain under that label."""

    task: Task
    label: str
    base: Path
    variables: Mapping[str, str]


def chain_of(task: str) -> str:
    """What tasks of one repository have in common: the name without its number."""
    return NUMBER.sub("", task) or task


def trials(tasks: Sequence[Task], features: Sequence[str], work: Path, environ: Mapping[str, str]) -> Iterator[Trial]:
    """Task by task, so that what wanders on the machine meets all sides alike; who begins changes with each task."""
    everything = with_all(features)
    sides = [(WITH, "with", everything)]
    sides += [(label_without(name), f"without-{name}", everything | without(name)) for name in features]
    for number, task in enumerate(sorted(tasks, key=lambda task: task.name)):
        turned = sides[number % len(sides) :] + sides[: number % len(sides)]
        for label, folder, more in turned:
            yield Trial(task, label, work / folder / chain_of(task.name), {**environ, **more})
