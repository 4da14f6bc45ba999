"""Python source: a quiet parser, and which characters are code, string or comment."""

from __future__ import annotations

import ast

from ledger import python_source

CODE, STRING, COMMENT = "c", "s", "#"


def parse(data: bytes | str) -> ast.Module | None:
    """The syntax tree, or None when there is none. Never raises, never warns."""
    return python_source.parse(data)


def imported_names(tree: ast.Module) -> dict[str, str]:
    """What imported names stand for, wherever in the file: a module, or a name in one."""
    found: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                found[alias.asname or top] = alias.name if alias.asname else top
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
    return found


def kinds(text: str) -> str:
    """One letter a character: code, string (quotes included) or comment. Works on text that does not parse."""
    out: list[str] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char == "#":
            end = text.find("\n", at)
            end = len(text) if end < 0 else end
            out.append(COMMENT * (end - at))
        elif char in "\"'":
            end = _string_end(text, at)
            out.append(STRING * (end - at))
        else:
            end = at + 1
            out.append(CODE)
        at = end
    return "".join(out)


def _string_end(text: str, at: int) -> int:
    """Index after the string literal that opens at ``at``; a one-line string ends with its line at the latest."""
    quote = text[at]
    triple = text.startswith(quote * 3, at)
    mark = quote * 3 if triple else quote
    at += len(mark)
    while at < len(text):
        if text[at] == "\\":
            at += 2
        elif text.startswith(mark, at):
            return at + len(mark)
        elif text[at] == "\n" and not triple:
            return at
        else:
            at += 1
    return len(text)


def without_docstrings(tree: ast.Module) -> ast.Module:
    """The same tree without the docstrings of modules, classes and functions, and without other strings that stand
    there as a statement (in place).
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = [step for step in node.body if not _is_string(step)]
    return tree


def _is_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def source(node: ast.AST) -> str:
    """A node as source text; empty when it is nested too deeply to be written."""
    try:
        return ast.unparse(node)
    except RecursionError:
        return ""


def dump(node: ast.AST) -> str | None:
    """A node as text without positions; None when it is nested too deeply to be written."""
    try:
        return ast.dump(node)
    except RecursionError:
        return None
