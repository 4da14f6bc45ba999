"""Plans the trials of a paired comparison: each task with all features and without each, in which order. Pure."""

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
    """One task under one label, that is, one set of features. ``base``: folder that tasks of one chain share."""

    task: Task
    label: str
    base: Path
    variables: Mapping[str, str]


def chain_of(task: str) -> str:
    """The chain that a task belongs to: its name without the number. Tasks of one chain share a repository."""
    return NUMBER.sub("", task) or task


def trials(tasks: Sequence[Task], features: Sequence[str], work: Path, environ: Mapping[str, str]) -> Iterator[Trial]:
    """Trials task by task, so that changes of the machine's speed affect all labels alike; the first label rotates."""
    everything = with_all(features)
    sides = [(WITH, "with", everything)]
    sides += [(label_without(name), f"without-{name}", everything | without(name)) for name in features]
    for number, task in enumerate(sorted(tasks, key=lambda task: task.name)):
        rotated = sides[number % len(sides) :] + sides[: number % len(sides)]
        for label, folder, more in rotated:
            yield Trial(task, label, work / folder / chain_of(task.name), {**environ, **more})
