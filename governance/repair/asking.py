"""From a step of the plan to variants: what a model writes into the holes, or what is given; known ones left out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from governance.crew import Crew
from governance.grounding.policy import felt
from governance.repair.prompt import header, hole, room_of, surroundings
from governance.repair.ranking import Variant
from governance.repair.scene import Scene
from governance.repair.searched import Node
from governance.repair.spans import Source, Span
from governance.repair.waves import Given, Step, Wave, by_function
from kernel.provider import DivergeRequest, Infill, Infiller, InfillRequest, Preparer, Provider
from kernel.tokens import estimate_tokens
from ledger.errors import ProviderError
from ledger.events.repair import HolesInfilled
from ledger.vocabulary import State

CAUTIOUS = 0.5
"""Of the temperature, behind a collapse."""


async def asked(node: Node, step: Step, crew: Crew, seed: int) -> tuple[list[Variant], int]:
    """Variants of the node's scene that were not seen there before, likely ones first; and how many answers came."""
    if isinstance(step, Given):
        return await asyncio.to_thread(_distinct_given, node, step), 0
    infills: list[tuple[str, Span, Infill]] = []
    await prepared(crew.asker.provider)  # a load is no work of this op: nobody waits for its slot meanwhile
    async with crew.shop.heavy:
        began = crew.shop.clock.monotonic()
        for places in await asyncio.to_thread(by_function, step, node.scene.sources):
            infills += await _ask(node.scene, step, places, crew, seed)
        took = crew.shop.clock.monotonic() - began
    variants = await asyncio.to_thread(_distinct, node, infills)
    await crew.record.note(
        HolesInfilled(
            wave=step.name,
            base=node.number,
            holes=len(step.spans),
            infills=len(infills),
            distinct=len(variants),
            ms=round(1000 * took),
        )
    )
    return variants, len(infills)


async def prepared(provider: Provider) -> None:
    """Until a model is loaded. What is wrong with it is told when it is asked."""
    if isinstance(provider, Preparer):
        with contextlib.suppress(ProviderError):
            await provider.prepare()


async def _ask(
    scene: Scene, wave: Wave, places: Sequence[tuple[str, Span]], crew: Crew, seed: int
) -> list[tuple[str, Span, Infill]]:
    """Holes of one function: what stands above them is computed once."""
    settings, left = crew.shop.settings.repair, crew.holdings.regrounding

    def request() -> InfillRequest:
        head = header(scene.shown(settings.examples), left.told)
        path, span = places[0]
        room = room_for(head, scene.sources[path], span.line, crew)
        spans = [
            hole(
                path, scene.sources[path], span, head, max_tokens=wave.max_tokens, max_chars=room,
                bare=left.caution_milli > 0,
            )
            for path, span in places
        ]  # fmt: skip
        return InfillRequest(
            spans=tuple(spans), samples=wave.samples, seed=seed, caution_milli=left.caution_milli,
            temperature=wave.temperature * (CAUTIOUS if left.caution_milli else 1),
        )  # fmt: skip

    asked = await asyncio.to_thread(request)
    infills = None
    if wave.others > 1:
        texts = tuple(standing(scene.sources[path].text, span) for path, span in places)
        other = DivergeRequest(spans=asked.spans, texts=texts, answers=wave.others, caution_milli=left.caution_milli)
        infills = await crew.asker.diverge(State.GENERATE, f"diverge: {wave.name}", other)
    if infills is None:
        infills = await crew.asker.infill(State.GENERATE, f"infill: {wave.name}", asked)
    return [(*places[infill.span], infill) for infill in infills]


def room_for(head: str, source: Source, line: int, crew: Crew) -> int:
    """Characters around a hole at ``line``: a model's tokens are counted on what stands there. For a thread."""
    first, last, _ = surroundings(source, line)
    provider, tokens = crew.asker.provider, crew.shop.settings.repair.context_tokens
    count = provider.count_tokens if isinstance(provider, Infiller) else estimated
    return room_of(tokens, head + source.text[first:last], count)


def estimated(text: str) -> int:
    return estimate_tokens(len(text))


def standing(text: str, span: Span) -> str:
    """What stands in a hole, as far as an answer of one line would go."""
    return text[span.start : span.end].partition("\n")[0]


def _distinct(node: Node, infills: Sequence[tuple[str, Span, Infill]]) -> list[Variant]:
    found: dict[tuple[str, str], Variant] = {}
    for path, span, infill in sorted(infills, key=lambda row: -row[2].logprob_milli):
        variant = Variant(
            path=path, base=node.scene.sources[path].text, span=span, text=infill.text.rstrip(),
            logprob_milli=infill.logprob_milli, proximity_milli=felt(infill.report),
            signal=infill.report.signal if infill.report else "",
        )  # fmt: skip
        key = _fresh(node, variant)
        if key is not None:
            known = found.get(key, variant)
            found[key] = known.with_votes(known.votes + (key in found))
    node.seen.update(found)
    return sorted(found.values(), key=lambda v: (-v.votes, -v.logprob_milli))


def _distinct_given(node: Node, step: Given) -> list[Variant]:
    found: dict[tuple[str, str], Variant] = {}
    for path, one in step.proposals:
        base = node.scene.sources[path].text
        variant = Variant(path=path, base=base, span=one.span, text=one.text, votes=0, kind=one.kind)
        key = _fresh(node, variant)
        if key is not None:
            found.setdefault(key, variant)
    node.seen.update(found)
    return list(found.values())


def _fresh(node: Node, variant: Variant) -> tuple[str, str] | None:
    """What the variant is known by; None when it does not parse, changes nothing, or was seen."""
    key = (variant.path, node.scene.sources[variant.path].shape_with(variant.span, variant.text))
    return key if key[1] and key not in node.seen else None
