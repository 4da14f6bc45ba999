"""Cloze repair: localise the fault, fill holes, filter, test and rank the variants. Needs a model that only infills.

The search starts with one base, the op's tree. A variant that turns some of the failing tests green becomes a base of
its own, and all bases are searched in turn until one of them is repaired completely.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Collection, Sequence

from governance.grounding.claims import preferred_bp
from governance.grounding.trust import TrustKey, trust_bp
from governance.irongate.op.g19_recursion import change_hash, diff_hash
from governance.pipeline.context import OpContext
from governance.repair.comparison import disagreement
from governance.repair.failure_context import FailureContext
from governance.repair.moves import Complaint
from governance.repair.partial_repairs import PartialRepairs
from governance.repair.proposal import Proposal
from governance.repair.ranking import (
    Partial,
    PassingVariant,
    Variant,
    changed_characters,
    merits,
    order,
    removes,
    shortcut,
)
from governance.repair.search_plan import LINES, MOVES, Step, line_at, moves_at, places_of, plan
from governance.repair.search_progress import Node
from governance.repair.search_resume import key_of, note_step, steps_before
from governance.repair.variant_runner import VariantRunner, at_once
from governance.repair.variants import load_model, variants_of, weighed
from kernel.canary import CollapseDetected
from ledger.errors import BudgetExhausted, ProviderError
from ledger.events.repair import RepairsRanked, VariantsTested
from ledger.vocabulary import SEARCH, Candidate, Operation, RootCause, Spend

PATIENCE, SHORTCUT_PATIENCE, DOUBT_PATIENCE = 3, 9, 9
"""Further steps after the first passing variant, when it leaves other tests red, may circumvent the test, removes code,
or is less likely to the model than the original."""
DOUBT_S = 30.0
"""Minimum seconds of further search after a clean repair; more if finding that repair took longer."""
RIVALS, RIVAL_PLACES = 3, 3
"""Before a repair is chosen: number of places of passing variants at which the model fills a hole, too; and number
of suspicious lines at which moves are tried, in multiples of ``first_places``."""

SHOWN = 12
"""Number of passing variants that are recorded, best first."""
WITHHELD = "; a change that was refused, undone or rejected before is not proposed again (gate19.undone)"

UNREADABLE = "; left alone: {}, not UTF-8 or with mixed line endings"


def counted(number: int, what: str) -> str:
    """``1 infill``, ``2 infills``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


