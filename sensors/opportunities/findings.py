"""Duplicates and dead code that a commit has brought: what is so in the tree now, and was not before. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from ledger.vocabulary import AllReached, DuplicateGone, Place, SymbolGone
from sensors.changed_files import FileFinding, evidence_for
from sensors.opportunities import SPEC
from sensors.opportunities.unused import find_unused, short_name
from sensors.python_source.census import SourceTree
from sensors.python_source.duplicates import Place as At
from sensors.python_source.duplicates import duplicate_sets, functions_of
from sensors.python_source.modules import Defined

# --- duplicates ---


def new_duplicates(
    now: SourceTree, before: SourceTree, changed: Collection[str], *, least_statements: int
) -> Iterator[FileFinding]:
    """Sets of equal functions that have grown, the largest first. What only moved is as it was."""
    held = duplicate_sets(before, least_statements=least_statements)
    known = {frozenset(name for (_, name), _ in places) for places in held.values()}
    sets = duplicate_sets(now, least_statements=least_statements)
    for shape, places in sorted(sets.items(), key=lambda row: -row[1][0][1].nodes):
        brought = [path for (path, _), _ in places if path in changed]
        grown = len(places) > len(held.get(shape, ()))
        if grown and brought and frozenset(name for (_, name), _ in places) not in known:
            yield _duplicate(shape, places, brought[0])


def _duplicate(shape: str, places: tuple[tuple[At, Defined], ...], via: str) -> FileFinding:
    shown = [f"{name} in {path}" for (path, name), _ in places]
    lines = "; ".join(f"{path}:{found.line}-{found.last} {name}" for (path, name), found in places)
    done = "One of them is left, the others call it or are gone with all that used them, and they do what they did."
    paths = tuple(dict.fromkeys(path for (path, _), _ in places))
    return FileFinding(
        path=paths[0],
        via=via,
        what=f"duplicate {shape}",
        goal=f"Join {' and '.join(shown)}: they are the same, let one place do it for all",
        closure=DuplicateGone(
            places=tuple(Place(path=path, symbol=name) for (path, name), _ in places),
            shape=shape,
            nodes=min(found.nodes for _, found in places),
        ),
        targets=paths,
        evidence=evidence_for(SPEC.source, "The same stands there more than once", lines, done),
        confidence_bp=6_000,
    )


# --- what nothing uses ---


def new_unused(now: SourceTree, before: SourceTree, changed: Collection[str]) -> Iterator[FileFinding]:
    """Private functions that something named before, and that nothing names now. A new one may still get its use."""
    dead, held = find_unused(now), {short_name(name) for _, name in find_unused(before)}
    known = {name for _, name in (place for place, _ in functions_of(before))}
    for (path, name), found in dead.items():
        if short_name(name) in held or name not in known:
            continue
        via = next((each for each in changed if _fewer(short_name(name), each, now, before)), "")
        if via:
            yield _unused(path, name, found, via, _twins(found, now))


def _fewer(name: str, path: str, now: SourceTree, before: SourceTree) -> bool:
    counts = [tree.files[path].words[name] if path in tree.files else 0 for tree in (now, before)]
    return counts[0] < counts[1]


def _twins(found: Defined, tree: SourceTree) -> int:
    return sum(each.shape == found.shape for _, each in functions_of(tree)) - 1


def _unused(path: str, name: str, found: Defined, via: str, twins: int) -> FileFinding:
    done = f"{name} is gone, nothing names it, and every program does what it did."
    return FileFinding(
        path=path,
        via=via,
        what=f"unused {name}",
        goal=f"Remove {name} from {path}: nothing uses it any more",
        closure=SymbolGone(place=Place(path=path, symbol=name), shape=found.shape, twins=twins),
        targets=(path,),
        evidence=evidence_for(
            SPEC.source,
            f"{name} is private and nothing in the repository names it",
            f"{path}:{found.line}-{found.last}; its last use was in {via}",
            done,
        ),
        confidence_bp=6_000,
    )


# --- what is never carried out ---


def new_unreached(now: SourceTree, before: SourceTree, changed: Collection[str]) -> Iterator[FileFinding]:
    """Functions in which a commit has cut something off."""
    held = {name for (_, name), found in functions_of(before) if found.unreached}
    ends = [(place, found) for place, found in functions_of(now) if found.unreached]
    for (path, name), found in ends:
        if path in changed and name not in held and not found.switched_off:
            others = tuple(other for (where, other), _ in ends if where == path and other != name)
            yield _unreached(path, name, found, others)


def _unreached(path: str, name: str, found: Defined, others: tuple[str, ...]) -> FileFinding:
    lines = ", ".join(f"{path}:{end.line}-{end.last} behind {end.after}" for end in found.unreached)
    return FileFinding(
        path=path,
        what=f"unreached {name}",
        goal=f"Remove the statements of {name} in {path} that can never be carried out",
        closure=AllReached(
            path=path, symbol=name, nodes=found.nodes - sum(end.nodes for end in found.unreached), others=others
        ),
        targets=(path,),
        evidence=evidence_for(
            SPEC.source,
            f"Statements of {name} can never be carried out",
            lines,
            "They are gone, and it does what it did.",
        ),
        confidence_bp=6_000,
    )
