"""The plan of a search: in which order holes are filled, cheap and likely ones first. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from governance.repair.moves import Complaint, Proposed, proposals, renamed
from governance.repair.spans import (
    Move,
    ParsedFile,
    Span,
    expressions,
    function_body,
    insert_after,
    insert_before,
    insert_import,
    replace_block,
    replace_line,
)
from tools.testing.localisation.ranking import Suspicion


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Holes that one request fills. ``temperature`` 0 is greedy.

    ``others``: number of answers that differ from the hole's text, for a model that supports that; ``samples`` and
    ``temperature`` are then ignored. 0: an ordinary request.
    """

    name: str
    spans: tuple[tuple[str, Span], ...]  # path and span
    samples: int
    temperature: float
    max_tokens: int
    others: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Candidate fills that need no model call."""

    name: str
    proposals: tuple[tuple[str, Proposed], ...]  # path and fill
    places: tuple[tuple[str, int], ...] = ()  # path and line


Step = Wave | Given


def _spans(places: Sequence[Suspicion], sources: Mapping[str, ParsedFile], move: Move) -> Iterator[tuple[str, Span]]:
    for place in places:
        source = sources[place.path]
        if not source.lines[place.line - 1].strip():
            continue
        if move is Move.REPLACE:
            yield place.path, replace_line(source, place.line)
        elif move is Move.IMPORT:
            yield place.path, insert_import(source, place.line)
        elif move is Move.BEFORE:
            yield place.path, insert_before(source, place.line)
        elif move is Move.AFTER:
            yield place.path, insert_after(source, place.line)
        elif move is Move.EXPRESSION:
            yield from ((place.path, span) for span in expressions(source, place.line))
        elif move is Move.FUNCTION:
            body = function_body(source, place.line)
            yield from ((place.path, body),) if body is not None else ()
        else:
            blocks = (replace_block(source, place.line, count) for count in (2, 3, 5))
            yield from ((place.path, span) for span in blocks if span is not None)


MOVES, LINES = "moves", "lines"
SMALL = ((MOVES, Move.EXPRESSION, 0, 0.0, 0),)
ASKED = ((LINES, Move.REPLACE, 1, 0.0, 40),)
ADDED = (("insertions", Move.BEFORE, 1, 0.0, 40),)
MORE = (
    ("sampled lines", Move.REPLACE, 4, 0.8, 40),
    ("insertions after", Move.AFTER, 1, 0.0, 40),
    ("expressions", Move.EXPRESSION, 1, 0.0, 24),
    ("sampled insertions", Move.BEFORE, 3, 0.8, 40),
    ("blocks", Move.BLOCK, 1, 0.0, 72),
)
"""Name, move, samples, temperature and tokens of each wave over one group of places: cheap and likely first.

:data:`MOVES` are small edits and need no model. They are tested while the model is being loaded, and at places far down
the list before the next request: a hundred of them cost as much as one answer. Holes of expressions come late: each is
a prompt of its own, and the wave of lines covers their lines.
"""

OTHERS = {LINES: 8, "sampled lines": 24, "expressions": 2, "insertions": 3, "insertions after": 3}
"""Number of answers that differ from the hole's text, in place of the likeliest one, which mostly equals it."""

SWEPT = 64
"""Number of places whose small edits are one step."""
WHOLE = (("functions", Move.FUNCTION, 1, 0.0, 256),)
"""After single lines and blocks have failed, at the first places only: one answer takes as long as many lines."""
LATE = (
    ("more sampled lines", Move.REPLACE, 8, 1.0, 40),
    ("sampled expressions", Move.EXPRESSION, 6, 1.0, 24),
)
"""When every place was tried and time is left: the most suspicious ones again, at a higher temperature."""


def plan(
    places: Sequence[Suspicion],
    sources: Mapping[str, ParsedFile],
    *,
    first: int,
    batch: int,
    complaints: Collection[Complaint] = (),
    moves: bool = True,
    sampled: bool = True,
) -> Iterator[Step]:
    """Steps over the most suspicious places, then over the next ones; at most ``batch`` holes each.

    The early steps are taken at the first places before any others: most bugs are there. ``complaints``: exceptions of
    the failing tests; for a name without a value, an import and an assignment are tried early. Without ``moves`` or
    ``sampled`` those steps are left out.
    """
    early = _for_names(places, sources, batch, complaints, sampled=sampled)
    near = [places[:2], places[2:first]]
    further, far = places[first : 3 * first], places[3 * first : 8 * first]
    rest = [places[start : start + SWEPT] for start in range(8 * first, len(places), SWEPT)]
    rounds = (
        (SMALL, [*near, further, far]),
        (ASKED, near),
        (ADDED, near),
        (SMALL, rest),
        (ASKED, [further]),
        (MORE, near),
        (WHOLE, near[:1]),
        (ADDED, [further]),
        (ASKED, [far]),
        (MORE, [further]),
        (ADDED + MORE, [far]),
        (LATE, near),
    )
    for schedule, chosen in rounds:
        for group in chosen:
            for name, move, samples, temperature, max_tokens in schedule:
                if name == MOVES:
                    if moves and group:
                        yield moves_at([(p.path, p.line) for p in group], sources, complaints)
                    yield from early
                elif sampled or samples == 1:
                    spans = list(dict.fromkeys(_spans(group, sources, move)))
                    for start in range(0, len(spans), batch):
                        part = tuple(spans[start : start + batch])
                        yield Wave(
                            name=name,
                            spans=part,
                            samples=samples,
                            temperature=temperature,
                            max_tokens=max_tokens,
                            others=OTHERS.get(name, 0) if sampled else 0,
                        )


