"""The order in which holes are offered to the kernel: cheap and likely first. Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from governance.repair.moves import Complaint, Proposed, proposals, renamed
from governance.repair.spans import (
    Move,
    Source,
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
    """Holes that go to the kernel together. ``temperature`` 0 is greedy.

    ``others``: answers that differ from what stands in the hole, for a model that can give them; then ``samples`` and
    ``temperature`` say nothing. 0: it is asked as any other.
    """

    name: str
    spans: tuple[tuple[str, Span], ...]  # path and span
    samples: int
    temperature: float
    max_tokens: int
    others: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Texts for holes that nobody has to be asked for."""

    name: str
    proposals: tuple[tuple[str, Proposed], ...]  # path and what is written where
    places: tuple[tuple[str, int], ...] = ()  # path and line of what it is about


Step = Wave | Given


def _spans(places: Sequence[Suspicion], sources: Mapping[str, Source], move: Move) -> Iterator[tuple[str, Span]]:
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

:data:`MOVES` asks nobody: small edits for known kinds of mistakes. They are tested while the model is still loaded, and
at places far down the list, before the model is asked again: a hundred of them cost as much as one answer. Holes of
expressions come late: each is a prompt of its own, and what is wrong in a line is a turn of the line.
"""

OTHERS = {LINES: 8, "sampled lines": 24, "expressions": 2, "insertions": 3, "insertions after": 3}
"""Answers that differ from what stands there, in place of the likeliest one, which mostly is what stands there."""

SWEPT = 64
"""Places whose small edits are one step."""
WHOLE = (("functions", Move.FUNCTION, 1, 0.0, 256),)
"""What no line and no few lines have mended, at the first places only: one answer takes as long as many lines."""
LATE = (
    ("more sampled lines", Move.REPLACE, 8, 1.0, 40),
    ("sampled expressions", Move.EXPRESSION, 6, 1.0, 24),
)
"""When every place has been asked and time is left: the most suspicious ones again, with more daring."""


def plan(
    places: Sequence[Suspicion],
    sources: Mapping[str, Source],
    *,
    first: int,
    batch: int,
    complaints: Collection[Complaint] = (),
    moves: bool = True,
    sampled: bool = True,
) -> Iterator[Step]:
    """Steps over the most suspicious places, then over the next ones; at most ``batch`` holes each.

    The first places see the early steps before anything else is asked: most bugs are there. ``complaints``: what the
    failing tests say; where a name has no value, an import and a line that gives it one are offered early. Without
    ``moves`` or ``sampled`` those steps are left out.
    """
    early = _for_names(places, sources, batch, complaints, sampled=sampled)
    near = [places[:2], places[2:first]]
    further, far = places[first : 3 * first], places[3 * first : 8 * first]
    rest = [places[start : start + SWEPT] for start in range(8 * first, len(places), SWEPT)]
    rounds = (
        (SMALL, [*near, further, far]), (ASKED, near), (ADDED, near), (SMALL, rest), (ASKED, [further]), (MORE, near),
        (WHOLE, near[:1]), (ADDED, [further]), (ASKED, [far]), (MORE, [further]), (ADDED + MORE, [far]), (LATE, near),
    )  # fmt: skip
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
                            name=name, spans=part, samples=samples, temperature=temperature, max_tokens=max_tokens,
                            others=OTHERS.get(name, 0) if sampled else 0,
                        )  # fmt: skip


def _for_names(
    places: Sequence[Suspicion], sources: Mapping[str, Source], batch: int, complaints: Collection[Complaint], *,
    sampled: bool,
) -> Iterator[Wave]:  # fmt: skip
    """Where a name has no value: an import of it, and a line that gives it one."""
    if any(complaint.exception == "NameError" for complaint in complaints):
        top = tuple(dict.fromkeys(_spans(places[:1], sources, Move.IMPORT)))
        yield Wave(name="imports", spans=top, samples=1, temperature=0.0, max_tokens=16)
        if sampled:
            yield Wave(name="sampled imports", spans=top, samples=4, temperature=0.8, max_tokens=16)
    missing = assignments(places, sources, unbound_names(complaints))
    if missing:
        yield Wave(
            name="assignments", spans=tuple(missing[:batch]), samples=1, temperature=0.0, max_tokens=40,
            others=OTHERS["insertions"] if sampled else 0,
        )  # fmt: skip


def moves_at(
    places: Sequence[tuple[str, int]], sources: Mapping[str, Source], complaints: Collection[Complaint]
) -> Given:
    """What could be meant at these places: it is tested and ranked together."""
    found = (
        (path, one)
        for path, line in places
        for one in (*renamed(sources[path], line, complaints), *proposals(sources[path], line, complaints))
    )
    return Given(name=MOVES, proposals=tuple(found), places=tuple(places))


def line_at(path: str, line: int, sources: Mapping[str, Source], *, sampled: bool) -> Wave:
    """What a model writes first at one place; unless ``sampled`` only the likeliest."""
    _, _, samples, temperature, max_tokens = ASKED[0]
    span = replace_line(sources[path], line)
    return Wave(
        name=LINES, spans=((path, span),), samples=samples, temperature=temperature, max_tokens=max_tokens,
        others=OTHERS[LINES] if sampled else 0,
    )  # fmt: skip


def places_of(step: Step) -> tuple[tuple[str, int], ...]:
    """Paths and lines that a step of moves or of first lines is about; none for any other."""
    if isinstance(step, Given):
        return step.places
    return tuple((path, span.line) for path, span in step.spans) if step.name == LINES else ()


def by_function(wave: Wave, sources: Mapping[str, Source]) -> list[list[tuple[str, Span]]]:
    """The holes of a wave, grouped by the function that they stand in."""
    groups: dict[tuple[str, int], list[tuple[str, Span]]] = {}
    for path, span in wave.spans:
        function = sources[path].function_at(span.line)
        groups.setdefault((path, function.lineno if function else 0), []).append((path, span))
    return list(groups.values())


_UNBOUND = re.compile(r"(?:name|local variable) '(\w+)' (?:is not defined|referenced before|where it is not)")
MOST = 6


def unbound_names(complaints: Collection[Complaint]) -> frozenset[str]:
    """Names that tests say have no value. What is only not imported is among them."""
    broken = [c.message for c in complaints if c.exception in ("NameError", "UnboundLocalError")]
    return frozenset(name for message in broken for name in _UNBOUND.findall(message))


def assignments(
    places: Sequence[Suspicion], sources: Mapping[str, Source], names: frozenset[str]
) -> list[tuple[str, Span]]:
    """Holes before the first use of such a name, and behind lines that ran before it in its function, nearest first."""
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


def _read(source: Source, line: int) -> set[str]:
    """Names that are read on a line."""
    nodes = ast.walk(source.tree) if source.tree is not None else ()
    return {n.id for n in nodes if isinstance(n, ast.Name) and n.lineno == line and isinstance(n.ctx, ast.Load)}