class ClozeSearch:
    """One search for a repair of the failure ``scene``. ``rejected``: hashes of changes that later phases have refused.

    Requests and test runs of an earlier search for the same failure (``ctx.resources.search``) are not repeated.
    """

    def __init__(self, *, op: Operation, ctx: OpContext, scene: FailureContext, rejected: Collection[str]) -> None:
        self._op = op
        self._crew = ctx
        self._scene = scene
        self._rejected = rejected
        self._withheld = False  # whether a rejected change was found in this search
        self._settings = ctx.services.settings.repair
        self._progress = ctx.resources.search
        self._key = key_of(op.tree, scene, ctx.client.provider.model, self._settings)
        self._progress.begin((op.tree, scene.places), self._new_node(scene))
        self._partial_repairs = PartialRepairs(ctx, self._progress.nodes, self._new_node)
        self._deadline = ctx.services.clock.monotonic() + self._settings.search_s
        self._spend_before = ctx.record.spend

    def _is_late(self) -> bool:
        """Whether the search's time is up, or less than the reserve of the op's time remains."""
        op_is_late = self._crew.clock.remaining_s() < self._settings.reserve_s
        return op_is_late or self._crew.services.clock.monotonic() > self._deadline

    async def run(self, bench: VariantRunner) -> Proposal:
        """Take steps until a variant passes (and some more, for a better one) or the time is up."""
        progress, extra_steps, clock = self._progress, 0, self._crew.services.clock
        began, until = clock.monotonic(), math.inf
        await self._resume(progress.nodes[0])
        found = [s for s in progress.survivors if not self._is_rejected(s.scene, s.variant)]
        while not any(is_clean(s) and is_likely(s) and not s.takes_away for s in found):
            now = clock.monotonic()
            if until == math.inf and any(map(is_clean, found)):
                until = now + max(DOUBT_S, now - began)
            node = progress.next()
            if node is None or self._is_late() or extra_steps >= allowed_extra_steps(found) or now >= until:
                break
            step = await asyncio.to_thread(node.step)
            if step is None:
                node.live = False
                continue
            node.turns += 1
            extra_steps += bool(found)
            try:
                found += await self._take_step(node, step, bench)
            except CollapseDetected:
                node.given.appendleft(step)  # repeated later, with fresh evidence
                node.turns -= 1
                if not found:
                    raise
                break
        if any(is_clean(s) for s in found):
            found += await self._find_rivals(found, bench)
        if found:
            chosen, *rest = sorted(found, key=order)
            await self._record_ranking([chosen, *rest])
            doubt = "" if self._is_late() else await disagreement(chosen, rest, bench, self._crew)
            return self._propose(chosen, rest, doubt)
        reason = (
            f"{counted(progress.asked, 'infill')} at {counted(len(self._scene.places), 'suspicious line')} gave "
            f"{counted(progress.distinct, 'distinct candidate')}; {progress.tested} tested, none turned "
            f"{self._scene.title} green{WITHHELD if self._withheld else ''}"
            f"{'; tried were ' + progress.summary if progress.summary else ''}"
            f"{UNREADABLE.format(', '.join(self._scene.unreadable[:3])) if self._scene.unreadable else ''}"
        )
        return Proposal(candidate=None, reason=reason, cause=RootCause.NO_CANDIDATE, tried=progress.tested)

    async def _take_step(self, node: Node, step: Step, bench: VariantRunner) -> list[PassingVariant]:
        """Take one step: request texts, test them, and keep the results."""
        variants, answers = await variants_of(node, step, self._crew, self._settings.seed + node.turns - 1)
        self._progress.asked += answers
        node.tried |= {(step.name, *place) for place in places_of(step)}
        survivors = await self._with_likelihood(await self._test_variants(node, step, variants, bench))
        self._progress.survivors += survivors
        if node.parent is None:
            mended = len(self._progress.survivors) + len(node.partials)
            await note_step(self._crew.record, self._key, node.turns, mended)
        return survivors

    async def _resume(self, root: Node) -> None:
        """Skip the steps that were taken without success for the same tree and lines before a crash."""
        if root.turns == 0:
            for _ in range(await steps_before(self._crew.record, self._key)):
                await asyncio.to_thread(next, root.plan, None)
                root.turns += 1

    async def _find_rivals(self, found: Sequence[PassingVariant], bench: VariantRunner) -> list[PassingVariant]:
        """Further passing variants: moves and infills at the places of passing variants where they were not tried yet.

        A rewrite or a flipped operator that passes can hide the right repair at the same place. As the mistake can be
        on another line, moves are also tried at the first suspicious lines.
        """
        rivals: list[PassingVariant] = []
        places = list(dict.fromkeys((self._node_of(s.scene), s.variant.path, s.variant.span.line) for s in found))
        for node in dict.fromkeys(node for node, *_ in places):
            near = [(p.path, p.line) for p in node.scene.places[: RIVAL_PLACES * self._settings.first_places]]
            asked = [(path, line) for of, path, line in places[:RIVALS] if of is node]
            untried = [place for place in dict.fromkeys([*asked, *near]) if (MOVES, *place) not in node.tried]
            if self._settings.moves and untried and not self._is_late():
                reported = complaints(node.scene, self._settings.examples)
                moves = await asyncio.to_thread(moves_at, untried, node.scene.sources, reported)
                rivals += await self._take_step(node, moves, bench)
        for node, path, line in places[:RIVALS]:
            if (LINES, path, line) not in node.tried and not self._is_late():
                with contextlib.suppress(ProviderError, BudgetExhausted):  # the repairs found before are kept
                    wave = line_at(path, line, node.scene.sources, sampled=self._settings.sampled)
                    rivals += await self._take_step(node, wave, bench)
        return rivals

    def _node_of(self, scene: FailureContext) -> Node:
        return next(node for node in self._progress.nodes if node.scene is scene)

    async def _with_likelihood(self, found: Sequence[PassingVariant]) -> list[PassingVariant]:
        """The passing variants, the best of them with the model's likelihood if it can compute one."""
        ranked = sorted(found, key=order)
        if not ranked or self._is_late():
            return ranked
        with contextlib.suppress(ProviderError, BudgetExhausted):  # unranked repairs are kept
            await load_model(self._crew.client.provider)
            return [*await weighed(ranked[:SHOWN], self._crew), *ranked[SHOWN:]]
        return ranked

    async def _record_ranking(self, ranked: Sequence[PassingVariant]) -> None:
        await self._crew.record.note(
            RepairsRanked(
                merits=[merits(s).model_dump(mode="json") for s in ranked[:SHOWN]],
                survivors=[
                    [s.variant.path, s.variant.span.line, s.variant.text[:80], s.size, s.variant.votes, s.gain_milli]
                    for s in ranked[:SHOWN]
                ],
            )
        )

    def _new_node(self, scene: FailureContext, parent: Node | None = None, change: Partial | None = None) -> Node:
        settings = self._settings
        steps = plan(
            scene.places,
            scene.sources,
            first=settings.first_places,
            batch=settings.batch,
            moves=settings.moves,
            sampled=settings.sampled,
            complaints=complaints(scene, settings.examples),
        )
        nodes = self._progress.nodes
        return Node(
            number=len(nodes) if parent else 0,
            scene=scene,
            plan=steps,
            parent=parent,
            change=change,
            mended=parent.mended + len(change.fixed) if parent and change else 0,
            turns=min((n.turns for n in nodes if n.live), default=0) if parent else 0,
        )

    async def _test_variants(
        self, node: Node, step: Step, variants: Sequence[Variant], bench: VariantRunner
    ) -> list[PassingVariant]:
        """Run the failing tests on every variant, then the wider scope on variants that make all of them pass.

        Variants that make some of them pass can become bases.
        """
        fresh = [v for v in variants if not self._is_rejected(node.scene, v)]
        if not fresh:
            return []
        goal = {r.id for r in node.scene.failing}
        async with self._crew.services.heavy:
            began = self._crew.services.clock.monotonic()
            turned = await bench.turned(node.scene, fresh, self._is_late)
            fresh = fresh[: len(turned)]
            self._progress.tested += len(fresh)
            green = [v for v, fixed in zip(fresh, turned, strict=True) if fixed == goal]
            survivors: list[PassingVariant] = []
            for variant in green:
                if not (survivors and self._is_late()):
                    survivors.append(await self._evaluate(node.scene, variant, bench))
            await self._crew.record.note(
                VariantsTested(
                    wave=step.name,
                    base=node.number,
                    tested=len(fresh),
                    green=len(green),
                    clean=sum(s.newly_red == 0 for s in survivors),
                    partial=sum(0 < len(fixed) < len(goal) for fixed in turned),
                    ms=round(1000 * (self._crew.services.clock.monotonic() - began)),
                )
            )
            if self._settings.branches and not any(s.newly_red == 0 for s in survivors):
                partials = [
                    await self._partial_repair(node.scene, v, fixed)
                    for v, fixed in zip(fresh, turned, strict=True)
                    if fixed and fixed != goal  # a variant that fixes all of them but breaks others is no base
                ]
                await self._partial_repairs.keep(node, partials, bench)
        return [s for s in survivors if s.newly_red == 0]

    async def _evaluate(self, scene: FailureContext, variant: Variant, bench: VariantRunner) -> PassingVariant:
        passed, newly_red, still_red = await bench.wider(scene, variant)
        circumvention, removes_code, size = await asyncio.to_thread(describe_change, scene, variant)
        key = TrustKey(kind="strategy", name=f"{SEARCH}/{variant.way}")
        return PassingVariant(
            scene=scene,
            variant=variant,
            passed=passed,
            newly_red=newly_red,
            still_red=still_red,
            shortcut=circumvention,
            takes_away=removes_code,
            size=size,
            trust_bp=trust_bp(self._crew.services.trust.of(key)),
        )

    async def _partial_repair(self, scene: FailureContext, variant: Variant, fixed: frozenset[str]) -> Partial:
        circumvention, _, size = await asyncio.to_thread(describe_change, scene, variant)
        return Partial(variant=variant, fixed=fixed, shortcut=circumvention, size=size)

    def _is_rejected(self, scene: FailureContext, variant: Variant) -> bool:
        if not self._rejected:
            return False
        candidate = self._candidate(scene, variant)
        known = diff_hash(candidate) in self._rejected
        known = known or change_hash(candidate, scene.originals) in self._rejected
        self._withheld |= known
        return known

    def _candidate(self, scene: FailureContext, variant: Variant) -> Candidate:
        provider = self._crew.client.provider
        why = "; ".join(part.what for part in (*self._parts(scene), variant))
        spent = self._crew.record.spend
        return Candidate(
            edits=scene.edits(variant.path, variant.source, why),
            rationale=why,
            provider=provider.name,
            model=provider.model,
            strategy=SEARCH,
            spend=Spend(
                usd_micro=spent.usd_micro - self._spend_before.usd_micro,
                tokens_in=spent.tokens_in - self._spend_before.tokens_in,
                tokens_out=spent.tokens_out - self._spend_before.tokens_out,
                calls=spent.calls - self._spend_before.calls,
            ),
        )

    def _parts(self, scene: FailureContext) -> list[Variant]:
        """The changes that a base contains, oldest first."""
        node: Node | None = self._node_of(scene)
        parts: list[Variant] = []
        while node is not None:
            parts += [node.change.variant] if node.change is not None else []
            node = node.parent
        return parts[::-1]

    def _propose(self, survivor: PassingVariant, others: Sequence[PassingVariant], doubt: str) -> Proposal:
        note = (
            f"{self._progress.asked} infills, {self._progress.distinct} distinct, {self._progress.tested} tested, "
            f"{1 + len(others)} turned the test green"
        )
        notes = (note, f"the repair may circumvent the test: {survivor.shortcut}") if survivor.shortcut else (note,)
        candidate = self._candidate(survivor.scene, survivor.variant)
        reads = self._scene.reads | survivor.scene.reads
        parts = (*self._parts(survivor.scene), survivor.variant)
        return Proposal(
            candidate=candidate,
            reason=note,
            tried=self._progress.tested,
            notes=notes,
            reads=reads,
            shown=self._node_of(survivor.scene).shown(self._settings.examples),
            repaired=tuple(r.id for r in self._scene.failing),
            doubt=doubt,
            way=survivor.variant.way,
            confidence_bp=preferred_bp(survivor.gain_milli, [other.gain_milli for other in others]),
            proximity_milli=max((v.proximity_milli for v in parts), default=0),
            signal=survivor.variant.signal,
        )


