"""Text that makes its parser run for minutes or overflow the stack is refused in a moment, with one kind of error."""

from __future__ import annotations

import ast
import json
import time
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.parsers import UnreadableText
from ledger.parsers.ini import read_ini
from ledger.parsers.json import read_json
from ledger.parsers.toml import read_toml
from ledger.parsers.yaml import read_yaml

ROOT = Path(__file__).parents[2]
ROOMS = ("daemon", "governance", "sensors", "tools", "kernel", "ledger")
MODULES = sorted(file for room in ROOMS for file in (ROOT / room).rglob("*.py"))
N = 128 * 1024
MOMENT_S = 5.0  # each of these took from twenty seconds to hours, or overflowed the stack

TOML_BOMBS = {
    "arrays": "a = " + "[" * N,
    "inline tables": "{a=" * N,
    "dotted key": "a." * N + "a = 1",
    "dotted header": "[" + "a." * N + "a]",
    "dotted inline": "x = {" + " 'a' . " * N + "a = 1}",
    "decimal": "a = " + "1" * N,
    "hexadecimal": "a = 0x" + "f" * N,
    "behind a string": 'a = """x"""", ' + "[" * N,
    "behind literals": "a = ['" + "''']''', " * 3 + "[" * N,
    "unterminated": 'a = "' + '\\"' * N,
}
JSON_BOMBS = {
    "arrays": "[" * N,
    "objects": '{"a":' * N,
    "digits": "[" + "1" * N + "]",
    "fraction": "[0." + "1" * N + "]",
    "behind a string": '["\\"", ' + "[" * N,
    "unterminated": '["' + '\\"' * N,
}
YAML_BOMBS = {
    "flow": "[" * N,
    "block": "- " * N,
    "base 60": "a: 1" + ":1" * N,
    "merges": "a0: &a0 {k: 1}\n"
    + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 20)}]}}\n" for n in range(1, 12)),
    "empty number": "a: !!int ''",
    "no truth": "a: !!bool maybe",
    "no time": "a: !!timestamp x",
}
INI_BOMBS = {"spaces": "[a]\n" + "a" + " " * N + "b\n", "no section": "a = 1", "large": "[a]\n" * N}


def read_yaml_here(text: str) -> Any:
    pytest.importorskip("yaml")
    return read_yaml(text)


def bombs() -> Iterator[Any]:
    sets: tuple[tuple[Callable[[str], object], dict[str, str]], ...] = (
        (read_toml, TOML_BOMBS),
        (read_json, JSON_BOMBS),
        (read_yaml_here, YAML_BOMBS),
        (read_ini, INI_BOMBS),
    )
    for read, texts in sets:
        yield from (pytest.param(read, text, id=f"{read.__name__}-{name}") for name, text in texts.items())


@pytest.mark.parametrize(("read", "text"), list(bombs()))
def test_a_bomb_is_refused_in_a_moment_and_in_a_short_sentence(read: Callable[[str], object], text: str) -> None:
    begun = time.perf_counter()
    with pytest.raises(UnreadableText) as said:
        read(text)
    assert time.perf_counter() - begun < MOMENT_S
    assert 0 < len(str(said.value)) < 300 and "\n" not in str(said.value)


DENSE = {
    "headers": "\n".join(f"[{'.'.join(['b'] * 14)}.a{n}]" for n in range(2_000)),
    "keys": "\n".join(f"{'.'.join(['b'] * 14)}.a{n} = 1" for n in range(2_000)),
    "arrays": "\n".join(f"a{n} = {'[' * 48}{']' * 48}" for n in range(600)),
    "tables": "\n".join(f"a{n} = {'{a=' * 48}1{'}' * 48}" for n in range(300)),
    "escapes": 'a = "' + "\\n" * 30_000 + '"',
}


@pytest.mark.parametrize("text", list(DENSE.values()), ids=list(DENSE))
def test_what_is_just_allowed_is_read_in_a_moment(text: str) -> None:
    begun = time.perf_counter()
    read_toml(text)
    assert time.perf_counter() - begun < MOMENT_S


