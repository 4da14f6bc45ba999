"""The chosen repair beside others that pass as well: all of them asked with inputs that no test gives."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from governance.crew import Crew
from governance.repair.bench import Bench
from governance.repair.disagreement import Named, changed, differing, final, first_lines, original, steady, tests_of
from governance.repair.ranking import Survivor
from ledger.vocabulary import EntryKind, State
from tools.testing.runner import Functions

SHOWN = 3
"""Disagreements that stand in the record."""


async def disagreement(chosen: Survivor, rivals: Sequence[Survivor], bench: Bench, crew: Crew) -> str:
    """An input with which another repair does something else, in a sentence; empty where none was found.

    The caller does not hold the heavy slot.
    """
    others = await asyncio.to_thread(_equals, chosen, rivals, crew.shop.settings.repair.compared)
    if not others:
        return ""
    asked, tests = await asyncio.to_thread(_questions, [chosen, *others])
    if not tests:
        return ""
    async with crew.shop.heavy:
        began = crew.shop.clock.monotonic()
        # Twice for the chosen one: what differs between two runs of one program is left out.
        once, again, *said = await bench.answers([asked[0], *asked], tests)
        took = crew.shop.clock.monotonic() - began
    own = steady(once, again)
    found = [(other, differing(own, answers)) for other, answers in zip(others, said, strict=True)]
    pairs = [(other, *pair) for other, rows in found for pair in rows[:SHOWN]]
    await crew.record.note(
        EntryKind.TOOL, "compared", phase=State.GENERATE, repairs=1 + len(others), inputs=len(own),
        differing=sum(len(rows) for _, rows in found), ms=round(1000 * took),
        examples=[[a.asked, a.said, b.said] for _, a, b in pairs[:SHOWN]],
    )  # fmt: skip
    if not pairs:
        return ""
    other, one, two = pairs[0]
    return f"{one.asked} {one.said}; with another repair that passes the tests ({other.variant.what}) it {two.said}"


def _equals(chosen: Survivor, rivals: Sequence[Survivor], most: int) -> list[Survivor]:
    """Repairs that are no worse by the tests, and are not the chosen one in other words; best first."""
    known = [final(chosen)]
    found: list[Survivor] = []
    for rival in rivals:
        worse = (rival.newly_red, rival.still_red, rival.copied) > (chosen.newly_red, chosen.still_red, chosen.copied)
        if len(found) < most and not worse and final(rival) not in known:
            known.append(final(rival))
            found.append(rival)
    return found


def _questions(survivors: Sequence[Survivor]) -> tuple[list[tuple[Survivor, Functions]], tuple[str, ...]]:
    """For each survivor the places of all functions that one of them changes; and the tests that call these."""
    named = frozenset[Named]().union(*(changed(s) for s in survivors))
    before = {path: original(s.scene, path) for s in survivors for path in final(s)}
    asked: list[tuple[Survivor, Functions]] = [(s, first_lines(named, {**before, **final(s)})) for s in survivors]
    return asked, tests_of(named, survivors[0].scene) if named else ()
