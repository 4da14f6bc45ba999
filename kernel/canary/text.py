"""The same features on finished text, for models of which only the text comes back."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence

from kernel.canary.detector import Canary
from kernel.canary.levels import TEXT, Levels, load_levels
from kernel.canary.reading import QUIET, CanaryReading, TokenStep
from kernel.provider import Report, ToolCall
from ledger.parsers.json import read_json

# Names and numbers, signs, line ends. Spaces are left out. A name is one piece, however many words it has: cut at its
# underscores, rows like `a_limit = settings.a_limit,` would hold little that is new. Every piece has an end, for
# "aaaa..." must become many, and a script without spaces between its words is cut by character.
UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
PIECE = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]{{1,24}}|[^\w\s]{{1,16}}|\n+")


def split_pieces(text: str) -> list[str]:
    """``text`` cut into word-like pieces, about as long as tokens."""
    return PIECE.findall(text)


def steps_of_text(
    text: str, prompt: str = "", logprobs: Sequence[float] | None = None
) -> tuple[list[int], list[TokenStep]]:
    """Prompt and text as numbers, each piece its own; the second as steps.

    ``logprobs`` (nats, one for each token of the provider) are laid over the pieces by their place in the text.
    """
    numbers: dict[str, int] = {}

    def number(found: Sequence[str]) -> list[int]:
        return [numbers.setdefault(piece, len(numbers)) for piece in found]

    before, after = number(split_pieces(prompt)), number(split_pieces(text))
    if not logprobs:
        return before, [TokenStep(token, None, None, None) for token in after]
    places = (at * len(logprobs) // len(after) for at in range(len(after)))
    return before, [TokenStep(token, None, None, logprobs[place]) for token, place in zip(after, places, strict=True)]


def read_text(
    text: str, prompt: str = "", logprobs: Sequence[float] | None = None, *, levels: Levels | None = None
) -> CanaryReading:
    """The worst reading over the text; ``alarm`` when any place of it raised one.

    Without ``logprobs`` garbage is seen only where it repeats: words alone do not tell what a model found absurd.
    """
    before, steps = steps_of_text(text, prompt, logprobs)
    canary = Canary(levels or load_levels(TEXT), before)
    worst, alarm = QUIET, False
    for step in steps:
        reading = canary.push(step)
        alarm = alarm or reading.alarm
        if reading.proximity > worst.proximity:
            worst = reading
    return worst._replace(alarm=alarm)


SINGLE_PASS = "single_pass"
WRITTEN = 400  # characters of an argument that is more than a name or an address: contents of a file, a command
NEWEST = 1 << 16  # characters; a collapse goes on to the end, and a server may send many megabytes


async def read_answer(text: str, logprobs: Sequence[float] = ()) -> CanaryReading:
    """The worst reading over the end of ``text``, computed off the event loop (about 6 ms a thousand characters).

    The prompt is left out: an answer about code quotes it, often at length. One that does nothing else but quote says
    it again sooner or later, and that is seen.
    """
    share = min(NEWEST / len(text), 1.0) if text else 1.0
    chances = logprobs[len(logprobs) - round(share * len(logprobs)) :]
    return await asyncio.to_thread(read_text, text[-NEWEST:], "", chances)


async def read_turn(text: str, calls: Sequence[ToolCall], logprobs: Sequence[float] = ()) -> CanaryReading:
    """The worst reading over what a turn says and what it writes by its calls, each read by itself."""
    readings = [await read_answer(text, logprobs)]
    readings += [await read_answer(each) for call in calls for each in long_arguments(call)]
    return max(readings, key=lambda reading: (reading.alarm, reading.proximity))


def long_arguments(call: ToolCall) -> Iterator[str]:
    """The long texts among a call's arguments; all of them where they cannot be read."""
    try:
        given = read_json(call.arguments)
    except ValueError:
        given = {"": call.arguments}
    values = given.values() if isinstance(given, dict) else ()
    yield from (value for value in values if isinstance(value, str) and len(value) >= WRITTEN)


def report_of(reading: CanaryReading) -> Report:
    """What a provider that does not loop says of a turn."""
    proximity = round(1000 * reading.proximity)
    return Report(exit=SINGLE_PASS, proximity_milli=proximity, signal=reading.signal, alarm=reading.alarm)
