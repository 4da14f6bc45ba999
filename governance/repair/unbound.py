"""A name without a value: the line that gives it one may be missing. Where could it have stood? Pure."""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Mapping, Sequence

from governance.repair.moves import Complaint
from governance.repair.spans import Source, Span, insert_after, insert_before
from tools.testing.localise import Suspicion

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
