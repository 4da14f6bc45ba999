"""Finds placeholders that a model wrote in place of existing code, and functions whose body was removed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from governance.irongate.lines import AddedLine, added_lines
from governance.irongate.paths import is_code, is_python
from governance.irongate.syntax import parse, source

Function = ast.FunctionDef | ast.AsyncFunctionDef
_REST = (
    r"(?:existing|remaining|original|previous|unchanged|other|same)\s+(?:code|lines?|implementation|content|methods?|"
    r"functions?|imports?|tests?|logic)|rest\s+of\s+(?:the\s+|your\s+|this\s+)?(?:file|code|class|function|module|"
    r"method|implementation|script|document|tests?)|(?:code|lines?|everything(?:\s+else)?)\s+"
    r"(?:remains?|stays?|is|are)\s+(?:the\s+same|unchanged|as\s+before)|(?:code|lines)\s+(?:omitted|truncated|elided)"
)
COMMENT = r"(?:#|//|/\*|\*|--|;|<!--|%|\"\"\"|\{/\*)"
# A comment with dots and words for omitted code ("... existing code"), or a comment of such words alone.
MARKED = re.compile(rf"(?i){COMMENT}[^\n]{{0,40}}?(?:\.{{3}}|…|\(|\[)[^\n]{{0,40}}?(?:{_REST})")
ONLY_WORDS = re.compile(
    rf"(?i){COMMENT}\s*(?:keep\s+|the\s+)*(?:{_REST})"
    r"(?:\s+(?:here|goes here|below|above|remains?|unchanged|stays?|as is))*\s*[.…)\]]*\s*(?:\*/|-->)?\s*$"
)
BRACKETED = re.compile(rf"(?i)^\s*[\[(<{{]*\s*(?:\.{{3}}|…)?\s*(?:{_REST})[^\n]{{0,30}}?(?:\.{{3}}|…|[\])>}}])\s*$")
DOTS = re.compile(r"^\s*(?:#|//|/\*|<!--|--)?\s*(?:\.{3}|…)\s*(?:\*/|-->)?\s*$")
JUDGED_CHARS = 300  # a placeholder is short; the patterns are slow on very long lines
DATA_DOTS = (".yml", ".yaml", ".md", ".rst", ".txt", ".pyi")
ABSTRACT = frozenset({"overload", "abstractmethod"})


def find_elided_lines(path: str, before: bytes | None, after: bytes) -> tuple[int, ...]:
    """Numbers of added lines that are placeholders for left-out code."""
    lines = added_lines(before, after)
    words = {line.number for line in lines if _is_placeholder(line.text)}
    if path.endswith(DATA_DOTS) or not is_code(path):
        return tuple(sorted(words))
    tree = parse(after) if is_python(path) else None
    dots = [line for line in lines if DOTS.match(line.text)]
    if tree is None:
        return tuple(sorted(words | {line.number for line in dots}))
    comments = {line.number for line in dots if not line.text.strip().startswith("...")}
    return tuple(sorted(words | comments | _find_ellipses(tree, before, lines)))


def _is_placeholder(line: str) -> bool:
    line = line.strip()[:JUDGED_CHARS]
    return bool(MARKED.search(line) or ONLY_WORDS.search(line) or BRACKETED.match(line))


def _find_ellipses(tree: ast.Module, before: bytes | None, lines: tuple[AddedLine, ...]) -> set[int]:
    """Added lines on which a bare ``...`` replaces a body."""
    numbers = {line.number for line in lines}
    old = parse(before) if before is not None else None
    had = {name for name, node, _ in _functions(old) if _is_dots(node.body)} if old else set()
    allowed = {
        node.body[-1].lineno
        for name, node, owner in _functions(tree)
        if _is_dots(node.body) and (name in had or _is_abstract(node, owner))
    }
    allowed |= {
        node.body[-1].lineno for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and _is_dots(node.body)
    }
    found = {
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...
    }
    return (found - allowed) & numbers


def _functions(tree: ast.Module) -> Iterator[tuple[str, Function, ast.ClassDef | None]]:
    """Every function with its qualified name and its class, in the order of the text.

    Not by recursion: a chain of ``elif`` is as deep as it is long.
    """
    left: list[tuple[ast.AST, str, ast.ClassDef | None]] = [(tree, "", None)]
    while left:
        node, prefix, owner = left.pop()
        if isinstance(node, Function):
            yield prefix + node.name, node, owner
            prefix, owner = f"{prefix}{node.name}.", None
        elif isinstance(node, ast.ClassDef):
            prefix, owner = f"{prefix}{node.name}.", node
        elif not isinstance(node, ast.mod | ast.stmt | ast.excepthandler | ast.match_case):
            continue  # never into expressions: they contain no function
        left += [(child, prefix, owner) for child in ast.iter_child_nodes(node)][::-1]


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Subscript):
        return _last_name(node.value)
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _is_abstract(node: Function, owner: ast.ClassDef | None) -> bool:
    """Whether a function needs no body: it is abstract, an overload, or part of a protocol."""
    if any(_last_name(decorator) in ABSTRACT for decorator in node.decorator_list):
        return True
    return owner is not None and any(_last_name(base) == "Protocol" for base in owner.bases)


def _is_dots(body: list[ast.stmt]) -> bool:
    """True for a body of ``...``, with or without a docstring."""
    rest = [s for s in body if not _is_constant(s, str)]
    return len(rest) == 1 and _is_constant(rest[0], type(...))


def _is_constant(node: ast.stmt, kind: type) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, kind)


def _is_hollow(node: Function) -> bool:
    """True for a body of nothing but docstrings, ``pass``, ``...`` and "not implemented" errors."""
    return all(
        isinstance(s, ast.Pass)
        or _is_constant(s, str)
        or _is_constant(s, type(...))
        or (isinstance(s, ast.Raise) and "NotImplemented" in source(s))
        for s in node.body
    )


def find_emptied_functions(before: bytes, after: bytes) -> tuple[str, ...]:
    """Names of functions that did something before and do nothing now."""
    old, new = parse(before), parse(after)
    if old is None or new is None:
        return ()
    did = {name for name, node, _ in _functions(old) if not _is_hollow(node)}
    return tuple(sorted({name for name, node, owner in _functions(new) if name in did and _is_hollow(node)}))
