"""Exploration by script, for a provider without tools: the same calls, recorded and scored alike.

A call counts only when its result is used. In a search, what is read is what may be changed, and what the other calls
say decides between lines that are equally suspicious (:func:`nearest_first`); in a conversation all of it stands in the
prompt. Each file is looked at first; then callers, and the history of those who name the file, are asked for until the
op's complexity has what gate 4 wants.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from governance.crew import Crew
from governance.dossier import Dossier
from governance.irongate.g04_exploration import lacking, standing
from governance.questions import Owner
from governance.toolcall import call_tool
from ledger.vocabulary import Complexity, Operation, State
from tools.manifest import ToolContext
from tools.testing.localise import Suspicion
from tools.workspace import Workspace

MAX_FILES = 6
MORE_CALLS = 24
SYMBOL = re.compile(r"^(\d+)-(\d+): +(?:async def|def|class) (\w+)", re.M)
HIT = re.compile(r"^(.+?):\d+: ", re.M)
COMMIT = re.compile(r"^[0-9a-f]{12} (\S+) ", re.M)
CALLER = re.compile(r"^(?!defined )(.+?):\d+: in (\S+)$", re.M)
WORD = re.compile(r"[A-Za-z_]\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the calls said of one file.

    ``symbols``: first line, last line, name; ``called_in``: files that call a symbol, by its name; ``changed``: when
    the file last was.
    """

    symbols: tuple[tuple[int, int, str], ...] = ()
    mentioned_in: frozenset[str] = frozenset()  # files that name the module
    called_in: Mapping[str, frozenset[str]] = field(default_factory=dict)
    changed: str = ""


@dataclass(slots=True)
class Findings:
    """``files``: what was found of each; ``told``: every result by its call, in order, as a prompt may show it."""

    files: dict[str, Found] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)


def context_of(op: Operation, dossier: Dossier, crew: Crew, workspace: Workspace) -> ToolContext:
    """What the tools of this op work on."""
    return ToolContext(
        workspace=workspace,
        op_id=op.id,
        tier=dossier.tier,
        git=crew.shop.git,
        runner=crew.shop.runner,
        runner_problem=crew.shop.runner_problem,
        person=Owner(crew),
    )


class Scout:
    """Makes the calls. ``lines`` are suspicious ones: what stands around them is traced first."""

    def __init__(self, crew: Crew, context: ToolContext, lines: Sequence[Suspicion]) -> None:
        self._crew = crew
        self._context = context
        self._lines = lines
        self._calling: dict[str, frozenset[tuple[str, str]]] = {}
        self.findings = Findings()

    async def ask(self, name: str, **arguments: str) -> str:
        """One call; nothing where it failed."""
        outcome = await call_tool(self._crew, State.GENERATE, name, json.dumps(arguments), self._context)
        if not outcome.use.ok:
            return ""
        self.findings.told.append((" ".join([name, *arguments.values()]), outcome.text))
        return outcome.text

    async def look_at(self, path: str) -> None:
        """Read, list, search and trace one file."""
        if path not in self._context.reads:
            await self.ask("read_file", path=path)  # noted in the context: nothing may change that was not read
        symbols = SYMBOL.findall(await self.ask("list_symbols", path=path))
        hits = HIT.findall(await self.ask("search_code", pattern=module_name(path)))
        changed = COMMIT.search(await self.ask("git_log", path=path))
        self.findings.files[path] = Found(
            symbols=tuple((int(first), int(last), name) for first, last, name in symbols),
            mentioned_in=frozenset(hits),
            changed=changed[1] if changed else "",
        )

    async def callers(self, symbol: str) -> list[str]:
        """Who calls a symbol; returns the names of those."""
        found = CALLER.findall(await self.ask("get_callers", symbol=symbol))
        rows = [(path, name.rsplit(".", 1)[-1]) for path, name in found]
        self._calling[symbol] = frozenset(rows)
        return [name for _, name in dict.fromkeys(rows) if name.isidentifier()]

    async def neighbour(self, path: str) -> None:
        """Read a file that names one of ours, and when it was last changed."""
        await self.ask("read_file", path=path)
        changed = COMMIT.search(await self.ask("git_log", path=path))
        self.findings.files[path] = Found(changed=changed[1] if changed else "")

    def symbols(self) -> list[str]:
        """What to trace: around the suspicious lines first, then all others."""
        files = self.findings.files
        near = [enclosing(files.get(place.path, Found()), place.line) for place in self._lines]
        every = [name for found in files.values() for _, _, name in found.symbols]
        return [name for name in dict.fromkeys([*near, *every]) if name]

    def conclude(self) -> Findings:
        """What was found, with the callers of callers."""
        for path, found in self.findings.files.items():
            called = {n: reached(n, self._calling) for _, _, n in found.symbols if n in self._calling}
            self.findings.files[path] = replace(found, called_in=called)
        return self.findings

    def neighbours(self) -> list[str]:
        """Files that name one of ours and were not looked at themselves."""
        found = list(self.findings.files.values())
        return sorted({path for one in found for path in one.mentioned_in} - self.findings.files.keys())


