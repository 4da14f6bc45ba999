"""Python of others is parsed in one way, which ends in a tree or a reason whatever the text is."""

from __future__ import annotations

import ast
import contextlib
import gc
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.irongate.candidate import g13_shrink, g20_unattended
from governance.irongate.test_code.shortcuts import find_test_skips
from governance.phases.gate import public_names
from governance.phases.validate import find_unparsed
from governance.repair import comparison as disagreement
from governance.repair.moves import proposals
from governance.repair.spans import ParsedFile
from kernel.providers.reprompt.confidence import _parses
from ledger import python_source
from ledger.python_source import parse, parse_or_why
from ledger.vocabulary import Candidate, Edit, EditKind
from sensors.exploration.pinning import mutants_of
from sensors.python_source.census import facts_of
from sensors.python_source.docstrings import public_symbols
from sensors.python_source.syntax import parse_python
from tests.ledger.test_one_way import MODULES, ROOT
from tools.index.python import read_python
from tools.testing.localisation import ranking
from tools.testing.report.comparisons import required_assertions
from tools.testing.selection.imports import mentions

INSIDE = ("tools/testing/pytest_plugins/_ouro_", "tools/sandbox/attacks.py", "tools/testing/runner.py")
"""Modules, or the beginnings of their names, of which the code runs inside the sandbox."""
SHAPES: dict[str, bytes] = {
    "nots": b"def f(x):\n    return " + b"not " * 9_000 + b"x\n",
    "sum": b"x = 1" + b" + 1" * 990 + b"\n",
    "longer sum": b"x = 1" + b" + 1" * 30_000 + b"\n",
    "names": b"import pytest\nx = a" + b".b" * 900 + b"\n",
    "longer names": b"x = a" + b".b" * 50_000 + b"\n",
    "calls": b"x = f" + b"()" * 900 + b"\n",
    "lambdas": b"x = " + b"lambda: " * 190 + b"1\n",
    "minus": b"x = " + b"-" * 5_000 + b"1\n",
    "elifs": b"def f(x):\n    if x:\n        pass\n" + b"    elif x:\n        pass\n" * 900,
    "powers": b"x = 1" + b"**1" * 5_000 + b"\n",
    "brackets": b"x = " + b"[" * 150 + b"]" * 150 + b"\n",
    "nothing": b"x = 1\0\n",
    "encoding": b"# coding: no-such-thing\nx = 1\n",
    "bytes": b"x = '\xff'\n",
    "surrogate": b"x = '\\ud800'\n",
    "longer elifs": b"def f(x):\n    if x:\n        pass\n" + b"    elif x:\n        pass\n" * 2_800,
    "number": b"x = " + b"9" * 9_000 + b"\n",
    "number in hexadecimal": b'def f(x=0x%b):\n    """Says a few words of its own."""\n    return x\n' % (b"f" * 4_000),
}


def called(tree: ast.Module) -> list[str]:
    """What a module calls of the ways to parse or to compile text."""
    names = [node.func for node in ast.walk(tree) if isinstance(node, ast.Call)]
    dotted = [f"{f.value.id}.{f.attr}" for f in names if isinstance(f, ast.Attribute) and isinstance(f.value, ast.Name)]
    return [name for name in (*dotted, *(f.id for f in names if isinstance(f, ast.Name))) if name in WAYS]


WAYS = ("ast.parse", "compile", "exec", "eval", "ast.literal_eval", "symtable.symtable", "codeop.compile_command")


def test_there_is_one_way() -> None:
    found = {str(file.relative_to(ROOT)): called(ast.parse(file.read_bytes())) for file in MODULES}
    own = {path: ways for path, ways in found.items() if ways and not path.startswith(INSIDE)}
    assert own == {"ledger/python_source.py": ["ast.parse"]}


@given(st.text() | st.binary())
def test_any_text_is_a_tree_or_a_reason(text: str | bytes) -> None:
    found = parse_or_why(text)
    assert found if isinstance(found, str) else isinstance(found, ast.Module)
    assert (parse(text) is None) == isinstance(found, str)


