"""Gate 4, exploration first: before a file is changed it was read, and the op looked around as its complexity asks.

The same tool with the same arguments counts once. A failed call scores but opens no category. Above trivial, at least
two exploration calls.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from governance.irongate.gate import Gate, Subject
from governance.irongate.inspection import Inspection
from governance.irongate.verdicts import passed, repairable, shown
from ledger.vocabulary import Complexity, Decision, EditKind, Frozen, Verdict
from tools.manifest import WEIGHTS, Category, ToolUse

NUMBER = 4
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


TOOLS_BY_CATEGORY: Mapping[Category, tuple[str, ...]] = MappingProxyType(
    {
        Category.COMPREHENSION: ("read_file", "list_symbols"),
        Category.DISCOVERY: ("search_code", "list_dir", "glob_files"),
        Category.CALL_GRAPH: ("get_callers",),
        Category.STRUCTURE: ("module_graph",),
        Category.HISTORY: ("git_log", "git_diff", "git_blame"),
    }
)
"""Tools by the category that a call of them opens."""


class ExplorationFacts(Frozen):
    """The op's complexity and calls, the files that it changes, and those that it has read.

    ``tools``: those that there are, so that feedback names no other; empty: any.
    """

    complexity: Complexity
    uses: tuple[ToolUse, ...] = ()
    changed: tuple[str, ...] = ()  # existing files only
    read: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()


class ExplorationScore(Frozen):
    """What the calls amount to."""

    score: int
    calls: int
    categories: tuple[Category, ...]


def score_exploration(uses: tuple[ToolUse, ...]) -> ExplorationScore:
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
    return ExplorationScore(score=score, calls=len(first), categories=tuple(sorted(opened)))


def check(facts: ExplorationFacts) -> Verdict:
    """Repair when a file was not read or the floor is not reached; the reason names the tools that help."""
    unread = sorted(set(facts.changed) - set(facts.read))
    missing = find_shortfalls(facts.complexity, score_exploration(facts.uses))
    said = []
    if unread:
        names = ", ".join(shown(path) for path in unread)
        said.append(f"Read these files before changing them: {names}.")
    if missing:
        what = "; ".join(missing)
        said.append(f"Explore more before editing ({facts.complexity.name.lower()}): {what}.")
        said.append(suggest_tools(facts.complexity, score_exploration(facts.uses), facts.tools))
    if not said:
        return passed(NUMBER)
    return repairable(NUMBER, "unread" if unread else "floor", " ".join(said), evidence=[*unread, *missing])


def find_shortfalls(complexity: Complexity, have: ExplorationScore) -> list[str]:
    """What is missing to the floor, in a few words each; empty when it is reached."""
    floor, missing = FLOORS[complexity], []
    if have.score < floor.score:
        missing.append(f"score {have.score} of {floor.score}")
    if len(have.categories) < floor.categories:
        missing.append(f"categories {len(have.categories)} of {floor.categories}")
    if complexity > Complexity.TRIVIAL and have.calls < LEAST_CALLS:
        missing.append(f"calls {have.calls} of {LEAST_CALLS}")
    return missing + [f"no {category.value} call" for category in floor.required if category not in have.categories]


def suggest_tools(complexity: Complexity, have: ExplorationScore, tools: Collection[str] = ()) -> str:
    """Which tools open what is missing, those that the floor asks for first; all others only add to the score."""
    floor = FLOORS[complexity]
    unopened = [c for c in (*floor.required, *Category) if c not in have.categories]
    rows = []
    for category in dict.fromkeys(unopened):
        names = [name for name in TOOLS_BY_CATEGORY[category] if not tools or name in tools]
        if names:
            must = " (needed)" if category in floor.required else ""
            rows.append(f"{category.value}{must}: {' or '.join(names)}, {WEIGHTS[category]} a call")
    opened = f"Not opened yet: {'; '.join(rows)}. " if rows else ""
    return f"{opened}The same call again counts nothing."


def select_facts(inspection: Inspection) -> tuple[ExplorationFacts]:
    """The whole candidate."""
    edits = inspection.candidate.edits
    changed = tuple(edit.renamed_from or edit.path for edit in edits if edit.kind is not EditKind.CREATE)
    read = tuple(inspection.reads)
    facts = ExplorationFacts(complexity=inspection.complexity, uses=inspection.exploration, changed=changed, read=read)
    return (facts,)


def _use(tool: str, category: Category, arguments: str = "{}", *, ok: bool = True) -> ToolUse:
    return ToolUse(tool=tool, arguments=arguments, ok=ok, category=category, score=WEIGHTS[category])


_READ = _use("read_file", Category.COMPREHENSION)
_CALLERS = _use("get_callers", Category.CALL_GRAPH)
_LOG = _use("git_log", Category.HISTORY)
_SEARCH = _use("search_code", Category.DISCOVERY)
_FAILED = _use("get_callers", Category.CALL_GRAPH, ok=False)
_NINE_LOGS = tuple(_use("git_log", Category.HISTORY, str(i)) for i in range(9))

EXAMPLES: tuple[tuple[ExplorationFacts, Decision], ...] = (
    (ExplorationFacts(complexity=Complexity.TRIVIAL), Decision.ALLOW),
    (ExplorationFacts(complexity=Complexity.TRIVIAL, changed=("a.py",)), Decision.REPAIR),
    (ExplorationFacts(complexity=Complexity.SIMPLE, uses=(_READ, _CALLERS)), Decision.ALLOW),
    (ExplorationFacts(complexity=Complexity.SIMPLE, uses=(_READ, _SEARCH)), Decision.REPAIR),
    (ExplorationFacts(complexity=Complexity.SIMPLE, uses=(_READ,) * 5), Decision.REPAIR),
    (ExplorationFacts(complexity=Complexity.SIMPLE, uses=(_READ, _FAILED)), Decision.REPAIR),
    (ExplorationFacts(complexity=Complexity.SIMPLE, uses=(_READ, _SEARCH) * 4), Decision.REPAIR),
    (ExplorationFacts(complexity=Complexity.MODERATE, uses=(_READ, _CALLERS, _LOG, _SEARCH)), Decision.REPAIR),
    (ExplorationFacts(complexity=Complexity.COMPLEX, uses=_NINE_LOGS), Decision.REPAIR),
)
GATE = Gate(
    number=NUMBER,
    name="exploration first",
    summary="changes of files that were not read, and too little exploration for the op's complexity",
    subjects=(Subject.CANDIDATE,),
    facts=ExplorationFacts,
    check=check,
    examples=EXAMPLES,
    select_facts=select_facts,
)
