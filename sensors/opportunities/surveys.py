"""Closure checks about complexity, duplicates and dead code."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from ledger.ports import TreePort
from ledger.vocabulary import AllReached, ClosureAnswer, DuplicateGone, MetricBelow, Place, SymbolGone
from sensors.opportunities.unused import short_name
from sensors.python_source.census import MOST_FILES, Census, SourceTree, facts_of
from sensors.python_source.complexity import complexities
from sensors.python_source.duplicates import functions_of
from sensors.python_source.modules import Defined
from sensors.python_source.references import mentions, users


def _defined(place: Place, tree: SourceTree) -> Defined | None:
    facts = tree.files.get(place.path)
    return facts.module.functions.get(place.symbol) if facts is not None and facts.module is not None else None


def _shown(place: Place) -> str:
    return f"{place.symbol} in {place.path}"


def _unreadable(path: str, tree: SourceTree) -> bool:
    facts = tree.files.get(path)
    return facts is not None and facts.module is None


def duplicate_answer(check: DuplicateGone, tree: SourceTree, texts: Mapping[str, bytes]) -> ClosureAnswer:
    """Closed when one of the functions is left, and nothing uses what went. ``texts``: all Python files."""
    broken = [place.path for place in check.places if _unreadable(place.path, tree)]
    if tree.partial or broken:
        return ClosureAnswer(closed=False, reason=tree.partial or f"{broken[0]} cannot be read as Python")
    left = [f"{name} in {path}" for (path, name), found in functions_of(tree) if found.shape == check.shape]
    if len(left) > 1:
        return ClosureAnswer(closed=False, reason=f"{left[0]} and {left[1]} are still the same")
    there = {place: found for place in check.places if (found := _defined(place, tree)) is not None}
    large = [place for place, found in there.items() if found.nodes * 2 > check.nodes]
    if len(large) > 1:
        reason = f"{_shown(large[0])} and {_shown(large[1])} read otherwise now, but each does it all itself"
        return ClosureAnswer(closed=False, gone=True, reason=reason)
    if not there and not left:
        return ClosureAnswer(closed=False, gone=True, reason="none of the functions is there any more")
    for place in check.places:
        if place not in there and not _defined_again(place, tree):
            used = users(place, tree, mentions(short_name(place.symbol), texts))
            if used:
                return ClosureAnswer(closed=False, reason=f"{_shown(place)} is gone, but {used} still uses it")
    return ClosureAnswer(closed=True, reason=f"{_shown(check.places[0])} is there once")


def _defined_again(place: Place, tree: SourceTree) -> bool:
    facts = tree.files.get(place.path)
    return facts is not None and facts.module is not None and place.symbol in facts.module.again


def gone_answer(check: SymbolGone, tree: SourceTree) -> ClosureAnswer:
    """Closed when the function is gone, nothing names it, and it was not moved elsewhere."""
    facts = tree.files.get(check.place.path)
    if tree.partial or (facts is not None and facts.module is None):
        return ClosureAnswer(closed=False, reason=tree.partial or f"{check.place.path} cannot be read as Python")
    if facts is None or facts.module is None:
        return ClosureAnswer(closed=False, gone=True, reason=f"there is no {check.place.path} any more")
    name = short_name(check.place.symbol)
    words = Counter({path: held.words[name] for path, held in tree.files.items() if held.words[name]})
    if check.place.symbol in facts.module.functions or check.place.symbol in facts.module.again:
        if words.total() > 1:
            reason = f"{_shown(check.place)} is named elsewhere now"
            return ClosureAnswer(closed=False, gone=True, reason=reason)
        return ClosureAnswer(closed=False, reason=f"{_shown(check.place)} is still there and nothing names it")
    if words:
        return ClosureAnswer(closed=False, reason=f"{name} is gone, but {min(words)} names it")
    left = [f"{other} in {path}" for (path, other), found in functions_of(tree) if found.shape == check.shape]
    if check.shape and len(left) > check.twins:
        return ClosureAnswer(closed=False, reason=f"{left[0]} is the same under another name")
    return ClosureAnswer(closed=True, reason=f"{_shown(check.place)} is gone, and nothing names it")


def reached_answer(check: AllReached, data: bytes | None) -> ClosureAnswer:
    """Closed when every statement of the function can be reached, and what could not be is gone."""
    if data is None:
        return ClosureAnswer(closed=False, gone=True, reason=f"there is no {check.path} any more")
    module = facts_of(check.path, data).module
    if module is None:
        return ClosureAnswer(closed=False, reason=f"{check.path} cannot be read as Python")
    found = module.functions.get(check.symbol)
    if found is None:
        return ClosureAnswer(closed=False, gone=True, reason=f"there is no {check.symbol} in {check.path} any more")
    ends = {name: each.unreached for name, each in module.functions.items() if each.unreached}
    new = [name for name in ends if name == check.symbol or name not in check.others]
    if new:
        where = f"{check.path}:{ends[new[0]][0].line}"
        return ClosureAnswer(closed=False, reason=f"{where} in {new[0]} can never be carried out")
    if found.switched_off or found.nodes > check.nodes:
        reason = f"{check.symbol} in {check.path} still holds what was never carried out"
        return ClosureAnswer(closed=False, reason=reason)
    return ClosureAnswer(closed=True, reason=f"every statement of {check.symbol} in {check.path} can be carried out")


def metric_answer(check: MetricBelow, data: bytes | None) -> ClosureAnswer:
    """Closed when the function is below the value, and no other of its file has come over it."""
    if data is None:
        return ClosureAnswer(closed=False, gone=True, reason=f"there is no {check.path} any more")
    found = complexities(data)
    if found is None:
        return ClosureAnswer(closed=False, reason=f"{check.path} cannot be read as Python")
    if check.symbol not in found:
        return ClosureAnswer(closed=False, gone=True, reason=f"there is no {check.symbol} in {check.path} any more")
    over = {name: value for name, value in found.items() if value >= check.value and name not in check.others}
    if over:
        name = check.symbol if check.symbol in over else next(iter(over))
        reason = f"{name} in {check.path} has a complexity of {over[name]}, wanted is less than {check.value}"
        return ClosureAnswer(closed=False, reason=reason)
    return ClosureAnswer(closed=True, reason=f"{check.symbol} in {check.path} has {found[check.symbol]}")


class TreeSurvey:
    """Answers checks that need facts of a whole tree. Remembers the facts of files that it has read."""

    def __init__(self) -> None:
        self._census = Census(most_files=MOST_FILES)

    async def ask_gone(self, check: SymbolGone, tree: TreePort) -> ClosureAnswer:
        return await asyncio.to_thread(gone_answer, check, await self._census.take(tree))

    async def ask_duplicate(self, check: DuplicateGone, tree: TreePort) -> ClosureAnswer:
        facts = await self._census.take(tree)
        texts = await tree.read_many([path for path in facts.files if path.endswith(".py")])
        return await asyncio.to_thread(duplicate_answer, check, facts, texts)
