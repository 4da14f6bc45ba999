"""Keeps partial repairs as bases of the search: chosen, looked at under coverage, given what was found beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from governance.crew import Crew
from governance.repair.bench import Bench
from governance.repair.branches import carried, worth_keeping
from governance.repair.ranking import Partial, Variant
from governance.repair.scene import Scene, look
from governance.repair.searched import Node
from governance.repair.spans import Source
from governance.repair.waves import Given
from ledger.events.repair import PartialRepairKept
from ledger.vocabulary import RunStatus, TestRun
from tools.workspace import Workspace

MakeNode = Callable[[Scene, Node, Partial], Node]


class Bases:
    """``nodes`` are those of the search; ``make`` gives a new one its plan."""

    def __init__(self, crew: Crew, nodes: list[Node], make: MakeNode) -> None:
        self._crew, self._nodes, self._make = crew, nodes, make
        self._settings = crew.shop.settings.repair

    async def keep(self, node: Node, partials: Sequence[Partial], bench: Bench) -> None:
        """Of what was found on ``node``, make the best into bases. The caller holds the heavy slot."""
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

    async def _grow(self, node: Node, partial: Partial, bench: Bench) -> bool:
        """A base with ``partial`` in it; False when anything else is red under it."""
        scene, variant = node.scene, partial.variant

        async def seen(workspace: Workspace, run: TestRun) -> Scene | None:
            red_before = {r.id for r in scene.base.red}
            failing = tuple(r for r in run.red if r.id in {f.id for f in scene.failing} - partial.fixed)
            worse = [r.id for r in run.red if r.id not in red_before or r.id in partial.fixed]
            if run.status is not RunStatus.RED or worse or not failing:
                return None
            return await asyncio.to_thread(
                look, workspace, run, failing, around(variant), behind=scene, ranked=self._settings.localised,
                done={**scene.done, variant.path: variant.source},
            )  # fmt: skip

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
    """The lines of the function that was changed, where one mistake was: they are looked at like recent changes."""
    source = Source(variant.source)
    function = source.function_at(min(variant.span.line, len(source.lines)))
    if function is None:
        return {}
    return {variant.path: frozenset(range(function.lineno, (function.end_lineno or function.lineno) + 1))}


def give(base: Node, partials: Sequence[Partial]) -> None:
    """What mended something else beside this base, to be tried in it first."""
    if base.change is not None:
        texts = carried(base.change.variant, partials, [r.id for r in base.scene.failing])
        if texts:
            base.given.append(Given(name="together", proposals=texts))


def worth(base: Node) -> tuple[int, int]:
    """More tests mended, then the smaller change: a rewrite that passes as much may stand in the way of the rest."""
    return base.mended, -(base.change.size if base.change else 0)


def outdoes(base: Node, parent: Node, partial: Partial) -> bool:
    """A base that has mended the very tests that ``partial`` mends, by no larger change."""
    known = base.change
    return base.parent is parent and known is not None and known.fixed == partial.fixed and known.size <= partial.size
