"""Gate 4, exploration first: before a file is changed it was read, and the op looked around as its complexity asks.

The same tool with the same arguments counts once. A failed call scores but opens no category. Above trivial, at least
two exploration calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from governance.irongate.verdicts import passed, repairable, shown
from ledger.vocabulary import Complexity, Decision, Frozen, Verdict
from tools.manifest import WEIGHTS, Category, ToolUse

GATE = 4
LEAST_CALLS = 2


class Floor(Frozen):
    """What a complexity asks for."""

    score: int
    categories: int
    required: tuple[Category, ...] = ()


FLOORS: Mapping[Complexity, Floor] = MappingProxyType(
    {
        Complexity.TRIVIAL: Floor(score=0, categories=0),
        Complexity.SIMPLE: Floor(score=4, categories=2),
        Complexity.MODERATE: Floor(score=8, categories=3),
        Complexity.COMPLEX: Floor(score=11, categories=3, required=(Category.CALL_GRAPH,)),
        Complexity.ARCHITECTURAL: Floor(score=14, categories=4, required=(Category.CALL_GRAPH, Category.HISTORY)),
    }
)


class Facts(Frozen):
    """The op's complexity and calls, the files that it changes, and those that it has read."""

    complexity: Complexity
    uses: tuple[ToolUse, ...] = ()
    changed: tuple[str, ...] = ()  # existing files only
    read: tuple[str, ...] = ()


class Standing(Frozen):
    """What the calls amount to."""

    score: int
    calls: int
    categories: tuple[Category, ...]


def standing(uses: tuple[ToolUse, ...]) -> Standing:
    """Score, number and opened categories of the exploration calls, repeats left out."""
    first: dict[tuple[str, str], Category] = {}
    opened: set[Category] = set()
    for use in uses:
        # A call that was refused before it ran has no score and counts for nothing.
        if use.category is None or (use.score <= 0 and not use.ok):
            continue
        first.setdefault((use.tool, use.arguments), use.category)
        if use.ok:
            opened.add(use.category)
    score = sum(WEIGHTS[category] for category in first.values())
    return Standing(score=score, calls=len(first), categories=tuple(sorted(opened)))


def check(facts: Facts) -> Verdict:
    """Repair (look around more) when a file was not read, or the floor is not reached."""
    unread = sorted(set(facts.changed) - set(facts.read))
    if unread:
        names = ", ".join(shown(path) for path in unread)
        return repairable(GATE, "unread", f"Read these files before changing them: {names}.", evidence=unread)
    floor, have = FLOORS[facts.complexity], standing(facts.uses)
    missing = []
    if have.score < floor.score:
        missing.append(f"score {have.score} of {floor.score}")
    if len(have.categories) < floor.categories:
        missing.append(f"categories {len(have.categories)} of {floor.categories}")
    if facts.complexity > Complexity.TRIVIAL and have.calls < LEAST_CALLS:
        missing.append(f"calls {have.calls} of {LEAST_CALLS}")
    missing += [f"no {category.value} call" for category in floor.required if category not in have.categories]
    if missing:
        what = "; ".join(missing)
        return repairable(
            GATE, "floor", f"Explore more before editing ({facts.complexity.name.lower()}): {what}.", evidence=missing
        )
    return passed(GATE)


def _use(tool: str, category: Category, arguments: str = "{}", *, ok: bool = True) -> ToolUse:
    return ToolUse(tool=tool, arguments=arguments, ok=ok, category=category, score=WEIGHTS[category])


_READ = _use("read_file", Category.COMPREHENSION)
_CALLERS = _use("get_callers", Category.CALL_GRAPH)
_LOG = _use("git_log", Category.HISTORY)
_SEARCH = _use("search_code", Category.DISCOVERY)
_FAILED = _use("get_callers", Category.CALL_GRAPH, ok=False)
_NINE_LOGS = tuple(_use("git_log", Category.HISTORY, str(i)) for i in range(9))

EXAMPLES: tuple[tuple[Facts, Decision], ...] = (
    (Facts(complexity=Complexity.TRIVIAL), Decision.ALLOW),
    (Facts(complexity=Complexity.TRIVIAL, changed=("a.py",)), Decision.REPAIR),
    (Facts(complexity=Complexity.SIMPLE, uses=(_READ, _CALLERS)), Decision.ALLOW),
    (Facts(complexity=Complexity.SIMPLE, uses=(_READ, _SEARCH)), Decision.REPAIR),
    (Facts(complexity=Complexity.SIMPLE, uses=(_READ,) * 5), Decision.REPAIR),
    (Facts(complexity=Complexity.SIMPLE, uses=(_READ, _FAILED)), Decision.REPAIR),
    (Facts(complexity=Complexity.SIMPLE, uses=(_READ, _SEARCH) * 4), Decision.REPAIR),
    (Facts(complexity=Complexity.MODERATE, uses=(_READ, _CALLERS, _LOG, _SEARCH)), Decision.REPAIR),
    (Facts(complexity=Complexity.COMPLEX, uses=_NINE_LOGS), Decision.REPAIR),
)  # fmt: skip
