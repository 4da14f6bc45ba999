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
    """The file with the answer's function in the old one's place; None where there is none, or it does not parse."""
    blocks = _BLOCK.findall(answer)
    if not blocks:
        return None
    first, last = lines
    code = textwrap.dedent(blocks[0]).strip("\n")
    indent = source[first - 1][: len(source[first - 1]) - len(source[first - 1].lstrip())]
    text = "".join([*source[: first - 1], textwrap.indent(code, indent), "\n", *source[last:]])
    try:
        ast.parse(text)
    except (SyntaxError, ValueError):
        return None
    return text


def main() -> None:
    """``python -m bench.rivals.oneshot TICKET.json ADDRESS``, from the repository's top."""
    of = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    file = Path(of["path"])
    if not of["lines"][1]:
        raise SystemExit("no function is suspicious: there is nothing to show")
    source = [f"{line}\n" for line in file.read_text(encoding="utf-8").removesuffix("\n").split("\n")]
    body = {
        "messages": [{"role": "user", "content": question(of, source)}], "temperature": 0, "max_tokens": ANSWER_TOKENS
    }  # fmt: skip
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
