"""The canary on an answer of which only the finished text comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kernel.canary import Reading, read_text
from kernel.provider import Report

SINGLE_PASS = "single_pass"
NEWEST = 1 << 16  # characters; a collapse goes on to the end, and a server may send many megabytes


async def read_answer(text: str, logprobs: Sequence[float] = ()) -> Reading:
    """The worst reading over the end of ``text``, computed off the event loop (about 6 ms a thousand characters).

    The prompt is left out: an answer about code quotes it, often at length. One that does nothing else but quote says
    it again sooner or later, and that is seen.
    """
    share = min(NEWEST / len(text), 1.0) if text else 1.0
    chances = logprobs[len(logprobs) - round(share * len(logprobs)) :]
    return await asyncio.to_thread(read_text, text[-NEWEST:], "", chances)


def as_report(reading: Reading) -> Report:
    """What a provider that does not loop says of a turn."""
    proximity = round(1000 * reading.proximity)
    return Report(exit=SINGLE_PASS, proximity_milli=proximity, signal=reading.signal, alarm=reading.alarm)
