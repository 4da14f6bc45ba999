"""The chosen repair beside others that pass as well: all of them asked with inputs that no test gives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from governance.crew import Crew
from governance.repair.bench import Bench
from governance.repair.disagreement import (
    Named,
    changed,
    differing,
    final,
    first_lines,
    original,
    paired,
    steady,
    tests_of,
)
from governance.repair.ranking import Survivor
from ledger.errors import OuroError
from ledger.events.repair import RepairsCompared
from ledger.vocabulary import Answer
from tools.testing.runner import Functions

SHOWN = 3
"""Disagreements that stand in the record."""
MOST_S = 30.0
"""A repair is there already: it is not put at risk for a comparison."""
NO_WALLS = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """``inputs``: questions that every one of the repairs has answered, at least; ``problem``: why there were none."""

    inputs: int = 0
    pairs: tuple[tuple[Survivor, Answer, Answer], ...] = ()
    problem: str = ""


async def disagreement(chosen: Survivor, rivals: Sequence[Survivor], bench: Bench, crew: Crew) -> str:
    """An input with which another repair does something else, in a sentence; empty where none was found.

    The caller does not hold the heavy slot. Nothing that goes wrong here takes the repair away.
    """
    others = await asyncio.to_thread(_equals, chosen, rivals, crew.shop.settings.repair.compared)
    if not others:
        return ""
    began = crew.shop.clock.monotonic()
    found = await _in_time(chosen, others, bench, crew)
    await crew.record.note(
        RepairsCompared(
            repairs=1 + len(others),
            inputs=found.inputs,
            differing=len(found.pairs),
            problem=found.problem,
            ms=round(1000 * (crew.shop.clock.monotonic() - began)),
            examples=[[a.asked, a.said, b.said] for _, a, b in found.pairs[:SHOWN]],
        )
    )
    if not found.pairs:
        return ""
    other, one, two = found.pairs[0]
    return f"{one.asked} {one.said}; with another repair that passes the tests ({other.variant.what}) it {two.said}"


async def _in_time(chosen: Survivor, others: Sequence[Survivor], bench: Bench, crew: Crew) -> Compared:
    if crew.shop.sandbox_name == NO_WALLS:
        return Compared(problem="without walls nothing is called with inputs that nobody meant")
    left = crew.clock.remaining_s() - crew.shop.settings.repair.reserve_s
    try:
        async with asyncio.timeout(min(MOST_S, left)):
            return await _compared(chosen, others, bench, crew)
    except TimeoutError:
        return Compared(problem="there was no time")
    except ExceptionGroup as group:  # of runs side by side
        mine, foreign = group.split((OuroError, OSError))
        if foreign is not None or mine is None:
            raise
        return Compared(problem=f"the runs failed: {mine.exceptions[0]}"[:200])


async def _compared(chosen: Survivor, others: Sequence[Survivor], bench: Bench, crew: Crew) -> Compared:
    asked, tests = await asyncio.to_thread(_questions, [chosen, *others])
    if not tests:
        return Compared(problem="no test calls what they change")
    async with crew.shop.heavy:
        # Twice for the chosen one: what differs between two runs of one program is left out.
        once, again, *said = await bench.answers([asked[0], *asked], tests)
        own = steady(once, again)
        suspects = [at for at, answers in enumerate(said) if differing(own, answers)]
        for at, answers in zip(suspects, await bench.answers([asked[1 + i] for i in suspects], tests), strict=True):
            said[at] = steady(said[at], answers)
    inputs = min(len(paired(own, answers)) for answers in said)
    pairs = [(other, *pair) for other, answers in zip(others, said, strict=True) for pair in differing(own, answers)]
    return Compared(
        inputs=inputs, pairs=tuple(pairs), problem="" if inputs else "no input could be made, or told apart"
    )


def _equals(chosen: Survivor, rivals: Sequence[Survivor], most: int) -> list[Survivor]:
    """Repairs that are no worse by the tests, and are not the chosen one in other words; best first."""
    known = [final(chosen)]
    found: list[Survivor] = []
    for rival in rivals:
        worse = _standing(rival) > _standing(chosen)
        if len(found) < most and not worse and final(rival) not in known:
            known.append(final(rival))
            found.append(rival)
    return found


def _standing(survivor: Survivor) -> tuple[int, int, bool]:
    return survivor.newly_red, survivor.still_red, bool(survivor.shortcut)


def _questions(survivors: Sequence[Survivor]) -> tuple[list[tuple[Survivor, Functions]], tuple[str, ...]]:
    """For each survivor the places of all functions that one of them changes; and the tests that call these."""
    named = frozenset[Named]().union(*(changed(s) for s in survivors))
    before = {path: original(s.scene, path) for s in survivors for path in final(s)}
    asked: list[tuple[Survivor, Functions]] = [(s, first_lines(named, {**before, **final(s)})) for s in survivors]
    return asked, tests_of(named, survivors[0].scene) if named else ()
