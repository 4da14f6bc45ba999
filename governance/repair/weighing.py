"""What the model thinks of repairs that it need not have written: how much likelier each is than what it replaces.

The likelihood of the changed lines in their place, less that of the lines that stood there, so that repairs in
different places can be compared: where the mistake is, a model is surprised by what it reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from governance.crew import Crew
from governance.repair.asking import room_for
from governance.repair.prompt import header, hole
from governance.repair.ranking import Survivor
from governance.repair.spans import Move, Source, Span, lines_of
from kernel.provider import InfillSpan, WeighRequest
from ledger.vocabulary import State


def changed_lines(source: Source, after: str) -> tuple[Span, str, str]:
    """The hole that holds all lines in which ``after`` differs, what stands in it, and what ``after`` has there. Pure.

    The indentation of the first line belongs to neither.
    """
    old, new = source.lines, lines_of(after)
    top = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    rest = min(len(old), len(new)) - top
    end = next((i for i in range(rest) if old[-1 - i] != new[-1 - i]), rest)
    before, behind = "".join(old[top : len(old) - end]), "".join(new[top : len(new) - end])
    indent = min(indentation(before or behind), indentation(behind or before), key=len)
    lead = indent if before.startswith(indent) else ""
    tail = "\n" if (before or behind).endswith("\n") else ""
    at = source.line_start(top + 1) if top < len(old) else len(source.text)
    span = Span(at, at + len(before), max(1, min(top + 1, len(old))), Move.BLOCK, lead=lead or indent, tail=tail)
    return span, before.removeprefix(indent).removesuffix(tail), behind.removeprefix(indent).removesuffix(tail)


def indentation(text: str) -> str:
    return text[: len(text) - len(text.lstrip(" \t"))]


async def weighed(survivors: Sequence[Survivor], crew: Crew) -> list[Survivor]:
    """The survivors, in their order, with what the model thinks of them, where it can say."""
    request = await asyncio.to_thread(_request, survivors, crew)
    async with crew.shop.heavy:
        said = await crew.asker.weigh(State.GENERATE, "weigh: repairs", request)
    if said is None:
        return list(survivors)
    rows = zip(survivors, said[::2], said[1::2], strict=True)
    return [replace(survivor, gain_milli=after - before) for survivor, before, after in rows]


def _request(survivors: Sequence[Survivor], crew: Crew) -> WeighRequest:
    settings = crew.shop.settings.repair
    spans: list[InfillSpan] = []
    texts: list[str] = []
    for survivor in survivors:
        scene, path = survivor.scene, survivor.variant.path
        head = header(scene.shown(settings.examples))
        span, before, after = changed_lines(scene.sources[path], survivor.variant.source)
        room = room_for(head, scene.sources[path], span.line, crew)
        asked = hole(path, scene.sources[path], span, head, max_tokens=1, max_chars=room)
        spans += [asked, asked]
        texts += [before, after]
    return WeighRequest(spans=tuple(spans), texts=tuple(texts))
