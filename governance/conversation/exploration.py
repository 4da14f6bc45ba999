"""Scripted exploration for providers without tools; calls are recorded and scored like a model's own.

A search uses the results to decide what may be changed and to order equally suspicious lines (:func:`nearest_first`); a
conversation gets all of them in its prompt. Each file is read and searched first. Callers, and the history of files
that mention it, follow until gate 4's requirement for the op's complexity is met.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from governance.approval.questions import Owner
from governance.conversation.tool_calls import call_tool
from governance.irongate.candidate.g04_exploration import find_shortfalls, score_exploration
from governance.pipeline.context import OpContext
from governance.pipeline.dossier import Dossier
from ledger.vocabulary import Complexity, Operation, Phase
from tools.manifest import ToolContext
from tools.testing.localisation.ranking import Suspicion
from tools.workspace import Workspace

MAX_FILES = 6
MORE_CALLS = 24
SYMBOL = re.compile(r"^(\d+)-(\d+): +(?:async def|def|class) (\w+)", re.M)
HIT = re.compile(r"^(.+?):\d+: ", re.M)
COMMIT = re.compile(r"^[0-9a-f]{12} (\S+) ", re.M)
CALLER = re.compile(r"^(?!defined )(.+?):\d+: in (\S+)$", re.M)
WORD = re.compile(r"[A-Za-z_]\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileExploration:
    """Exploration results for one file.

    ``symbols``: first line, last line, name; ``called_in``: calling files by symbol; ``changed``: date of last change.
    """

    symbols: tuple[tuple[int, int, str], ...] = ()
    mentioned_in: frozenset[str] = frozenset()  # files that name the module
    called_in: Mapping[str, frozenset[str]] = field(default_factory=dict)
    changed: str = ""


@dataclass(slots=True)
class Findings:
    """Exploration results by file."""

    files: dict[str, FileExploration] = field(default_factory=dict)
    results: list[tuple[str, str]] = field(default_factory=list)  # (call, result) in order, for a prompt


def context_of(op: Operation, dossier: Dossier, ctx: OpContext, workspace: Workspace) -> ToolContext:
    """The tool context of an op in a workspace."""
    return ToolContext(
        workspace=workspace,
        op_id=op.id,
        tier=dossier.tier,
        git=ctx.services.git,
        runner=ctx.services.runner,
        runner_problem=ctx.services.runner_problem,
        person=Owner(ctx),
    )


class Scout:
    """Makes the exploration calls. ``lines`` are suspicious lines, whose enclosing symbols are traced first."""

    def __init__(self, ctx: OpContext, context: ToolContext, lines: Sequence[Suspicion]) -> None:
        self._crew = ctx
        self._context = context
        self._lines = lines
        self._calling: dict[str, frozenset[tuple[str, str]]] = {}
        self.findings = Findings()

    async def ask(self, name: str, **arguments: str) -> str:
        """Text of one tool call's result; empty when the call failed."""
        outcome = await call_tool(self._crew, Phase.GENERATE, name, json.dumps(arguments), self._context)
        if not outcome.use.ok:
            return ""
        self.findings.results.append((" ".join([name, *arguments.values()]), outcome.text))
        return outcome.text

    async def look_at(self, path: str) -> None:
        """Read one file, list its symbols, search for mentions, and get its last change."""
        if path not in self._context.reads:
            await self.ask("read_file", path=path)  # recorded in the context: only files that were read may be changed
        symbols = SYMBOL.findall(await self.ask("list_symbols", path=path))
        hits = HIT.findall(await self.ask("search_code", pattern=module_name(path)))
        changed = COMMIT.search(await self.ask("git_log", path=path))
        self.findings.files[path] = FileExploration(
            symbols=tuple((int(first), int(last), name) for first, last, name in symbols),
            mentioned_in=frozenset(hits),
            changed=changed[1] if changed else "",
        )

    async def callers(self, symbol: str) -> list[str]:
        """Record the callers of a symbol and return their names."""
        found = CALLER.findall(await self.ask("get_callers", symbol=symbol))
        rows = [(path, name.rsplit(".", 1)[-1]) for path, name in found]
        self._calling[symbol] = frozenset(rows)
        return [name for _, name in dict.fromkeys(rows) if name.isidentifier()]

    async def neighbour(self, path: str) -> None:
        """Read a file that mentions an explored one, and get its last change."""
        await self.ask("read_file", path=path)
        changed = COMMIT.search(await self.ask("git_log", path=path))
        self.findings.files[path] = FileExploration(changed=changed[1] if changed else "")

    def symbols(self) -> list[str]:
        """Symbols to trace: those around the suspicious lines first, then all others."""
        files = self.findings.files
        near = [enclosing(files.get(place.path, FileExploration()), place.line) for place in self._lines]
        every = [name for found in files.values() for _, _, name in found.symbols]
        return [name for name in dict.fromkeys([*near, *every]) if name]

    def conclude(self) -> Findings:
        """The findings, with transitive callers filled in."""
        for path, found in self.findings.files.items():
            called = {n: transitive_callers(n, self._calling) for _, _, n in found.symbols if n in self._calling}
            self.findings.files[path] = replace(found, called_in=called)
        return self.findings

    def neighbours(self) -> list[str]:
        """Files that mention an explored file but were not explored themselves."""
        found = list(self.findings.files.values())
        return sorted({path for one in found for path in one.mentioned_in} - self.findings.files.keys())


