"""Docstrings and pages that a changed signature leaves outdated. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from ledger.vocabulary import ClosureAnswer, PageWithout, ParametersDocumented, SymbolDocumented
from sensors.changed_files import FileFinding, evidence_for
from sensors.docs import SPEC
from sensors.docs.pages import find_lines
from sensors.docs.signatures import PythonSignature, signatures
from sensors.python_source.docstrings import public_symbols, says_something, symbols
from sensors.python_source.syntax import parse_python


@dataclass(frozen=True, slots=True, kw_only=True)
class Gone:
    """A public name, or a parameter of one, that a commit took away in ``path``; ``now``: what it is called now."""

    path: str
    name: str
    parameter: str = ""
    now: str = ""

    @property
    def shown(self) -> str:
        return f"the parameter {self.parameter} of {self.name}" if self.parameter else self.name


# --- docstrings ---


def stale_docstrings(now: Mapping[str, bytes], before: Mapping[str, bytes]) -> Iterator[FileFinding]:
    """Functions whose parameters changed while the lines of their docstrings did not."""
    for path, data in now.items():
        old = signatures(before[path]) if path in before else {}
        for name, found in signatures(data).items() if old else ():
            if name in old and old[name].parameters != found.parameters:
                yield from _stale_docstring(path, found, old[name])


def _stale_docstring(path: str, found: PythonSignature, old: PythonSignature) -> Iterator[FileFinding]:
    if found.decorators != old.decorators:
        return  # what it is, is another thing now: a property, whose docstring may speak of what it returns
    there = {*found.parameters, *found.starred, *found.held}
    gone = tuple(p for p in found.told if p in old.parameters and p not in there and not found.open)
    added = tuple(p for p in found.parameters if p not in old.parameters and not p.startswith("_"))
    whole = bool(old.told) and set(old.told).issuperset(old.parameters)
    missing = tuple(p for p in added if p not in found.told) if whole else ()
    if not gone and not missing:
        return
    lines = [f"{path}:{found.told[p]} speaks of {p}, which is no parameter any more" for p in gone]
    lines += [f"{path}:{found.line} takes {p}, of which the docstring says nothing" for p in missing]
    kept = tuple(p for p in found.parameters if p in found.told)
    yield FileFinding(
        path=path,
        what=f"parameters of {found.name}: {' '.join(gone)} / {' '.join(missing)}",
        goal=f"Bring the docstring of {found.name} in {path} up to date with its parameters",
        closure=ParametersDocumented(path=path, symbol=found.name, told=(*kept, *missing), gone=gone),
        targets=(path,),
        evidence=evidence_for(
            SPEC.source,
            f"The parameters of {found.name} changed, its docstring did not",
            "; ".join(lines),
            f"The docstring of {found.name} speaks of the parameters that there are, and no code is another.",
        ),
    )


# --- pages ---


def gone_names(now: Mapping[str, bytes], before: Mapping[str, bytes]) -> Iterator[Gone]:
    """Public names and parameters that files had and have no more."""
    for path, data in before.items():
        if path not in now:
            continue  # whole files come and go for many reasons
        new = {s.name: s for s in public_symbols(now[path])}
        if not new:
            continue
        known = {s.name for s in public_symbols(data)}
        for symbol in public_symbols(data):
            if symbol.name not in new:
                called = [s.name for s in new.values() if s.body == symbol.body and s.name not in known]
                yield Gone(path=path, name=_last(symbol.name), now=called[0] if len(called) == 1 else "")
        yield from _gone_parameters(path, signatures(now[path]), signatures(data))


def _gone_parameters(
    path: str, now: Mapping[str, PythonSignature], before: Mapping[str, PythonSignature]
) -> Iterator[Gone]:
    for name, old in before.items():
        found = now.get(name)
        if found is None or found.open:
            continue
        added = [p for p in found.parameters if p not in old.parameters]
        gone = [p for p in old.parameters if p not in found.parameters and p not in found.starred]
        for parameter in gone:
            called = added[0] if len(added) == len(gone) == 1 else ""
            yield Gone(path=path, name=_last(name), parameter=parameter, now=called)


def _last(name: str) -> str:
    return name.rpartition(".")[2]


def stale_pages(gone: Collection[Gone], pages: Mapping[str, bytes], code: Mapping[str, bytes]) -> Iterator[FileFinding]:
    """Pages that still name what is gone from the whole code. ``code``: all Python files, with what ``pages`` lack."""
    for each in gone:
        if not (_taken(each, code) if each.parameter else _stands(each.name, code)):
            for path, data in pages.items():
                yield from _stale_page(path, data.decode("utf-8", errors="replace"), each)


def _stands(name: str, code: Mapping[str, bytes]) -> bool:
    """Whether any Python file holds the word: an alias, a string, another thing that is called so."""
    word = re.compile(rb"(?<!\w)" + re.escape(name.encode()) + rb"(?!\w)")
    return any(word.search(data) for data in code.values())


def _taken(gone: Gone, code: Mapping[str, bytes]) -> bool:
    """Whether anything in the code that is called so may still be given the parameter, or a class of another kind."""
    head = re.compile(rb"\b(?:def|class)\s+" + re.escape(gone.name.encode()) + rb"\b")
    places = [(path, data) for path, data in code.items() if head.search(data)]
    if sum(len(head.findall(data)) for _, data in places) != 1:
        return True  # which of them does the page speak of?
    found = [s for _, data in places for name, s in signatures(data).items() if _last(name) == gone.name]
    return len(found) != 1 or found[0].open or gone.parameter in found[0].parameters


def _stale_page(path: str, text: str, gone: Gone) -> Iterator[FileFinding]:
    check = PageWithout(path=path, name=gone.name, parameter=gone.parameter)
    lines = find_lines(check, text)
    if not lines:
        return
    now = f" (now {gone.now})" if gone.now else ""
    places = ", ".join(f"{path}:{line}" for line in lines[:10])
    yield FileFinding(
        path=path,
        via=gone.path,
        what=f"page names {gone.name} {gone.parameter}",
        goal=f"Bring {path} up to date: it names {gone.shown}, which is gone{now}",
        closure=check,
        targets=(path,),
        evidence=evidence_for(
            SPEC.source,
            f"{gone.shown} is gone from {gone.path}{now}",
            f"{places} still names it",
            f"{path} says what there is in its place, and no code is another.",
        ),
    )


def documented_answer(check: SymbolDocumented, data: bytes | None) -> ClosureAnswer:
    """Closed when the symbol is there and has a docstring with more than its name."""
    if data is None:
        return ClosureAnswer(closed=False, gone=True, reason=f"there is no {check.path} any more")
    tree = parse_python(data)
    if tree is None:
        return ClosureAnswer(closed=False, reason=f"{check.path} cannot be read as Python")
    nodes = [node for name, node in symbols(tree.body) if name == check.symbol]
    if not nodes:
        return ClosureAnswer(closed=False, gone=True, reason=f"there is no {check.symbol} in {check.path} any more")
    if any(map(says_something, nodes)):
        return ClosureAnswer(closed=True, reason=f"{check.symbol} in {check.path} has a docstring")
    return ClosureAnswer(closed=False, reason=f"{check.symbol} in {check.path} has no docstring that says something")