def describe_change(scene: FailureContext, variant: Variant) -> tuple[str, bool, int]:
    """How a variant may circumvent a failing test, whether it removes code, and its number of changed characters.

    May take long: call it in a thread.
    """
    before, after = scene.sources[variant.path].text, variant.source
    tests = [text for example in scene.examples for text in (example.source, *example.data)]
    circumvention = shortcut(before, after, tests, [result.exception for result in scene.failing])
    return circumvention, removes(before, after), changed_characters(before, after)


def complaints(scene: FailureContext, most: int) -> list[Complaint]:
    """Exceptions and messages of the failing tests that are shown to the model."""
    return [Complaint(e.result.exception, e.result.message, scene.offered) for e in scene.shown(most)]


def allowed_extra_steps(found: Sequence[PassingVariant]) -> int:
    """Number of further steps to find a better variant than ``found``."""
    if all(s.shortcut for s in found):
        return SHORTCUT_PATIENCE
    return DOUBT_PATIENCE if not any(is_likely(s) and not s.takes_away for s in found) else PATIENCE


def is_clean(survivor: PassingVariant) -> bool:
    """Whether it makes all tests pass and seems to circumvent none."""
    return not survivor.shortcut and survivor.still_red == 0


def is_likely(survivor: PassingVariant) -> bool:
    """Whether the model finds it likelier than the original (mistakes are unlikely), or gave no likelihood."""
    return survivor.gain_milli is None or survivor.gain_milli > 0


async def cloze(op: Operation, ctx: OpContext, scene: FailureContext, rejected: Collection[str]) -> Proposal:
    """Search for a repair of ``scene``; its workspaces are released in any case."""
    runner = ctx.services.runner
    if runner is None:
        raise RuntimeError("a search needs a test runner")
    async with contextlib.AsyncExitStack() as stack:
        places = []
        for index in range(at_once(ctx.services.settings.repair)):
            workspace = await stack.enter_async_context(ctx.workspace(op, suffix=f"-t{index}"))
            places.append((workspace, await stack.enter_async_context(runner.warm(workspace))))
        bench = VariantRunner(ctx=ctx, places=places)
        return await ClozeSearch(op=op, ctx=ctx, scene=scene, rejected=rejected).run(bench)
