"""TODO, FIXME and HACK comments that ask for something: those that came with a commit, and those that have aged."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import ClassVar, NamedTuple

from ledger.vocabulary import MarkerAbsent
from sensors.changed_files import ChangedFiles, FileFinding, Look, LookResult, evidence_for
from sensors.closure_checks import on_file
from sensors.python_source.syntax import is_own_python
from sensors.todo import SPEC, TodoScannerSettings
from sensors.todo.markers import Marker, marker_answer, markers

BLAMED = 50  # files a look; git reads the whole history of each
TEXT_SHOWN = 400


class TodoScanner(ChangedFiles[TodoScannerSettings]):
    """Emits TODO, FIXME and HACK comments. One is *new* if the changed files did not have it before, under any name.

    Comments that were there at the first look are emitted when their line is old enough.
    """

    spec = SPEC
    checks: ClassVar = {MarkerAbsent: on_file(marker_answer)}

    @property
    def looks_back(self) -> bool:
        return self._settings.aged_days > 0

    def wants(self, path: str) -> bool:
        return is_own_python(path)

    async def find(self, look: Look) -> LookResult:
        sorted_out = await asyncio.to_thread(_sort, look, self._settings.least_words)
        found = LookResult(findings=sorted_out.findings)
        if self._settings.aged_days:
            ripe = self._clock.now() + timedelta(days=self._settings.aged_days)
            found.later = {finding.path: ripe for finding in sorted_out.findings}
            await self._aged(look.commit, sorted_out.old, sorted_out.there, found)
        return found

    async def _aged(
        self, commit: str, old: Mapping[str, Sequence[Marker]], there: Mapping[str, Sequence[Marker]], found: LookResult
    ) -> None:
        """Findings for the markers whose line is old enough; for the others the day on which it will be."""
        age, now = timedelta(days=self._settings.aged_days), self._clock.now()
        for path in list(old)[BLAMED:]:
            found.later[path] = now
        for path in list(old)[:BLAMED]:
            written = await self._repository.line_ages(commit, path)
            due: list[datetime] = []
            for marker in old[path]:
                ripe = written[marker.line - 1] + age if marker.line <= len(written) else now
                if ripe <= now:
                    days = (now - written[marker.line - 1]).days if marker.line <= len(written) else 0
                    found.findings.append(_finding(path, marker, there[path], f"has stood there for {days} days"))
                else:
                    due.append(ripe)
            if due:
                found.later[path] = min([*due, *([found.later[path]] if path in found.later else [])])


class _Sorted(NamedTuple):
    """All markers by file; findings for those that are new; the others that are long enough."""

    there: dict[str, Sequence[Marker]]
    findings: list[FileFinding]
    old: dict[str, list[Marker]]


def _sort(look: Look, least_words: int) -> _Sorted:
    """Pure, and long for many files: for a thread."""
    known = frozenset(marker.digest for data in look.before.values() for marker in markers(data))
    result = _Sorted({}, [], {})
    for path, data in look.now.items():
        each = result.there[path] = markers(data)
        telling = [marker for marker in each if marker.words >= least_words]
        new = [m for m in telling if path in look.compared and m.digest not in known]
        result.findings.extend(_finding(path, marker, each, "was added") for marker in new)
        rest = [m for m in telling if m not in new]
        if rest:
            result.old[path] = rest
    return result


def _finding(path: str, marker: Marker, all_there: Sequence[Marker], why: str) -> FileFinding:
    text = marker.text[:TEXT_SHOWN]
    done = f"The code does what the comment asks for, and the comment is gone from {path}."
    return FileFinding(
        path=path,
        what=marker.digest,
        goal=f"Do what the {marker.word} in {path} asks for: {text}",
        closure=MarkerAbsent(
            path=path, digest=marker.digest, others=tuple(m.digest for m in all_there if m.digest != marker.digest)
        ),
        targets=(path,),
        evidence=evidence_for(
            SPEC.source, f"A {marker.word} {why}", f"{path}:{marker.line}: {text}", done, confidence_bp=8_000
        ),
    )
