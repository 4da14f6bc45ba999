"""Cloze repair: localise, infill, filter, test, rank. For a kernel that fills holes but cannot drive tools."""

from __future__ import annotations

import ast
import asyncio
import contextlib
from collections.abc import Collection, Sequence
from itertools import islice

from governance.crew import Crew
from governance.irongate.battery import change_hash, diff_hash
from governance.repair.bench import Bench
from governance.repair.prompt import Example, header, hole
from governance.repair.proposal import Proposal
from governance.repair.ranking import Survivor, Variant, best, changed_characters, copies_literal
from governance.repair.scene import Scene
from governance.repair.spans import Span
from governance.repair.waves import Wave, by_function, plan
from kernel.provider import Infill, InfillRequest
from ledger.vocabulary import Candidate, EntryKind, Operation, RootCause, Spend, State

PATIENCE = 3
"""Waves that are still asked when there is a survivor, but one that copies a literal or leaves other tests red."""


WITHHELD = "; a change that was refused, taken back or turned down before is not offered again (gate19.undone)"


def counted(number: int, what: str) -> str:
    """``1 infill``, ``2 infills``."""
    return f"{number} {what}{'' if number == 1 else 's'}"


class ClozeSearch:
    """One search over the holes of one scene. ``rejected`` are diff hashes that later phases have refused.

    What was asked and tested before in the same scene (``crew.holdings.searched``) is not asked and tested again.
    """

    def __init__(self, *, op: Operation, crew: Crew, scene: Scene, rejected: Collection[str]) -> None:
        self._op = op
        self._crew = crew
        self._scene = scene
        self._rejected = rejected
        self._withheld = False  # one of them came up in this search
        self._settings = crew.shop.settings.repair
        self._done = crew.holdings.searched
        self._done.begin((op.tree, scene.places))
        self._began = crew.record.spend

    async def run(self, bench: Bench) -> Proposal:
        """Wave after wave until a survivor stands or the clock runs down."""
        fallback = [s for s in self._done.survivors if not self._is_rejected(s.variant)]
        waves = plan(
            self._scene.places,
            self._scene.sources,
            first=self._settings.first_places,
            batch=self._settings.batch,
            unknown_name=any(r.exception == "NameError" for r in self._scene.failing),
        )
        ends, patience = self._crew.shop.clock.monotonic() + self._settings.search_s, PATIENCE
        left = islice(enumerate(waves), self._done.waves, None)
        while not any(is_clean(s) for s in fallback):
            step = await asyncio.to_thread(next, left, None)
            spent = self._crew.shop.clock.monotonic() > ends
            hurry = self._crew.clock.remaining_s() < self._settings.reserve_s
            if step is None or spent or hurry or not patience:
                break
            number, wave = step
            variants = await self._propose(wave, number)
            survivors = await self._test(wave, variants, bench)
            patience -= bool(fallback)
            fallback += survivors
            self._done.survivors += survivors
            self._done.waves = number + 1
        if fallback:
            return self._offer(best(fallback), len(fallback))
        reason = (
            f"{counted(self._done.asked, 'infill')} at {counted(len(self._scene.places), 'suspicious line')} gave "
            f"{counted(len(self._done.seen), 'distinct candidate')}; {self._done.tested} tested, none turned "
            f"{self._scene.title} green{WITHHELD if self._withheld else ''}"
        )
        return Proposal(candidate=None, reason=reason, cause=RootCause.NO_CANDIDATE, tried=self._done.tested)

    async def _propose(self, wave: Wave, number: int) -> list[Variant]:
        """Ask the kernel for one wave; keep what parses, differs, and was not seen before."""
        head = header(self._examples())
        found: list[tuple[str, Span, Infill]] = []
        async with self._crew.shop.heavy:
            began = self._crew.shop.clock.monotonic()
            for places in await asyncio.to_thread(by_function, wave, self._scene.sources):
                found += await self._ask(wave, places, head, number)
        self._done.asked += len(found)
        variants = await asyncio.to_thread(self._distinct, found)
        await self._crew.record.note(
            EntryKind.TOOL,
            "infilled",
            phase=State.GENERATE,
            wave=wave.name,
            holes=len(wave.spans),
            infills=len(found),
            distinct=len(variants),
            ms=round(1000 * (self._crew.shop.clock.monotonic() - began)),
        )
        return variants

    async def _ask(
        self, wave: Wave, places: Sequence[tuple[str, Span]], head: str, number: int
    ) -> list[tuple[str, Span, Infill]]:
        """Holes of one function: what stands above them is computed once."""

        def asked() -> InfillRequest:
            spans = [
                hole(
                    path,
                    self._scene.sources[path],
                    span,
                    head,
                    max_tokens=wave.max_tokens,
                    max_chars=self._settings.context_chars,
                )
                for path, span in places
            ]
            return InfillRequest(
                spans=tuple(spans),
                samples=wave.samples,
                temperature=wave.temperature,
                seed=self._settings.seed + number,
            )

        request = await asyncio.to_thread(asked)
        infills = await self._crew.asker.infill(State.GENERATE, f"infill: {wave.name}", request)
        return [(*places[infill.span], infill) for infill in infills]

    def _examples(self) -> Sequence[Example]:
        return self._scene.examples[: self._settings.examples]

    def _distinct(self, infills: Sequence[tuple[str, Span, Infill]]) -> list[Variant]:
        found: dict[tuple[str, str], Variant] = {}
        for path, span, infill in sorted(infills, key=lambda row: -row[2].logprob_milli):
            source = self._scene.sources[path]
            text = span.fill(source.text, infill.text.rstrip())
            key = (path, self._shape(text))
            if not key[1] or key[1] == self._scene.shapes[path] or key in self._done.seen:
                continue
            known = found.get(key)
            found[key] = Variant(
                path=path,
                span=span if known is None else known.span,
                text=infill.text if known is None else known.text,
                source=text if known is None else known.source,
                logprob_milli=infill.logprob_milli if known is None else known.logprob_milli,
                votes=1 if known is None else known.votes + 1,
            )
        self._done.seen.update({key: v.votes for key, v in found.items()})
        fresh = [v for v in found.values() if not self._is_rejected(v)]
        return sorted(fresh, key=lambda v: (-v.votes, -v.logprob_milli))

    def _is_rejected(self, variant: Variant) -> bool:
        if not self._rejected:
            return False
        candidate = self._candidate(variant)
        known = diff_hash(candidate) in self._rejected
        known = known or change_hash(candidate, self._scene.originals) in self._rejected
        self._withheld |= known
        return known

    @staticmethod
    def _shape(text: str) -> str:
        """The syntax tree as text: equal for candidates that differ in layout only; empty when it does not parse."""
        try:
            return ast.dump(ast.parse(text))
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return ""

    async def _test(self, wave: Wave, variants: Sequence[Variant], bench: Bench) -> list[Survivor]:
        """Run the failing tests on every variant, then the wider scope on those that turned them green."""
        async with self._crew.shop.heavy:
            began = self._crew.shop.clock.monotonic()
            green = await bench.green(variants)
            self._done.tested += len(variants)
            survivors = [await self._survivor(v, bench) for v in green]
        await self._crew.record.note(
            EntryKind.RUN, "candidates.tested", phase=State.GENERATE, wave=wave.name, tested=len(variants),
            green=len(green), clean=sum(s.newly_red == 0 for s in survivors),
            ms=round(1000 * (self._crew.shop.clock.monotonic() - began)),
        )  # fmt: skip
        return [s for s in survivors if s.newly_red == 0]

    async def _survivor(self, variant: Variant, bench: Bench) -> Survivor:
        passed, newly_red, still_red = await bench.wider(variant)
        before = self._scene.sources[variant.path].text
        tests = [e.source for e in self._scene.examples]
        return Survivor(
            variant=variant,
            passed=passed,
            newly_red=newly_red,
            still_red=still_red,
            copied=await asyncio.to_thread(copies_literal, before, variant.source, tests),
            size=await asyncio.to_thread(changed_characters, before, variant.source),
        )

    def _candidate(self, variant: Variant) -> Candidate:
        provider = self._crew.asker.provider
        why = f"{variant.span.move.value} at {variant.path}:{variant.span.line}"
        spent = self._crew.record.spend
        return Candidate(
            edits=(self._scene.edit(variant.path, variant.source, why),),
            rationale=why,
            provider=provider.name,
            model=provider.model,
            strategy="cloze",
            spend=Spend(
                usd_micro=spent.usd_micro - self._began.usd_micro,
                tokens_in=spent.tokens_in - self._began.tokens_in,
                tokens_out=spent.tokens_out - self._began.tokens_out,
                calls=spent.calls - self._began.calls,
            ),
        )

    def _offer(self, survivor: Survivor, among: int) -> Proposal:
        note = (
            f"{self._done.asked} infills, {len(self._done.seen)} distinct, {self._done.tested} tested, "
            f"{among} turned the test green"
        )
        notes = (note, "the repair copies a literal from the test") if survivor.copied else (note,)
        candidate = self._candidate(survivor.variant)
        return Proposal(candidate=candidate, reason=note, tried=self._done.tested, notes=notes)


def is_clean(survivor: Survivor) -> bool:
    """Good enough to stop asking: no literal of the test copied, and no test is left red."""
    return not survivor.copied and survivor.still_red == 0


async def cloze(op: Operation, crew: Crew, scene: Scene, rejected: Collection[str]) -> Proposal:
    """Search the scene's holes; workspaces of the search are given back in any case."""
    runner = crew.shop.runner
    if runner is None:
        raise RuntimeError("a search needs a test runner")
    async with contextlib.AsyncExitStack() as stack:
        places = []
        for index in range(crew.shop.settings.repair.parallel_tests):
            workspace = await stack.enter_async_context(crew.workspace(op, suffix=f"-t{index}"))
            places.append((workspace, await stack.enter_async_context(runner.warm(workspace))))
        bench = Bench(crew=crew, scene=scene, places=places)
        return await ClozeSearch(op=op, crew=crew, scene=scene, rejected=rejected).run(bench)
