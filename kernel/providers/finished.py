"""The canary on an answer of which only the finished text comes back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from kernel.canary import Reading, read_text
from kernel.provider import Report, ToolCall
from ledger.parsers.json import read_json

SINGLE_PASS = "single_pass"
WRITTEN = 400  # characters of an argument that is more than a name or an address: contents of a file, a command
NEWEST = 1 << 16  # characters; a collapse goes on to the end, and a server may send many megabytes


async def read_answer(text: str, logprobs: Sequence[float] = ()) -> Reading:
    """The worst reading over the end of ``text``, computed off the event loop (about 6 ms a thousand characters).

    The prompt is left out: an answer about code quotes it, often at length. One that does nothing else but quote says
    it again sooner or later, and that is seen.
    """
    share = min(NEWEST / len(text), 1.0) if text else 1.0
    chances = logprobs[len(logprobs) - round(share * len(logprobs)) :]
    return await asyncio.to_thread(read_text, text[-NEWEST:], "", chances)


async def read_turn(text: str, calls: Sequence[ToolCall], logprobs: Sequence[float] = ()) -> Reading:
    """The worst reading over what a turn says and what it writes by its calls, each read by itself."""
    readings = [await read_answer(text, logprobs)]
    readings += [await read_answer(each) for call in calls for each in written(call)]
    return max(readings, key=lambda reading: (reading.alarm, reading.proximity))


def written(call: ToolCall) -> Iterator[str]:
    """The long texts among a call's arguments; all of them where they cannot be read."""
    try:
        given = read_json(call.arguments)
    except ValueError:
        given = {"": call.arguments}
    values = given.values() if isinstance(given, dict) else ()
    yield from (value for value in values if isinstance(value, str) and len(value) >= WRITTEN)


def as_report(reading: Reading) -> Report:
    """What a provider that does not loop says of a turn."""
    proximity = round(1000 * reading.proximity)
    return Report(exit=SINGLE_PASS, proximity_milli=proximity, signal=reading.signal, alarm=reading.alarm)
