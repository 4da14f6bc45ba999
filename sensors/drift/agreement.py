"""The closure check that both sides of a contract agree."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ledger.errors import OuroError
from ledger.ports import TreePort
from ledger.vocabulary import ClosureAnswer, SidesAgree
from sensors.drift import ContractPair
from sensors.drift.contracts import UnreadableContract, differences, parse_contract
from sensors.ports import ElsewherePort, OtherFile, Redact

SHOWN = 5


class Agreement:
    """Answers the check. The path of the other repository comes from the settings, never from a signal."""

    def __init__(
        self, *, elsewhere: ElsewherePort | None, pairs: Mapping[str, ContractPair], largest: int, redact: Redact = str
    ) -> None:
        self._elsewhere = elsewhere
        self._pairs = pairs
        self._largest = largest
        self._redact = redact

    async def answer(self, check: SidesAgree, tree: TreePort) -> ClosureAnswer:
        """Gone when the other side is: then there is nothing to agree with."""
        pair = self._pairs.get(check.pair)
        if pair is None or pair.here != check.path or self._elsewhere is None:
            return ClosureAnswer(closed=False, reason=f"no pair {check.pair!r} with {check.path} is named any more")
        try:
            there = await self._elsewhere.read(pair.repository, pair.there, largest=self._largest)
        except OuroError as error:
            return ClosureAnswer(closed=False, reason=str(error))
        here = await tree.read(check.path)
        answer = await asyncio.to_thread(compare_sides, pair, here, there)
        return answer.model_copy(update={"reason": self._redact(answer.reason)})


def compare_sides(pair: ContractPair, here: bytes | None, there: OtherFile) -> ClosureAnswer:
    """Pure."""
    if there.data is None:
        return ClosureAnswer(
            closed=False, gone=True, reason=f"there is no {pair.there} in the other repository any more"
        )
    if here is None:
        return ClosureAnswer(closed=False, reason=f"there is no {pair.here} here")
    try:
        mine = parse_contract(here, pair.here, pair.part)
        theirs = parse_contract(there.data, pair.there, part_of(pair))
    except UnreadableContract as error:
        return ClosureAnswer(closed=False, reason=str(error))
    lines = differences(mine, theirs)
    if lines:
        more = f" and {len(lines) - SHOWN} more" if len(lines) > SHOWN else ""
        return ClosureAnswer(closed=False, reason=f"the sides differ: {'; '.join(lines[:SHOWN])}{more}")
    return ClosureAnswer(closed=True, reason=f"{pair.here} agrees with {pair.there} at {there.commit[:12]}")


def part_of(pair: ContractPair) -> str:
    """The part of the other side that counts."""
    return pair.part if pair.part_there is None else pair.part_there
