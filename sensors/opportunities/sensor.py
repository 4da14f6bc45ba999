"""Functions that a commit makes too complex, duplicates, and dead code."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ledger.vocabulary import AllReached, Check, DuplicateGone, MetricBelow, SymbolGone
from sensors.changed_files import ChangedFiles, CommittedFiles, FileFinding, Look, LookResult, evidence_for
from sensors.closure_checks import AnswerCheck, ClosurePorts, on_file
from sensors.opportunities import SPEC, OpportunityMinerSettings
from sensors.opportunities.findings import new_duplicates, new_unreached, new_unused
from sensors.opportunities.surveys import TreeSurvey, metric_answer, reached_answer
from sensors.ports import SensorPorts
from sensors.python_source.census import Census, SourceTree, facts_of
from sensors.python_source.complexity import complexities
from sensors.python_source.syntax import is_own_python, is_test


class OpportunityMiner(ChangedFiles[OpportunityMinerSettings]):
    """Emits what a commit makes worse. What was there at the first look is left alone until it gets worse."""

    spec = SPEC

    @classmethod
    def closure_checks(
        cls, settings: OpportunityMinerSettings, ports: ClosurePorts
    ) -> Mapping[type[Check], AnswerCheck]:
        survey = TreeSurvey()
        return {
            MetricBelow: on_file(metric_answer),
            AllReached: on_file(reached_answer),
            DuplicateGone: survey.ask_duplicate,
            SymbolGone: survey.ask_gone,
        }

    def __init__(self, *, ports: SensorPorts, settings: OpportunityMinerSettings) -> None:
        super().__init__(ports=ports, settings=settings)
        self._census = Census(most_files=settings.most_tree_files)

    @property
    def looks_back(self) -> bool:
        return False

    def wants(self, path: str) -> bool:
        return is_own_python(path) and not is_test(path)

    async def find(self, look: Look) -> LookResult:
        found = await asyncio.to_thread(_find, look, self._settings.complexity)
        if look.compared and (self._settings.duplicates or self._settings.dead_code):
            now = await self._census.take(CommittedFiles(repository=self._repository, commit=look.commit))
            found.findings += await asyncio.to_thread(_in_the_tree, look, now, self._settings)
            found.problem = f"Duplicates and dead functions are not looked for: {now.partial}." if now.partial else ""
        return found


def _find(look: Look, limit: int) -> LookResult:
    """Pure, the most complex first. A function is as it was when one of its name was as complex in any file before."""
    before: dict[str, int] = {}
    for data in look.before.values():
        for name, value in (complexities(data) or {}).items():
            before[name] = max(value, before.get(name, 0))
    rows: list[tuple[int, FileFinding]] = []
    for path in look.now:
        over = {name: value for name, value in (complexities(look.now[path]) or {}).items() if value >= limit}
        for name, value in over.items() if path in look.compared else ():
            if value > before.get(name, 0):
                rows.append((value, _finding(path, name, value, limit, tuple(n for n in over if n != name))))
    return LookResult(findings=[finding for _, finding in sorted(rows, key=lambda row: -row[0])])


def _in_the_tree(look: Look, now: SourceTree, settings: OpportunityMinerSettings) -> list[FileFinding]:
    """Pure: what the commit has changed for the whole tree."""
    if now.partial:
        return []
    held = {path: facts_of(path, look.before[path]) if path in look.before else None for path in look.compared}
    before = now.with_files(held)
    found: list[FileFinding] = []
    if settings.dead_code:
        found += [*new_unreached(now, before, look.compared), *new_unused(now, before, sorted(look.compared))]
    if settings.duplicates:
        found += new_duplicates(now, before, look.compared, least_statements=settings.least_statements)
    return found


def _finding(path: str, name: str, value: int, limit: int, others: tuple[str, ...]) -> FileFinding:
    done = f"{name} does what it did, with a cyclomatic complexity below {limit}, and no other function is above."
    return FileFinding(
        path=path,
        what=name,
        goal=f"Make {name} in {path} simpler without a change of what it does",
        closure=MetricBelow(path=path, symbol=name, value=limit, others=others),
        targets=(path,),
        evidence=evidence_for(
            SPEC.source, f"{name} has become hard to read", f"{path}: its cyclomatic complexity is {value}", done
        ),
        confidence_bp=6_000,
    )
