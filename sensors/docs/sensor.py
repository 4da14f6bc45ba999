"""Sensor of stale documentation: missing docstrings, docstrings with outdated parameters, pages about removed code."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath
from typing import ClassVar

from ledger.vocabulary import PageWithout, ParametersDocumented, SymbolDocumented
from sensors.changed_files import ChangedFiles, CommittedFiles, FileFinding, Look, LookResult, evidence_for
from sensors.closure_checks import on_file
from sensors.docs import SPEC, DocStalenessSettings
from sensors.docs.pages import is_page, page_answer
from sensors.docs.signatures import parameters_answer
from sensors.docs.stale import Gone, documented_answer, gone_names, stale_docstrings, stale_pages
from sensors.python_source.docstrings import Public, public_symbols
from sensors.python_source.syntax import is_own_python, is_test


class DocStaleness(ChangedFiles[DocStalenessSettings]):
    """Symbols without a docstring at the sensor's first look give no signal until their code changes."""

    spec = SPEC
    checks: ClassVar = {
        SymbolDocumented: on_file(documented_answer),
        ParametersDocumented: on_file(parameters_answer),
        PageWithout: on_file(page_answer),
    }

    @property
    def looks_back(self) -> bool:
        return False

    def wants(self, path: str) -> bool:
        return is_page(path) or _is_public(path)

    async def find(self, look: Look) -> LookResult:
        code, gone = await asyncio.to_thread(_split_code, look)
        found = await asyncio.to_thread(_find, code, self._settings.least_lines)
        if gone and self._settings.pages:
            await self._stale_pages(look, gone, found)
        return found

    async def _stale_pages(self, look: Look, gone: list[Gone], found: LookResult) -> None:
        """Only pages that the commit has not touched: a page that was just edited is up to date."""
        files = CommittedFiles(repository=self._repository, commit=look.commit)
        sizes = await files.sizes()
        small = [path for path, size in sizes.items() if size <= self._settings.largest_bytes]
        python = [path for path in small if path.endswith(".py")]
        if len(python) > self._settings.most_files:
            found.problem = f"Pages are not checked: there are more than {self._settings.most_files} Python files."
            return
        code = await files.read_many(python)
        pages = await files.read_many([path for path in small if is_page(path) and path not in look.compared])
        found.findings += await asyncio.to_thread(lambda: list(stale_pages(gone, pages, code)))


def _is_public(path: str) -> bool:
    parts = [part for part in PurePosixPath(path).parts if part != "__init__.py"]
    return is_own_python(path) and not is_test(path) and not any(part.startswith("_") for part in parts)


def _split_code(look: Look) -> tuple[Look, list[Gone]]:
    """The part of the look that is public code, and the names that were removed from it. Pure."""
    now = {path: data for path, data in look.now.items() if _is_public(path)}
    before = {path: data for path, data in look.before.items() if _is_public(path)}
    compared = frozenset(filter(_is_public, look.compared))
    return Look(commit=look.commit, now=now, before=before, compared=compared), list(gone_names(now, before))


def _find(look: Look, least_lines: int) -> LookResult:
    """Findings in public code. A symbol is unchanged if any earlier file had one of that name and code. Pure."""
    before = {(s.name, s.body) for data in look.before.values() for s in public_symbols(data)}
    names = {(path, s.name) for path, data in look.before.items() for s in public_symbols(data)}
    changed = {path: data for path, data in look.now.items() if path in look.compared}
    found = LookResult(findings=list(stale_docstrings(changed, look.before)))
    for path in look.now:
        for symbol in public_symbols(look.now[path]) if path in look.compared else ():
            if symbol.documented or symbol.lines < least_lines or (symbol.name, symbol.body) in before:
                continue
            found.findings.append(_finding(path, symbol, "changed" if (path, symbol.name) in names else "added"))
    return found


def _finding(path: str, symbol: Public, how: str) -> FileFinding:
    done = f"{symbol.name} has a docstring that says what it does, and no code is another."
    return FileFinding(
        path=path,
        what=symbol.name,
        goal=f"Say in a docstring what {symbol.name} in {path} does",
        closure=SymbolDocumented(path=path, symbol=symbol.name),
        targets=(path,),
        evidence=evidence_for(
            SPEC.source, f"{symbol.name} was {how}", f"{path}:{symbol.line}: it has no docstring to speak of", done
        ),
    )
