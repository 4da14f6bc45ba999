"""Partial repairs as bases of the search: selection, a run under coverage, combination with other partial repairs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace

from governance.pipeline.context import OpContext
from governance.repair.failure_context import FailureContext, read_context
from governance.repair.moves import Proposed
from governance.repair.ranking import Partial, Variant
from governance.repair.search_plan import Given
from governance.repair.search_progress import Node
from governance.repair.spans import ParsedFile
from governance.repair.variant_runner import VariantRunner
from ledger.events.repair import PartialRepairKept
from ledger.vocabulary import RunStatus, TestRun
from tools.workspace import Workspace

MakeNode = Callable[[FailureContext, Node, Partial], Node]


class PartialRepairs:
    """``nodes`` are those of the search; ``make`` creates a node with its plan."""

    def __init__(self, ctx: OpContext, nodes: list[Node], make: MakeNode) -> None:
        self._crew, self._nodes, self._make = ctx, nodes, make
        self._settings = ctx.services.settings.repair

    async def keep(self, node: Node, partials: Sequence[Partial], bench: VariantRunner) -> None:
        """Make bases of the best partial repairs found on ``node``. The caller holds the heavy slot."""
        for base in self._nodes:
            if base.live and base.parent is node:
                give(base, partials)
        node.partials += partials
        for partial in worth_keeping(partials, self._settings.branches):
            bases = [n for n in self._nodes if n.parent is not None]
            if len(bases) >= self._settings.bases or any(outdoes(n, node, partial) for n in bases):
                continue
            live = sorted((n for n in bases if n.live), key=worth)
            full = len(live) >= self._settings.branches
            if full and worth(live[0]) >= (node.mended + len(partial.fixed), -partial.size):
                continue
            if await self._grow(node, partial, bench) and full:
                live[0].live = False

    async def _grow(self, node: Node, partial: Partial, bench: VariantRunner) -> bool:
        """Add a base with ``partial`` applied; False when it turns any other test red."""
        scene, variant = node.scene, partial.variant

        async def seen(workspace: Workspace, run: TestRun) -> FailureContext | None:
            red_before = {r.id for r in scene.base.red}
            failing = tuple(r for r in run.red if r.id in {f.id for f in scene.failing} - partial.fixed)
            worse = [r.id for r in run.red if r.id not in red_before or r.id in partial.fixed]
            if run.status is not RunStatus.RED or worse or not failing:
                return None
            return await asyncio.to_thread(
                read_context,
                workspace,
                run,
                failing,
                around(variant),
                behind=scene,
                ranked=self._settings.localised,
                done={**scene.done, variant.path: variant.source},
            )

        found = await bench.looked_at(scene, variant, seen)
        if found is None:
            return False
        base = self._make(found, node, partial)
        give(base, [p for p in node.partials if p is not partial])
        self._nodes.append(base)
        await self._crew.record.note(
            PartialRepairKept(
                base=base.number,
                of=node.number,
                path=variant.path,
                line=variant.span.line,
                mended=base.mended,
                left=len(found.failing),
            )
        )
        return True


def around(variant: Variant) -> dict[str, frozenset[int]]:
    """The lines of the changed function, which are ranked like recent changes: where one mistake was, others may be."""
    source = ParsedFile(variant.source)
    function = source.function_at(min(variant.span.line, len(source.lines)))
    if function is None:
        return {}
    return {variant.path: frozenset(range(function.lineno, (function.end_lineno or function.lineno) + 1))}


def give(base: Node, partials: Sequence[Partial]) -> None:
    """Queue other partial repairs, to be tried on top of this base first."""
    if base.change is not None:
        texts = carried(base.change.variant, partials, [r.id for r in base.scene.failing])
        if texts:
            base.given.append(Given(name="together", proposals=texts))


def worth(base: Node) -> tuple[int, int]:
    """Sort key: more tests repaired, then the smaller change, since a rewrite can hinder further repairs."""
    return base.mended, -(base.change.size if base.change else 0)


def outdoes(base: Node, parent: Node, partial: Partial) -> bool:
    """Whether ``base`` repairs the same tests as ``partial``, by no larger change."""
    known = base.change
    return base.parent is parent and known is not None and known.fixed == partial.fixed and known.size <= partial.size


def order(partial: Partial, before: int = 0) -> tuple[int, int, int, int]:
    """Sort key: more repaired tests, then the smaller change. ``before``: tests that its base had repaired."""
    variant = partial.variant
    return -(len(partial.fixed) + before), partial.size // 8, -variant.votes, -variant.logprob_milli


def worth_keeping(found: Iterable[Partial], most: int) -> list[Partial]:
    """The best partial repair for each set of tests, best first, without those that may circumvent a test."""
    best: dict[frozenset[str], Partial] = {}
    for partial in sorted((p for p in found if not p.shortcut), key=order):
        best.setdefault(partial.fixed, partial)
    return list(best.values())[:most]


def carried(kept: Variant, others: Iterable[Partial], left: Collection[str]) -> tuple[tuple[str, Proposed], ...]:
    """The changes of ``others`` that repair some of the tests ``left``, moved to the text with ``kept`` applied."""
    found = []
    for other in others:
        moved = _moved(kept, other.variant) if other.fixed & frozenset(left) else None
        if moved is not None:
            found.append((other.variant.path, moved))
    return tuple(dict.fromkeys(found))


def _moved(kept: Variant, other: Variant) -> Proposed | None:
    """``other``'s change in the text with ``kept`` applied; None where the two overlap."""
    span, made = other.span, kept.span
    if kept.path == other.path and span.end > made.start:
        if span.start < made.end:
            return None
        written = made.lead + kept.text + made.tail
        further = len(written) - (made.end - made.start)
        span = replace(span, start=span.start + further, end=span.end + further)
    return Proposed(span, other.text, other.kind)
