"""One question to a chat model: the function, the failing test, its output; and the whole function as the answer."""

from __future__ import annotations

import ast
import json
import re
import sys
import textwrap
import urllib.request
from pathlib import Path
from typing import Any

_BLOCK = re.compile(r"```(?:python|py)?[ \t]*\n(.*?)```", re.S)
ANSWER_TOKENS = 2_048


def question(of: dict[str, Any], source: list[str]) -> str:
    first, last = of["lines"]
    code = textwrap.dedent("".join(source[first - 1 : last]))
    return (
        f"This Python function of {of['path']} has a mistake:\n\n```python\n{code}```\n\n"
        f"These tests fail:\n\n```python\n{of['sources']}\n```\n\nThis is what they say:\n\n```\n{of['output']}\n```\n\n"
        "Answer with the whole corrected function in one ```python block."
    )


def rewritten(answer: str, source: list[str], lines: tuple[int, int]) -> str | None:
    """The file with the answer's function in the old one's place; None where there is none, or it does not parse.

    A chat likes to write examples, tests and imports around it: examples and tests are left out, and of the imports
    those stay, at the top of the file, that bind a name which the function uses and the file does not have.
    """
    first, last = lines
    old = "".join(source[first - 1 : last])
    indent = old[: len(old) - len(old.lstrip())]
    name = _functions(textwrap.dedent(old))[0].name
    for block in _BLOCK.findall(answer):
        code = textwrap.dedent(block)
        try:
            found = [node for node in _functions(code) if node.name == name]
        except (SyntaxError, ValueError):
            continue
        if found:
            start = min([found[0].lineno, *(node.lineno for node in found[0].decorator_list)])
            own = textwrap.dedent("".join(code.splitlines(keepends=True)[start - 1 : found[0].end_lineno]))
            text = "".join([*source[: first - 1], textwrap.indent(own.strip("\n"), indent), "\n", *source[last:]])
            return _with_imports(text, found[0], ast.parse(code))
    return None


def _functions(code: str) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """In the order of the text, methods of a class included."""
    found = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return sorted(found, key=lambda node: node.lineno)


def _with_imports(text: str, function: ast.AST, block: ast.Module) -> str:
    used = {node.id for node in ast.walk(function) if isinstance(node, ast.Name)}
    tree = ast.parse(text)
    there = {alias.asname or alias.name for node in ast.walk(tree) for alias in _aliases(node)}
    there |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    there |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    wanted = [
        node for node in block.body if any((alias.asname or alias.name) in used - there for alias in _aliases(node))
    ]
    lines = text.splitlines(keepends=True)
    at = next((node.lineno - 1 for node in tree.body if _aliases(node) and not _is_future(node)), 0)
    return "".join([*lines[:at], *(f"{ast.unparse(node)}\n" for node in wanted), *lines[at:]])


def _aliases(node: ast.AST) -> list[ast.alias]:
    return node.names if isinstance(node, ast.Import | ast.ImportFrom) else []


def _is_future(node: ast.AST) -> bool:
    return isinstance(node, ast.ImportFrom) and node.module == "__future__"


def main() -> None:
    """``python -m bench.rivals.oneshot TICKET.json ADDRESS``, from the repository's top."""
    of = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    file = Path(of["path"])
    if not of["lines"][1]:
        raise SystemExit("no function is suspicious: there is nothing to show")
    source = [f"{line}\n" for line in file.read_text(encoding="utf-8").removesuffix("\n").split("\n")]
    body = {
        "messages": [{"role": "user", "content": question(of, source)}],
        "temperature": 0,
        "max_tokens": ANSWER_TOKENS,
    }
    request = urllib.request.Request(
        f"{sys.argv[2]}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        said = json.load(answer)["choices"][0]["message"]["content"]
    print(said)
    text = rewritten(said, source, (of["lines"][0], of["lines"][1]))
    if text is not None:
        file.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