async def explore(
    crew: Crew,
    context: ToolContext,
    paths: Sequence[str],
    *,
    complexity: Complexity = Complexity.TRIVIAL,
    lines: Sequence[Suspicion] = (),
) -> Findings:
    """Look at the first files of ``paths``, then as far around as ``complexity`` asks, where there is as much."""
    scout = Scout(crew, context, lines)
    for path in list(dict.fromkeys(paths))[:MAX_FILES]:
        await scout.look_at(path)

    def is_enough() -> bool:
        return not lacking(complexity, standing(tuple(context.uses)))

    waiting, asked = scout.symbols(), set[str]()
    while waiting and not is_enough() and len(asked) < MORE_CALLS:
        symbol = waiting.pop(0)
        asked.add(symbol)
        waiting += [name for name in await scout.callers(symbol) if name not in asked and name not in waiting]
    for path in scout.neighbours()[:MORE_CALLS]:
        if is_enough():
            break
        await scout.neighbour(path)
    return scout.conclude()


def reached(symbol: str, calling: Mapping[str, frozenset[tuple[str, str]]]) -> frozenset[str]:
    """Pure: files from which a symbol is called, by whatever way."""
    paths, seen, waiting = set[str](), {symbol}, [symbol]
    while waiting:
        for path, name in calling.get(waiting.pop(), frozenset()):
            paths.add(path)
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return frozenset(paths)


def module_name(path: str) -> str:
    """The word by which other files name this one."""
    folder, _, name = path.rpartition("/")
    stem = name.removesuffix(".py")
    return folder.rpartition("/")[2] or stem if stem == "__init__" else stem


def enclosing(found: Found, line: int) -> str:
    """The innermost symbol of a file around one of its lines; empty outside of any."""
    return max(((first, name) for first, last, name in found.symbols if first <= line <= last), default=(0, ""))[1]


def nearest_first(
    places: Sequence[Suspicion], found: Mapping[str, Found], *, test_files: Collection[str], said: str
) -> tuple[Suspicion, ...]:
    """Pure: ``places`` by suspicion as before. Among equals what the failing tests name comes first, then what they
    call or what is called where they are, then what was changed since they were, then what is new.

    ``said`` is what the tests say: their source and their messages.
    """
    words, tests = frozenset(WORD.findall(said)), set(test_files)
    settled = max((found[path].changed for path in tests & found.keys()), default="")

    def distance(place: Suspicion) -> tuple[int, bool, bool, bool, bool]:
        seen = found.get(place.path, Found())
        symbol = enclosing(seen, place.line)
        is_called = bool(seen.called_in.get(symbol, frozenset()) & tests)
        since = bool(settled) and seen.changed > settled
        return -place.score_bp, symbol not in words, not is_called, not seen.mentioned_in & tests, not since

    newest = sorted(places, key=lambda p: found.get(p.path, Found()).changed, reverse=True)  # stable: lines keep order
    return tuple(sorted(newest, key=distance))
