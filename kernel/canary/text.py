"""The canary on finished text, for models that return no token distributions."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator, Sequence

from kernel.canary.detector import Canary
from kernel.canary.levels import TEXT, Levels, load_levels
from kernel.canary.reading import QUIET, CanaryReading, TokenStep
from kernel.provider import Report, ToolCall
from ledger.parsers.json import read_json

# Names and numbers, signs, line ends; spaces are dropped. A name is one piece, underscores included: if it were split
# there, harmless rows like `a_limit = settings.a_limit,` would look repetitive. The length is bounded, because
# "aaaa..." must become many pieces, and scripts without spaces are split by character.
UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
PIECE = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]{{1,24}}|[^\w\s]{{1,16}}|\n+")
SINGLE_PASS = "single_pass"
LONG_ARGUMENT = 400  # characters; such an argument is content (a file, a command) rather than a name or path
TAIL_CHARS = 1 << 16  # characters read: a collapse continues to the end, and a server may send many megabytes


def split_pieces(text: str) -> list[str]:
    """``text`` split into word-like pieces, about as long as tokens."""
    return PIECE.findall(text)


def steps_of_text(
    text: str, prompt: str = "", logprobs: Sequence[float] | None = None
) -> tuple[list[int], list[TokenStep]]:
    """Numbers of the prompt's pieces, and the text's pieces as steps; equal pieces have equal numbers.

    ``logprobs`` (nats, one per token of the provider) are spread over the pieces by position.
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
    """The worst reading over the text; ``alarm`` when any position raised one.

    Without ``logprobs`` garbage is detected only where it repeats.
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


async def read_answer(text: str, logprobs: Sequence[float] = ()) -> CanaryReading:
    """The worst reading over the end of ``text``, computed off the event loop (about 6 ms per thousand characters).

    The prompt is left out: an answer about code quotes it at length, which is no collapse. An answer that quotes
    without end repeats itself eventually, which is detected.
    """
    share = min(TAIL_CHARS / len(text), 1.0) if text else 1.0
    chances = logprobs[len(logprobs) - round(share * len(logprobs)) :]
    return await asyncio.to_thread(read_text, text[-TAIL_CHARS:], "", chances)


async def read_turn(text: str, calls: Sequence[ToolCall], logprobs: Sequence[float] = ()) -> CanaryReading:
    """The worst reading over the text of a turn and the long arguments of its calls, each read separately."""
    readings = [await read_answer(text, logprobs)]
    readings += [await read_answer(each) for call in calls for each in long_arguments(call)]
    return max(readings, key=lambda reading: (reading.alarm, reading.proximity))


def long_arguments(call: ToolCall) -> Iterator[str]:
    """The long texts among a call's arguments; the raw text when they cannot be parsed."""
    try:
        given = read_json(call.arguments)
    except ValueError:
        given = {"": call.arguments}
    values = given.values() if isinstance(given, dict) else ()
    yield from (value for value in values if isinstance(value, str) and len(value) >= LONG_ARGUMENT)


def report_of(reading: CanaryReading) -> Report:
    """The report of a turn of a provider that does not loop."""
    proximity = round(1000 * reading.proximity)
    return Report(exit=SINGLE_PASS, proximity_milli=proximity, signal=reading.signal, alarm=reading.alarm)
