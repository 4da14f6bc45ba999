"""From a step of the plan to variants: texts from the model or given ones, without those already seen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import replace

from governance.grounding.policy import proximity_of
from governance.pipeline.context import OpContext
from governance.repair.failure_context import FailureContext
from governance.repair.prompt import header, hole, room_of, surroundings
from governance.repair.ranking import PassingVariant, Variant
from governance.repair.search_plan import Given, Step, Wave, by_function
from governance.repair.search_progress import Node
from governance.repair.spans import Move, ParsedFile, Span, lines_of
from kernel.provider import (
    DivergeRequest,
    Infill,
    Infiller,
    InfillRequest,
    InfillSpan,
    Preparer,
    Provider,
    WeighRequest,
)
from kernel.tokens import estimate_tokens
from ledger.errors import ProviderError
from ledger.events.repair import HolesInfilled
from ledger.vocabulary import Phase

CAUTIOUS = 0.5
"""Factor of the temperature after a collapse."""


async def variants_of(node: Node, step: Step, ctx: OpContext, seed: int) -> tuple[list[Variant], int]:
    """Variants that the node has not seen yet, likely ones first; and the number of the model's answers."""
    if isinstance(step, Given):
        return await asyncio.to_thread(_distinct_given, node, step), 0
    infills: list[tuple[str, Span, Infill]] = []
    await load_model(ctx.client.provider)  # before the slot is taken: loading is no work of this op
    async with ctx.services.heavy:
        began = ctx.services.clock.monotonic()
        for places in await asyncio.to_thread(by_function, step, node.scene.sources):
            infills += await _ask(node.scene, step, places, ctx, seed)
        took = ctx.services.clock.monotonic() - began
    variants = await asyncio.to_thread(_distinct, node, infills)
    await ctx.record.note(
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


async def load_model(provider: Provider) -> None:
    """Wait until a model is loaded. Its errors are raised by the next request."""
    if isinstance(provider, Preparer):
        with contextlib.suppress(ProviderError):
            await provider.prepare()


async def _ask(
    scene: FailureContext, wave: Wave, places: Sequence[tuple[str, Span]], ctx: OpContext, seed: int
) -> list[tuple[str, Span, Infill]]:
    """Fill the holes of one function in one request, so that their common prefix is computed once."""
    settings, left = ctx.services.settings.repair, ctx.resources.regrounding

    def request() -> InfillRequest:
        head = header(scene.shown(settings.examples), left.evidence_lines)
        path, span = places[0]
        room = room_for(head, scene.sources[path], span.line, ctx)
        spans = [
            hole(
                path,
                scene.sources[path],
                span,
                head,
                max_tokens=wave.max_tokens,
                max_chars=room,
                bare=left.caution_milli > 0,
            )
            for path, span in places
        ]
        return InfillRequest(
            spans=tuple(spans),
            samples=wave.samples,
            seed=seed,
            caution_milli=left.caution_milli,
            temperature=wave.temperature * (CAUTIOUS if left.caution_milli else 1),
        )

    asked = await asyncio.to_thread(request)
    infills = None
    if wave.others > 1:
        texts = tuple(replaced_line(scene.sources[path].text, span) for path, span in places)
        other = DivergeRequest(spans=asked.spans, texts=texts, answers=wave.others, caution_milli=left.caution_milli)
        infills = await ctx.client.diverge(Phase.GENERATE, f"diverge: {wave.name}", other)
    if infills is None:
        infills = await ctx.client.infill(Phase.GENERATE, f"infill: {wave.name}", asked)
    return [(*places[infill.span], infill) for infill in infills]


def room_for(head: str, source: ParsedFile, line: int, ctx: OpContext) -> int:
    """Characters of context around a hole at ``line``, by the model's tokens per character there. For a thread."""
    first, last, _ = surroundings(source, line)
    provider, tokens = ctx.client.provider, ctx.services.settings.repair.context_tokens
    count = provider.count_tokens if isinstance(provider, Infiller) else estimate_length
    return room_of(tokens, head + source.text[first:last], count)


def estimate_length(text: str) -> int:
    return estimate_tokens(len(text))


def replaced_line(text: str, span: Span) -> str:
    """The first line of the text in a hole."""
    return text[span.start : span.end].partition("\n")[0]


def _distinct(node: Node, infills: Sequence[tuple[str, Span, Infill]]) -> list[Variant]:
    found: dict[tuple[str, str], Variant] = {}
    for path, span, infill in sorted(infills, key=lambda row: -row[2].logprob_milli):
        variant = Variant(
            path=path,
            base=node.scene.sources[path].text,
            span=span,
            text=infill.text.rstrip(),
            logprob_milli=infill.logprob_milli,
            proximity_milli=proximity_of(infill.report),
            signal=infill.report.signal if infill.report else "",
        )
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
    """Identity of a variant; None when it does not parse, changes nothing, or was seen."""
    key = (variant.path, node.scene.sources[variant.path].shape_with(variant.span, variant.text))
    return key if key[1] and key not in node.seen else None


def changed_lines(source: ParsedFile, after: str) -> tuple[Span, str, str]:
    """The hole with all lines in which ``after`` differs, its text, and the text of ``after``. Pure.

    Neither text has the indentation of the first line.
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


async def weighed(survivors: Sequence[PassingVariant], ctx: OpContext) -> list[PassingVariant]:
    """The variants in their order, with their likelihood where the model supports that."""
    request = await asyncio.to_thread(_request, survivors, ctx)
    async with ctx.services.heavy:
        said = await ctx.client.weigh(Phase.GENERATE, "weigh: repairs", request)
    if said is None:
        return list(survivors)
    rows = zip(survivors, said[::2], said[1::2], strict=True)
    return [replace(survivor, gain_milli=after - before) for survivor, before, after in rows]


def _request(survivors: Sequence[PassingVariant], ctx: OpContext) -> WeighRequest:
    settings = ctx.services.settings.repair
    spans: list[InfillSpan] = []
    texts: list[str] = []
    for survivor in survivors:
        scene, path = survivor.scene, survivor.variant.path
        head = header(scene.shown(settings.examples))
        span, before, after = changed_lines(scene.sources[path], survivor.variant.source)
        room = room_for(head, scene.sources[path], span.line, ctx)
        asked = hole(path, scene.sources[path], span, head, max_tokens=1, max_chars=room)
        spans += [asked, asked]
        texts += [before, after]
    return WeighRequest(spans=tuple(spans), texts=tuple(texts))