PIECES = (
    "a",
    "1",
    ".",
    "=",
    "\n",
    " ",
    "[",
    "]",
    "{",
    "}",
    ",",
    '"',
    "'",
    '"""',
    "'''",
    "\\",
    "#",
    "\r\n",
    "-",
    "é",
    "_",
)


@given(st.lists(st.sampled_from(PIECES), max_size=60).map("".join))
def test_what_is_read_is_what_the_parser_reads(text: str) -> None:
    try:
        wanted: object = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        wanted = None
    try:
        assert read_toml(text) == wanted
    except UnreadableText:
        assert wanted is None


@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join), st.sampled_from(("[", "{a=")))
def test_nothing_in_front_hides_brackets(front: str, bracket: str) -> None:
    """Whatever stands before them, the parser meets so many brackets or none: it never overflows the stack."""
    text = f"{front}{bracket * 3_000}"
    try:
        read_toml(text)
    except UnreadableText as error:
        assert not isinstance(error.__cause__, RecursionError)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_json_is_read_as_it_was_written(value: object) -> None:
    assert read_json(json.dumps(value)) == value
    assert read_json(json.dumps([value, ["["] * 200, "1" * 400]).encode()) == [value, ["["] * 200, "1" * 400]


def test_sections_are_kept_apart() -> None:
    text = "[DEFAULT]\nx = 1\n[tool:pytest]\naddopts = -q %(x)s\n  --strict\n"
    assert read_ini(text) == {"DEFAULT": {"x": "1"}, "tool:pytest": {"addopts": "-q %(x)s\n--strict"}}


# --- nobody else calls the parsers ---

PARSERS = {
    "tomllib": ("load", "loads"),
    "json": ("load", "loads", "JSONDecoder"),
    "configparser": ("RawConfigParser", "ConfigParser"),
    "yaml": ("load", "safe_load", "load_all", "safe_load_all"),
    "xml": ("",),
    "plistlib": ("load", "loads"),
}
INSIDE = "it runs inside the sandbox, in a process of its own"
ALONE = "it is read by an interpreter of the owner's, without our modules"
OURS = "it reads what this program has written, after its hash or out of its own tables"
ALLOWED = {
    "daemon/data/_ouro_wakeup.py": ALONE,
    "governance/conversation/answers.py": "it finds an object inside prose, whose fields the answer's model reads",
    "governance/approval/refusals.py": OURS,
    "ledger/chain.py": OURS,
    "sensors/drift/contracts.py": "it reads its own canonical text",
    "sensors/intake/queue.py": OURS,
    "sensors/test_failure/outcomes.py": OURS,
    "tools/index/facts.py": "lines of our own child, and of the index, in a form that is checked",
    "tools/index/store.py": OURS,
    "tools/sandbox/attacks.py": INSIDE,
    "tools/testing/pytest_plugins/_ouro_probe.py": INSIDE,
    "tools/testing/pytest_plugins/_ouro_test_worker.py": INSIDE,
}


def calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield from (f"{node.value.id}.{node.attr}" for _ in PARSERS if node.attr in PARSERS.get(node.value.id, ()))
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.partition(".")[0] in ("xml", *PARSERS):
            names = PARSERS[node.module.partition(".")[0]]
            yield from (f"{node.module}.{one.name}" for one in node.names if one.name in names or names == ("",))
        elif isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.partition(".")[0] == "xml")


@pytest.mark.parametrize("file", MODULES, ids=[str(file.relative_to(ROOT)) for file in MODULES])
def test_text_is_parsed_in_one_place(file: Path) -> None:
    name = str(file.relative_to(ROOT))
    found = set() if name.startswith("ledger/parsers/") else set(calls(ast.parse(file.read_text(encoding="utf-8"))))
    assert bool(found) == (name in ALLOWED), f"read it with ledger.parsers: {found}"
