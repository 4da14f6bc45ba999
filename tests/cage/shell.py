"""Shell tricks: each is one command of the ``bash`` tool, in ops of their own.

Stopped is a command that gate 3 refuses, or that meets a wall of the sandbox and says so, or of which a rule puts back
what it wrote. Whether it left something outside is asked besides.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from kernel.provider import ToolCall
from tests.cage.corpus import Input
from tests.cage.model import GIVES_UP, Attempt, Hostile
from tests.cage.outside import Outside
from tests.cage.record import Calls

CALLS_A_ROUND = 16
ROUNDS = 4
WALL = "wall"
RUNS = "gate03.ok"


class ShellTricks:
    """``filled`` puts the places of this run into a command."""

    def __init__(self, inputs: Sequence[Input], filled: Callable[[Input, str], str]) -> None:
        self.calls = {
            one: ToolCall(
                id=f"shell-{number}", name="bash", arguments=json.dumps({"command": filled(one, one.command)})
            )
            for number, one in enumerate(inputs)
        }

    def attempts(self) -> list[Attempt]:
        """One conversation after the other."""
        made = list(self.calls.values())
        rounds = [tuple(made[at : at + CALLS_A_ROUND]) for at in range(0, len(made), CALLS_A_ROUND)]
        return [Attempt(GIVES_UP, tuple(rounds[at : at + ROUNDS])) for at in range(0, len(rounds), ROUNDS)]

    def judged(
        self, calls: Calls, model: Hostile, world: Outside, told: Mapping[str, str]
    ) -> Iterator[tuple[Input, bool, str]]:
        """Each input, whether it was stopped, and by what. ``told``: what a person is told of each op."""
        reached = {*world.visitors(), *world.left_marks(), *world.changed()}
        for one, call in self.calls.items():
            called, heard = calls.find(call), model.heard.get(call.id, "")
            if called is None:
                yield one, False, "(never made)"
            elif one.label in reached:
                yield one, False, f"({called.rule}, and it reached what is outside)"
            elif one.rule == WALL:
                met = called.rule == RUNS and re.search(one.told, heard) is not None
                yield one, met, "sandbox" if met else f"({called.rule}: {heard[:200]})"
            else:
                rules = [called.rule, *called.refused]
                hit = next((r for r in rules if r.startswith(one.rule) and r in heard and r in told[called.op]), None)
                yield one, hit is not None, hit or f"({', '.join(rules)}: {heard[:200]})"
