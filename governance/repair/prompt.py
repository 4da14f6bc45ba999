"""The prompt around a hole: failing examples as comments, imports, helpers, the enclosing function. Pure."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from governance.repair.spans import Function, Move, ParsedFile, Span, first_line
from kernel.provider import InfillSpan
from ledger.vocabulary import TestResult

TEST_LINES = 18
MESSAGE_LINES = 6
LINE_CHARS = 140
WAS_LINES, WAS_CHARS = 30, 1_200
BODY_LINES, BODIES_CHARS = 8, 800
"""What is called in a function is shown whole where it is so short, up to so much in all; else its first lines are."""
_NAMED = re.compile(r"\bdef\s+\w+")
BEHIND_CHARS = 800
"""Characters shown after a hole: unlike the prefix, the suffix is computed again for every hole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One failing test: its source, its result, and the tables and fixtures that it uses."""

    test_id: str
    source: str
    result: TestResult
    data: tuple[str, ...] = ()

    @property
    def says(self) -> tuple[str, str, str]:
        """All that the test tells of itself beside its name: of two that say the same, who is shown one knows both."""
        return _NAMED.sub("def ", self.source), self.result.exception, self.result.message


def comment(text: str, limit: int) -> list[str]:
    """``text`` as comment lines, cut to ``limit`` lines."""
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [f"# {line[:LINE_CHARS]}" for line in lines[:limit]]


def header(examples: Sequence[Example], evidence_lines: Sequence[str] = ()) -> str:
    """The failing examples as comments above the code: the same for every hole, so that they are computed once.

    ``evidence_lines``: further evidence, a line each.
    """
    lines = [line for text in evidence_lines for line in comment(text, 1)]
    for example in examples:
        lines += comment(f"Must pass: {example.test_id}", 1)
        lines += comment(example.source, TEST_LINES)
        lines += [
            *comment(f"Now fails: {example.result.exception}", 1),
            *comment(example.result.message, MESSAGE_LINES),
        ]
    return "\n".join(lines) + "\n"


def signature(node: Function | ast.ClassDef, source: ParsedFile) -> str:
    """The first lines of a definition, up to its body, and the first line of its docstring."""
    first = node.body[0].lineno if node.body else node.lineno + 1
    text = "".join(source.lines[node.lineno - 1 : max(first - 1, node.lineno)]).rstrip()
    doc = ast.get_docstring(node)
    indent = source.indent(node.lineno) + "    "
    return text + (f'\n{indent}"""{doc.splitlines()[0]}"""' if doc else "") + f"\n{indent}..."


def surroundings(source: ParsedFile, line: int) -> tuple[int, int, str]:
    """Start and end offset of the code shown whole, and the text above it: imports, and used definitions in short.

    A method is shown with its class's header and constructor; module-level code with forty lines around it.
    """
    function = source.function_at(line)
    if source.tree is None or function is None:
        first, last = max(1, line - 40), min(len(source.lines), line + 40)
        return source.line_start(first), source.line_end(last), ""
    first = first_line(function)
    last = function.end_lineno or function.lineno
    above = [
        "".join(source.lines[node.lineno - 1 : node.end_lineno])
        for node in source.tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        or (isinstance(node, ast.Assign | ast.AnnAssign) and node.lineno == node.end_lineno)
    ]
    used = {n.id for n in ast.walk(function) if isinstance(n, ast.Name)} | {
        n.attr for n in ast.walk(function) if isinstance(n, ast.Attribute)
    }
    above += _helpers(
        [n for n in ast.walk(source.tree) if isinstance(n, Function) and n.name in used], function, source
    )
    owner = next(
        (n for n in ast.walk(source.tree) if isinstance(n, ast.ClassDef) and function in n.body),
        None,
    )
    if owner is not None:
        above.append(_class_head(owner, function, source))
    return source.line_start(first), source.line_end(last), "".join(above) + "\n"


def _helpers(used: Sequence[Function], function: Function, source: ParsedFile) -> Iterator[str]:
    """Short functions whole and dedented, of the others the signature."""
    left = BODIES_CHARS
    for node in used:
        first, last = first_line(node), node.end_lineno or node.lineno
        if node is function or _holds(node, function) or _holds(function, node):
            continue
        text = textwrap.dedent("".join(source.lines[first - 1 : last]))
        is_short = last - first < BODY_LINES and len(text) <= left
        left -= len(text) if is_short else 0
        yield f"{text}\n" if is_short else f"{signature(node, source)}\n"


def _holds(outer: Function, inner: Function) -> bool:
    return outer.lineno < inner.lineno and (inner.end_lineno or 0) <= (outer.end_lineno or 0)


def room_of(tokens: int, sample: str, count: Callable[[str], int]) -> int:
    """The approximate number of characters, in a text like ``sample``, of ``tokens`` tokens."""
    return tokens * len(sample) // max(1, count(sample))


def _class_head(owner: ast.ClassDef, function: ast.stmt, source: ParsedFile) -> str:
    text = "".join(source.lines[owner.lineno - 1 : max(owner.body[0].lineno - 1, owner.lineno)])
    for node in owner.body:
        fields = isinstance(node, ast.AnnAssign | ast.Assign)
        constructor = isinstance(node, ast.FunctionDef) and node.name == "__init__" and node is not function
        if fields or constructor:
            text += "".join(source.lines[node.lineno - 1 : node.end_lineno])
    return text + "\n"


def nearest(text: str, most: int) -> str:
    """The first lines of a text that fit into ``most`` characters, at least one."""
    if len(text) <= most:
        return text
    end = text.rfind("\n", 0, most)
    return text[:end] if end > 0 else text[: text.find("\n") if "\n" in text else most]


def hole(
    path: str, source: ParsedFile, span: Span, head: str, *, max_tokens: int, max_chars: int, bare: bool = False
) -> InfillSpan:
    """The request for one span. Prefix and suffix are cut, farthest text first, to about ``max_chars`` together.

    ``bare``: the hole's text is not shown, after an answer that repeated it.
    """
    first, last, above = surroundings(source, span.line)
    above = f"\n# {path}\n{above}"
    first, last = min(first, span.start), max(last, span.end)
    before = source.text[first : span.start] + span.lead
    if span.move is Move.FUNCTION:
        last = len(source.text)  # the following code shows where it ends
        before = before if bare else was(source, span) + before
    after = span.tail + nearest(source.text[span.end : last], BEHIND_CHARS) + "\n"
    room = max_chars - len(before) - len(after)
    top = (head + above)[: max(0, room)]
    if room < 0:
        before, after = before[-(max_chars * 2 // 3) :], after[: max_chars // 3]
    return InfillSpan(prefix=top + before, suffix=after, max_tokens=max_tokens, stop=ends_of(source, span))


def was(source: ParsedFile, span: Span) -> str:
    """The hole's text as a comment, so that the model has read the function that it rewrites."""
    lines = comment(nearest(source.text[span.start : span.end], WAS_CHARS), WAS_LINES)
    return "\n".join(["# It was:", *lines, ""])


def ends_of(source: ParsedFile, span: Span) -> tuple[str, ...]:
    """Texts before which the model's answer for a hole ends."""
    if span.move is Move.BLOCK:
        return ("\n\n\n",)
    function = source.function_at(span.line) if span.move is Move.FUNCTION else None
    if function is None:
        return ("\n",)
    edge = "\n" + source.indent(function.lineno)
    return ("\n\n\n", *(edge + word for word in ("def ", "async def ", "class ", "@")))
