"""Cloze repair: localise, infill, filter, test, rank. For a kernel that fills holes but cannot drive tools."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Collection, Sequence

from governance.crew import Crew
from governance.irongate.battery import diff_hash
from governance.repair.bench import Bench
from governance.repair.prompt import Example, header, hole
from governance.repair.proposal import Proposal
from governance.repair.ranking import Survivor, Variant, best, changed_characters, copies_literal
from governance.repair.scene import Scene
from governance.repair.spans import Span
from governance.repair.waves import Wave, by_function, plan
from kernel.provider import Infill, InfillRequest
from ledger.vocabulary import Candidate, EntryKind, Operation, RootCause, Spend, State
from tools.workspace import Workspace

PATIENCE = 3
"""Waves that are still asked when there is a survivor, but one that copies a literal or leaves other tests red."""


class ClozeSearch:
    """One search over the holes of one scene. ``rejected`` are diff hashes that later phases have refused."""

    def __init__(self, *, op: Operation, crew: Crew, scene: Scene, rejected: Collection[str]) -> None:
        self._op = op
        self._crew = crew
        self._scene = scene
        self._rejected = rejected
        self._settings = crew.shop.settings.repair
        self._seen: dict[tuple[str, str], int] = {}
        self._tested = 0
        self._asked = 0
        self._began = crew.record.spend

    async def run(self, bench: Bench) -> Proposal:
        """Wave after wave until a survivor stands or the clock runs down."""
        fallback: list[Survivor] = []
        waves = plan(
            self._scene.places,
            self._scene.sources,
            first=self._settings.first_places,
            batch=self._settings.batch,
            unknown_name=any(r.exception == "NameError" for r in self._scene.failing),
        )
        ends, patience = self._crew.shop.clock.monotonic() + self._settings.search_s, PATIENCE
        for number, wave in enumerate(waves):
            spent = self._crew.shop.clock.monotonic() > ends
            if spent or self._crew.clock.remaining_s() < self._settings.reserve_s or not patience:
                break
            variants = await self._propose(wave, number)
            survivors = await self._test(wave, variants, bench)
            patience -= bool(fallback)
            fallback += [s for s in survivors if s.newly_red == 0]
            if any(not s.copied and s.still_red == 0 for s in survivors if s.newly_red == 0):
                break
        if fallback:
            return self._offer(best(fallback), len(fallback))
        reason = (
            f"{self._asked} infills at {len(self._scene.places)} suspicious lines gave {len(self._seen)} distinct "
            f"candidates; {self._tested} were tested and none turned {self._scene.title} green"
        )
        return Proposal(candidate=None, reason=reason, cause=RootCause.NO_CANDIDATE, tried=self._tested)

    async def _propose(self, wave: Wave, number: int) -> list[Variant]:
        """Ask the kernel for one wave; keep what parses, differs, and was not seen before."""
        head = header(self._examples())
        found: list[tuple[str, Span, Infill]] = []
        async with self._crew.shop.heavy:
            began = self._crew.shop.clock.monotonic()
            for places in by_function(wave, self._scene.sources):
                found += await self._ask(wave, places, head, number)
        self._asked += len(found)
        variants = self._distinct(found)
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
        request = InfillRequest(
            spans=tuple(
                hole(
                    path,
                    self._scene.sources[path],
                    span,
                    head,
                    max_tokens=wave.max_tokens,
                    max_chars=self._settings.context_chars,
                )
                for path, span in places
            ),
            samples=wave.samples,
            temperature=wave.temperature,
            seed=self._settings.seed + number,
        )
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
            if not key[1] or key[1] == self._scene.shapes[path] or key in self._seen:
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
        self._seen.update({key: v.votes for key, v in found.items()})
        return sorted(found.values(), key=lambda v: (-v.votes, -v.logprob_milli))

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
            self._tested += len(variants)
            survivors = [await self._survivor(v, bench) for v in green]
        await self._crew.record.note(
            EntryKind.RUN, "candidates.tested", phase=State.GENERATE, wave=wave.name, tested=len(variants),
            green=len(green), clean=sum(s.newly_red == 0 for s in survivors),
            ms=round(1000 * (self._crew.shop.clock.monotonic() - began)),
        )  # fmt: skip
        return [s for s in survivors if diff_hash(self._candidate(s)) not in self._rejected]

    async def _survivor(self, variant: Variant, bench: Bench) -> Survivor:
        passed, newly_red, still_red = await bench.wider(variant)
        before = self._scene.sources[variant.path].text
        return Survivor(
            variant=variant,
            passed=passed,
            newly_red=newly_red,
            still_red=still_red,
            copied=copies_literal(before, variant.source, [e.source for e in self._scene.examples]),
            size=changed_characters(before, variant.source),
        )

    def _candidate(self, survivor: Survivor) -> Candidate:
        variant, provider = survivor.variant, self._crew.asker.provider
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
            f"{self._asked} infills, {len(self._seen)} distinct, {self._tested} tested, {among} turned the test green"
        )
        notes = (note, "the repair copies a literal from the test") if survivor.copied else (note,)
        return Proposal(candidate=self._candidate(survivor), reason=note, tried=self._tested, notes=notes)


async def cloze(op: Operation, crew: Crew, scene: Scene, rejected: Collection[str]) -> Proposal:
    """Search the scene's holes; workspaces of the search are given back in any case."""
    workspaces: list[Workspace] = []
    try:
        for index in range(crew.shop.settings.repair.parallel_tests):
            workspaces.append(await crew.shop.workspaces.acquire(f"{op.id}-t{index}", op.tree))
        bench = Bench(crew=crew, scene=scene, workspaces=workspaces)
        return await ClozeSearch(op=op, crew=crew, scene=scene, rejected=rejected).run(bench)
    finally:
        await asyncio.shield(_release(crew, workspaces))


async def _release(crew: Crew, workspaces: Sequence[Workspace]) -> None:
    for workspace in workspaces:
        await crew.shop.workspaces.release(workspace)