async def explore(
    ctx: OpContext,
    context: ToolContext,
    paths: Sequence[str],
    *,
    complexity: Complexity = Complexity.TRIVIAL,
    lines: Sequence[Suspicion] = (),
) -> Findings:
    """Explore the first ``MAX_FILES`` of ``paths``, then their surroundings until ``complexity`` is satisfied."""
    scout = Scout(ctx, context, lines)
    for path in list(dict.fromkeys(paths))[:MAX_FILES]:
        await scout.look_at(path)

    def is_enough() -> bool:
        return not find_shortfalls(complexity, score_exploration(tuple(context.uses)))

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


def transitive_callers(symbol: str, calling: Mapping[str, frozenset[tuple[str, str]]]) -> frozenset[str]:
    """Files that call a symbol, directly or transitively. Pure."""
    paths, seen, waiting = set[str](), {symbol}, [symbol]
    while waiting:
        for path, name in calling.get(waiting.pop(), frozenset()):
            paths.add(path)
            if name not in seen:
                seen.add(name)
                waiting.append(name)
    return frozenset(paths)


def module_name(path: str) -> str:
    """The name by which other files import this one: the stem, or the folder's name for ``__init__.py``."""
    folder, _, name = path.rpartition("/")
    stem = name.removesuffix(".py")
    return folder.rpartition("/")[2] or stem if stem == "__init__" else stem


def enclosing(found: FileExploration, line: int) -> str:
    """The innermost symbol around a line of a file; empty outside of any."""
    return max(((first, name) for first, last, name in found.symbols if first <= line <= last), default=(0, ""))[1]


def nearest_first(
    places: Sequence[Suspicion], found: Mapping[str, FileExploration], *, test_files: Collection[str], said: str
) -> tuple[Suspicion, ...]:
    """``places`` ordered by suspicion, then by closeness to the failing tests. Pure.

    Among equals: symbols that the tests name, then symbols called from test files, then modules that a test file
    mentions, then files changed later than the tests, then the most recently changed.

    ``test_files``: files of the failing tests; ``said``: their source and messages.
    """
    words, tests = frozenset(WORD.findall(said)), set(test_files)
    settled = max((found[path].changed for path in tests & found.keys()), default="")

    def distance(place: Suspicion) -> tuple[int, bool, bool, bool, bool]:
        seen = found.get(place.path, FileExploration())
        symbol = enclosing(seen, place.line)
        is_called = bool(seen.called_in.get(symbol, frozenset()) & tests)
        since = bool(settled) and seen.changed > settled
        return -place.score_bp, symbol not in words, not is_called, not seen.mentioned_in & tests, not since

    newest = sorted(
        places, key=lambda p: found.get(p.path, FileExploration()).changed, reverse=True
    )  # stable: lines keep order
    return tuple(sorted(newest, key=distance))
