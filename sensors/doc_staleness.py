"""Public classes, functions and methods that a commit has added or changed, and that no docstring speaks of."""

from __future__ import annotations

import asyncio
from pathlib import PurePosixPath

from ledger.vocabulary import Evidence, Source, SymbolDocumented
from sensors.changed_files import ChangedFiles, Doors, Finding, Found, Look
from sensors.docstrings import Public, public_symbols
from sensors.paths import is_own_python, is_test
from sensors.settings import DocStalenessSettings


class DocStaleness(ChangedFiles):
    """What had no docstring when the sensor looked for the first time is left alone until its code changes."""

    source = Source.DOC_STALENESS
    looks_back = False

    def __init__(self, *, doors: Doors, settings: DocStalenessSettings | None = None) -> None:
        self._settings = settings or DocStalenessSettings()
        super().__init__(doors=doors, settings=self._settings)

    def wants(self, path: str) -> bool:
        parts = [part for part in PurePosixPath(path).parts if part != "__init__.py"]
        return is_own_python(path) and not is_test(path) and not any(part.startswith("_") for part in parts)

    async def find(self, look: Look) -> Found:
        return await asyncio.to_thread(_find, look, self._settings.least_lines)


def _find(look: Look, least_lines: int) -> Found:
    """Pure. A symbol is as it was when one of that name and code stood in any of the files before."""
    before = {(s.name, s.body) for data in look.before.values() for s in public_symbols(data)}
    names = {(path, s.name) for path, data in look.before.items() for s in public_symbols(data)}
    found = Found()
    for path in look.now:
        for symbol in public_symbols(look.now[path]) if path in look.compared else ():
            if symbol.documented or symbol.lines < least_lines or (symbol.name, symbol.body) in before:
                continue
            found.findings.append(_finding(path, symbol, "changed" if (path, symbol.name) in names else "added"))
    return found


def _finding(path: str, symbol: Public, how: str) -> Finding:
    done = f"{symbol.name} has a docstring that says what it does, and no code is another."
    return Finding(
        path=path,
        what=symbol.name,
        goal=f"Say in a docstring what {symbol.name} in {path} does",
        closure=SymbolDocumented(path=path, symbol=symbol.name),
        targets=(path,),
        evidence=(
            Evidence(
                claim=f"{symbol.name} was {how}", evidence=f"{path}:{symbol.line}: it has no docstring to speak of",
                confidence_bp=10_000, source="doc_staleness",
            ),
            Evidence(claim="Done when", evidence=done, confidence_bp=10_000, source="doc_staleness"),
        ),
    )  # fmt: skip
