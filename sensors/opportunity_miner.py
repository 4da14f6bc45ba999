"""What a commit has made too complex to read, equal to something else, or left without use."""

from __future__ import annotations

import asyncio

from ledger.vocabulary import Evidence, MetricBelow, Source
from sensors.census import Census, Tree, facts_of
from sensors.changed_files import ChangedFiles, Doors, Finding, Found, Look
from sensors.committed import CommittedFiles
from sensors.complexity import complexities
from sensors.opportunities import new_duplicates, new_unreached, new_unused
from sensors.paths import is_own_python, is_test
from sensors.settings import OpportunityMinerSettings


class OpportunityMiner(ChangedFiles):
    """What was so when the sensor looked for the first time is left alone until it gets worse."""

    source = Source.OPPORTUNITY_MINER
    looks_back = False

    def __init__(self, *, doors: Doors, settings: OpportunityMinerSettings | None = None) -> None:
        self._settings = settings or OpportunityMinerSettings()
        self._census = Census(most_files=self._settings.most_tree_files)
        super().__init__(doors=doors, settings=self._settings)

    def wants(self, path: str) -> bool:
        return is_own_python(path) and not is_test(path)

    async def find(self, look: Look) -> Found:
        found = await asyncio.to_thread(_find, look, self._settings.complexity)
        if look.compared and (self._settings.duplicates or self._settings.dead_code):
            now = await self._census.take(CommittedFiles(repository=self._repository, commit=look.commit))
            found.findings += await asyncio.to_thread(_in_the_tree, look, now, self._settings)
            found.problem = f"Duplicates and dead functions are not looked for: {now.partial}." if now.partial else ""
        return found


def _find(look: Look, limit: int) -> Found:
    """Pure, the most complex first. A function is as it was when one of its name was as complex in any file before."""
    before: dict[str, int] = {}
    for data in look.before.values():
        for name, value in (complexities(data) or {}).items():
            before[name] = max(value, before.get(name, 0))
    rows: list[tuple[int, Finding]] = []
    for path in look.now:
        over = {name: value for name, value in (complexities(look.now[path]) or {}).items() if value >= limit}
        for name, value in over.items() if path in look.compared else ():
            if value > before.get(name, 0):
                rows.append((value, _finding(path, name, value, limit, tuple(n for n in over if n != name))))
    return Found(findings=[finding for _, finding in sorted(rows, key=lambda row: -row[0])])


def _in_the_tree(look: Look, now: Tree, settings: OpportunityMinerSettings) -> list[Finding]:
    """Pure: what the commit has changed for the whole tree."""
    if now.partial:
        return []
    held = {path: facts_of(path, look.before[path]) if path in look.before else None for path in look.compared}
    before = now.with_files(held)
    found: list[Finding] = []
    if settings.dead_code:
        found += [*new_unreached(now, before, look.compared), *new_unused(now, before, sorted(look.compared))]
    if settings.duplicates:
        found += new_duplicates(now, before, look.compared, least_statements=settings.least_statements)
    return found


def _finding(path: str, name: str, value: int, limit: int, others: tuple[str, ...]) -> Finding:
    done = f"{name} does what it did, with a cyclomatic complexity below {limit}, and no other function is above."
    return Finding(
        path=path,
        what=name,
        goal=f"Make {name} in {path} simpler without a change of what it does",
        closure=MetricBelow(path=path, symbol=name, value=limit, others=others),
        targets=(path,),
        evidence=(
            Evidence(
                claim=f"{name} has become hard to read", evidence=f"{path}: its cyclomatic complexity is {value}",
                confidence_bp=10_000, source="opportunity_miner",
            ),
            Evidence(claim="Done when", evidence=done, confidence_bp=10_000, source="opportunity_miner"),
        ),
        confidence_bp=6_000,
    )  # fmt: skip
