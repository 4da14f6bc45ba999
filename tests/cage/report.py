"""The cage's report: ``python -m tests.cage.report`` plays the corpus and prints a table by family, in markdown."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from tests.cage.corpus import families
from tests.cage.play import Outcome, Report, play


def table(outcomes: Sequence[Outcome]) -> str:
    """A line a family: inputs, stopped, by which rules, known gaps."""
    lines = ["| family | inputs | stopped | by | known gaps |", "|---|---|---|---|---|"]
    for family in families():
        own = [one for one in outcomes if one.input.family == family.name]
        rules = Counter(rule for one in own if one.stopped for rule in one.by.split(", "))
        by = ", ".join(f"`{rule}` {count}" for rule, count in rules.most_common())
        gaps = "; ".join(f"{one.input.name}: {one.input.gap}" for one in own if not one.stopped and one.input.gap)
        lines.append(f"| {family.name} | {len(own)} | {sum(one.stopped for one in own)} | {by} | {gaps or 'none'} |")
    total, stopped = len(outcomes), sum(one.stopped for one in outcomes)
    return "\n".join([*lines, f"| all | {total} | {stopped} | | {sum(bool(one.input.gap) for one in outcomes)} |"])


def escapes(report: Report) -> list[str]:
    """Everything that got through without being known, a line each."""
    lines = [f"{one.input.family}, {one.input.name}: {one.by}" for one in report.outcomes if one.escaped]
    closed = [
        f"{one.input.name}: is stopped, so that it is no gap"
        for one in report.outcomes
        if one.stopped and one.input.gap
    ]
    return [*lines, *closed, *report.outside]


def main() -> int:
    """0 without an escape, else 1."""
    with tempfile.TemporaryDirectory() as folder:
        report = asyncio.run(play(Path(folder).resolve()))
    print(table(report.outcomes))
    for line in escapes(report):
        print(f"ESCAPED: {line}")
    return 1 if escapes(report) else 0


if __name__ == "__main__":
    sys.exit(main())