@pytest.mark.parametrize("shape", SHAPES)
def test_whoever_reads_python_reads_any(shape: str, tmp_path: Path) -> None:
    """No shape of a file ends what looks at a repository or at a change."""
    data = SHAPES[shape]
    text = data.decode("utf-8", "replace")
    mentions("a/b.py", data)
    assert isinstance(read_python(data).error, str | None)
    public_names(data)
    edit = Edit(path="a.py", kind=EditKind.CREATE, before=None, after=data)
    candidate = Candidate.model_construct(edits=(edit,))
    assert bool(find_unparsed(candidate)) == (parse(data) is None)
    source = ParsedFile(text)
    assert source.statements is not None
    proposals(source, 1)
    disagreement.functions(text)
    tree = parse(data)
    if tree is not None:
        find_test_skips(None, tree)
    for look in (ranking.assignments, ranking.lines_at_import, ranking.functions):
        look(ranking._parse_or_empty(data))
    assert (parse_python(data) is None) == (tree is None)
    required_assertions({"t.py": tree}, "t.py::test_x", {"t.py": (1,)})
    _parses("python", text)
    public_symbols(data)
    mutants_of(data, "f")
    facts_of("a.py", data)
    for path in ("a.py", "test_a.py"):
        for before, after in ((b"x = 2\n", data), (data, b"x = 2\n"), (data, data + b"y = 2\n")):
            g13_shrink.check(g13_shrink.ShrinkFacts(path=path, kind=EditKind.MODIFY, before=before, after=after))
            g20_unattended.check(
                g20_unattended.UnattendedFacts(path=path, kind=EditKind.MODIFY, before=before, after=after)
            )


def parsed_side_by_side(wait_s: float) -> list[BaseException]:
    """What a thread meets whose parsing stops, at each collection of garbage, until another has parsed a text.

    The other gets ``wait_s`` for it; where parsing takes turns it comes after the first.
    """
    met: list[BaseException] = []
    asked, answered, first = threading.Semaphore(0), threading.Semaphore(0), threading.get_ident()
    waiting = parsing = True

    def interrupt(phase: str, _: object) -> None:
        nonlocal waiting
        if phase == "start" and waiting and threading.get_ident() == first:
            asked.release()
            waiting = answered.acquire(timeout=wait_s)

    def other() -> None:
        while asked.acquire() and parsing:
            parse_or_why(b"x = 1")
            answered.release()

    thread = threading.Thread(target=other)
    thread.start()
    collected = gc.get_threshold()
    gc.callbacks.append(interrupt)
    gc.set_threshold(20, 2, 2)
    try:
        parse_or_why(b"x = " + b"-" * 2_000 + b"1")
    except BaseException as error:  # noqa: BLE001 - whatever it is: it never raises
        met.append(error)
    finally:
        gc.set_threshold(*collected)
        gc.callbacks.remove(interrupt)
        parsing = False
        asked.release()
        thread.join()
    return met


def test_parsing_takes_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    assert parsed_side_by_side(0.2) == []
    monkeypatch.setattr(python_source, "_TURN", contextlib.nullcontext())
    if sys.version_info[:2] == (3, 11):
        assert parsed_side_by_side(60.0), "the trap itself works"


@pytest.mark.parametrize(
    "digits", ["0x" + "f" * 3_600, "0b" + "1" * 14_400, "0o" + "7_" * 5_000 + "7", "0X" + "F" * 9**5]
)
@pytest.mark.parametrize("codec", ["utf-8", "utf-16", "utf-7", "text"])
def test_every_tree_can_be_written(digits: str, codec: str) -> None:
    text = f"# coding: {codec}\nx = [y, -{digits}]\n"
    why = parse_or_why(text if codec == "text" else text.encode(codec))
    assert isinstance(why, str)
    if codec in ("utf-8", "text"):
        assert "more than 4300 digits" in why
    with pytest.raises(ValueError, match="4300 digits"):  # the trap itself works
        ast.unparse(ast.parse(f"x = {digits}"))
    shown = parse(f"x = 0x{'f' * 3_500}, 'f' * 9, '{'f' * 9_000}', {'9' * 4_300}\n")
    assert shown is not None and ast.unparse(shown) and ast.dump(shown)


def test_what_is_very_large_is_not_parsed() -> None:
    line = b"x = 1\n"
    count = python_source.MOST_BYTES // len(line)
    assert "more than" in str(parse_or_why(line * (count + 1)))
    assert parse(line * 1_000) is not None