def _for_names(
    places: Sequence[Suspicion],
    sources: Mapping[str, ParsedFile],
    batch: int,
    complaints: Collection[Complaint],
    *,
    sampled: bool,
) -> Iterator[Wave]:
    """Holes for an import and for an assignment, when a name has no value."""
    if any(complaint.exception == "NameError" for complaint in complaints):
        top = tuple(dict.fromkeys(_spans(places[:1], sources, Move.IMPORT)))
        yield Wave(name="imports", spans=top, samples=1, temperature=0.0, max_tokens=16)
        if sampled:
            yield Wave(name="sampled imports", spans=top, samples=4, temperature=0.8, max_tokens=16)
    missing = assignments(places, sources, unbound_names(complaints))
    if missing:
        yield Wave(
            name="assignments",
            spans=tuple(missing[:batch]),
            samples=1,
            temperature=0.0,
            max_tokens=40,
            others=OTHERS["insertions"] if sampled else 0,
        )


def moves_at(
    places: Sequence[tuple[str, int]], sources: Mapping[str, ParsedFile], complaints: Collection[Complaint]
) -> Given:
    """The small edits at these places as one step."""
    found = (
        (path, one)
        for path, line in places
        for one in (*renamed(sources[path], line, complaints), *proposals(sources[path], line, complaints))
    )
    return Given(name=MOVES, proposals=tuple(found), places=tuple(places))


def line_at(path: str, line: int, sources: Mapping[str, ParsedFile], *, sampled: bool) -> Wave:
    """The first wave of a plan at a single place; unless ``sampled`` only the likeliest answer."""
    _, _, samples, temperature, max_tokens = ASKED[0]
    span = replace_line(sources[path], line)
    return Wave(
        name=LINES,
        spans=((path, span),),
        samples=samples,
        temperature=temperature,
        max_tokens=max_tokens,
        others=OTHERS[LINES] if sampled else 0,
    )


def places_of(step: Step) -> tuple[tuple[str, int], ...]:
    """Paths and lines of a step of small edits or of first lines; none for others."""
    if isinstance(step, Given):
        return step.places
    return tuple((path, span.line) for path, span in step.spans) if step.name == LINES else ()


def by_function(wave: Wave, sources: Mapping[str, ParsedFile]) -> list[list[tuple[str, Span]]]:
    """The holes of a wave, grouped by enclosing function."""
    groups: dict[tuple[str, int], list[tuple[str, Span]]] = {}
    for path, span in wave.spans:
        function = sources[path].function_at(span.line)
        groups.setdefault((path, function.lineno if function else 0), []).append((path, span))
    return list(groups.values())


_UNBOUND = re.compile(r"(?:name|local variable) '(\w+)' (?:is not defined|referenced before|where it is not)")
MOST = 6


def unbound_names(complaints: Collection[Complaint]) -> frozenset[str]:
    """Names without a value, by the tests' exceptions; names that are only not imported are among them."""
    broken = [c.message for c in complaints if c.exception in ("NameError", "UnboundLocalError")]
    return frozenset(name for message in broken for name in _UNBOUND.findall(message))


def assignments(
    places: Sequence[Suspicion], sources: Mapping[str, ParsedFile], names: frozenset[str]
) -> list[tuple[str, Span]]:
    """Holes before the first use of such a name, and after lines that ran before it in its function, nearest first."""
    for use in places if names else ():
        source = sources[use.path]
        if names & _read(source, use.line):
            function = source.function_at(use.line)
            before = [
                p for p in places if p.path == use.path and p.line < use.line and source.function_at(p.line) is function
            ]
            near = sorted(before, key=lambda p: -p.line)
            spans = [insert_before(source, use.line), *(insert_after(source, p.line) for p in near)]
            return [(use.path, span) for span in dict.fromkeys(spans)][:MOST]
    return []


def _read(source: ParsedFile, line: int) -> set[str]:
    """Names that are read on a line."""
    nodes = ast.walk(source.tree) if source.tree is not None else ()
    return {n.id for n in nodes if isinstance(n, ast.Name) and n.lineno == line and isinstance(n.ctx, ast.Load)}
