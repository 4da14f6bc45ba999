"""Exploration by script, for a provider without tools: the same calls, recorded and scored alike.

A call counts only when its result is used: what is read here is what the search may change, and what the other calls
say decides between lines that are equally suspicious (:func:`nearest_first`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from governance.crew import Crew
from governance.dossier import Dossier
from governance.toolcall import call_tool
from ledger.vocabulary import Operation, State
from tools.manifest import ToolContext
from tools.testing.localise import Suspicion
from tools.workspace import Workspace

MAX_FILES = 6
SYMBOL = re.compile(r"^(\d+)-(\d+): +(?:async def|def|class) (\w+)", re.M)
HIT = re.compile(r"^(.+?):\d+: ", re.M)
COMMIT = re.compile(r"^[0-9a-f]{12} (\S+) ", re.M)
WORD = re.compile(r"[A-Za-z_]\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the calls said of one file. ``symbols``: first line, last line, name; ``changed``: when it last was."""

    symbols: tuple[tuple[int, int, str], ...] = ()
    mentioned_in: frozenset[str] = frozenset()  # files that name the module
    changed: str = ""


def context_of(op: Operation, dossier: Dossier, crew: Crew, workspace: Workspace) -> ToolContext:
    """What the tools of this op work on."""
    return ToolContext(workspace=workspace, op_id=op.id, tier=dossier.tier, git=crew.shop.git, runner=crew.shop.runner)


async def explore(crew: Crew, context: ToolContext, paths: Sequence[str]) -> dict[str, Found]:
    """Read, list, search and trace the first files of ``paths``; what was found, by path."""
    return {path: await _look_at(crew, context, path) for path in list(dict.fromkeys(paths))[:MAX_FILES]}


async def _look_at(crew: Crew, context: ToolContext, path: str) -> Found:
    async def ask(name: str, **arguments: str) -> str:
        outcome = await call_tool(crew, State.GENERATE, name, json.dumps(arguments), context)
        return outcome.text if outcome.use.ok else ""

    await ask("read_file", path=path)  # noted in the context: the search may change no file that was not read
    symbols = SYMBOL.findall(await ask("list_symbols", path=path))
    hits = HIT.findall(await ask("search_code", pattern=module_name(path)))
    changed = COMMIT.search(await ask("git_log", path=path))
    return Found(
        symbols=tuple((int(first), int(last), name) for first, last, name in symbols),
        mentioned_in=frozenset(hits),
        changed=changed[1] if changed else "",
    )


def module_name(path: str) -> str:
    """The word by which other files name this one."""
    folder, _, name = path.rpartition("/")
    stem = name.removesuffix(".py")
    return folder.rpartition("/")[2] or stem if stem == "__init__" else stem


def nearest_first(
    places: Sequence[Suspicion], found: Mapping[str, Found], *, test_files: Collection[str], said: str
) -> tuple[Suspicion, ...]:
    """Pure: ``places`` by suspicion as before; among equals what the failing tests name comes first, then what is new.

    ``said`` is what the tests say: their source and their messages.
    """
    words = frozenset(WORD.findall(said))

    def distance(place: Suspicion) -> tuple[int, bool, bool]:
        seen = found.get(place.path, Found())
        around = [(first, name) for first, last, name in seen.symbols if first <= place.line <= last]
        named = bool(around) and max(around)[1] in words
        return -place.score_bp, not named, not seen.mentioned_in & set(test_files)

    newest = sorted(places, key=lambda p: found.get(p.path, Found()).changed, reverse=True)  # stable: lines keep order
    return tuple(sorted(newest, key=distance))
