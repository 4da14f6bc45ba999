"""list_symbols, get_callers and module_graph on a real workspace, while the op changes it."""

from __future__ import annotations

import json

import pytest

from ledger.ids import sha256_hex
from tests.repos import commit, git
from tests.tools.builtin.conftest import FILES, Bench
from tools.workspace import Workspaces


async def test_symbols_come_with_size_and_hash(bench: Bench) -> None:
    symbols = await bench("list_symbols", '{"path": "src/report.py"}')
    data = FILES["src/report.py"]
    assert symbols.text.splitlines() == [
        f"src/report.py · {len(data)} bytes · sha256 {sha256_hex(data)}", "4-5: async def show(values)",
    ]  # fmt: skip
    nested = (await bench("list_symbols", '{"path": "src/calc.py"}')).text.splitlines()[1:]
    assert nested == ["4-6: class Calc", "5-6:   def add(self, a: int, b: int) -> int", "9-14: def total(values)"]
    assert not (await bench("list_symbols", '{"path": "docs/long.txt"}')).use.ok
    assert not (await bench("list_symbols", '{"path": "src/nope.py"}')).use.ok


async def test_broken_python_is_read_around_its_error(bench: Bench) -> None:
    (bench.context.workspace.root / "src/half.py").write_text(
        "class A:\n    def ok(self):\n        total(1)\n\ndef (:\n"
    )
    half = (await bench("list_symbols", '{"path": "src/half.py"}')).text.splitlines()
    assert half[1].startswith("does not parse (line 5")
    assert half[2:4] == ["1-3: class A", "2-3:   def ok(self)"]
    callers = await bench("get_callers", '{"symbol": "total"}')
    assert "src/half.py:3: in A.ok" in callers.text
    assert "read only around a syntax error: src/half.py (line 5" in callers.text


async def test_callers_by_name(bench: Bench) -> None:
    callers = await bench("get_callers", '{"symbol": "calc.total"}')
    assert callers.text.splitlines() == [
        "defined src/broken.py:1-1: def total", "defined src/calc.py:9-14: def total", "3 calls",
        "src/report.py:5: in show", "src/report.py:8: in (module)", "tests/test_calc.py:5: in test_total",
        "read only around a syntax error: src/broken.py (line 1: invalid syntax)",
    ]  # fmt: skip
    assert callers.use.score == 3
    method = await bench("get_callers", '{"symbol": "Calc.add", "path": "src"}')
    assert "src/calc.py:13: in total" in method.text
    assert not (await bench("get_callers", '{"symbol": "nobody"}')).use.ok


async def test_answers_follow_what_the_op_writes_renames_and_deletes(bench: Bench) -> None:
    root = bench.context.workspace.root
    assert "3 calls" in (await bench("get_callers", '{"symbol": "total"}')).text
    await bench("read_file", '{"path": "tests/test_calc.py"}')
    assert (await bench("delete_file", '{"path": "tests/test_calc.py"}')).use.ok
    new = {"path": "src/new.py", "content": "from src.calc import total\nx = total([])\ny = total([2])\n"}
    assert (await bench("write_file", json.dumps(new))).use.ok
    (root / "src/report.py").rename(root / "src/moved.py")
    rows = (await bench("get_callers", '{"symbol": "total", "path": "src"}')).text.splitlines()
    assert rows[2:7] == [
        "4 calls", "src/moved.py:5: in show", "src/moved.py:8: in (module)", "src/new.py:2: in (module)",
        "src/new.py:3: in (module)",
    ]  # fmt: skip
    (root / "src/new.py").write_bytes(b"")
    assert "2 calls" in (await bench("get_callers", '{"symbol": "total"}')).text
    assert len(bench.context.uses) == 6


async def test_other_languages(bench: Bench) -> None:
    root = bench.context.workspace.root
    (root / "web").mkdir()
    (root / "web/cart.ts").write_text(
        "export class Cart {\n  sum(): number {\n    return totalOf(this.items);\n  }\n}\n"
    )
    (root / "main.go").write_text("package main\n\nfunc (c *Cart) Sum() int {\n\treturn totalOf(c.items)\n}\n")
    assert (await bench("list_symbols", '{"path": "web/cart.ts"}')).text.splitlines()[1:] == [
        "1-5: class Cart", "2-4:   sum(): number",
    ]  # fmt: skip
    callers = await bench("get_callers", '{"symbol": "totalOf"}')
    assert callers.text.splitlines() == ["2 calls", "main.go:4: in Cart.Sum", "web/cart.ts:3: in Cart.sum"]


async def test_what_is_protected_or_linked_or_large_is_not_in_an_answer(bench: Bench) -> None:
    root = bench.context.workspace.root
    (root / "secrets").mkdir()
    (root / "credentials.py").write_text("from src.calc import total\ntotal([7])\n")
    (root / "twin.py").symlink_to("src/report.py")
    (root / "large.py").write_text("# " + "x" * 2_000_000 + "\ntotal([8])\n")
    callers = await bench("get_callers", '{"symbol": "total"}')
    assert "credentials" not in callers.text and "twin.py" not in callers.text
    assert "3 calls" in callers.text
    assert "not searched: large.py (it is larger than 1048576 bytes)" in callers.text
    assert "credentials" not in (await bench("module_graph", '{"path": "src/calc.py"}')).text
    assert "too large" in (await bench("list_symbols", '{"path": "large.py"}')).text


async def on_new_commit(bench: Bench, files: dict[str, str]) -> None:
    head = commit(bench.repo, "more", files)
    old, git_tool = bench.context.workspace, bench.context.git
    workspaces = Workspaces(git_tool, git_tool.places, old._settings)
    await workspaces.release(old)
    bench.context.workspace = await workspaces.acquire("op-1", head)


async def test_a_committed_file_that_is_protected_is_in_no_answer(bench: Bench) -> None:
    await on_new_commit(
        bench,
        {
            "src/credentials_of.py": "from src.calc import total\ntotal([7])\n",
            "src/through.py": "from src import credentials_of\n",
        },
    )
    assert "3 calls" in (await bench("get_callers", '{"symbol": "total"}')).text
    graph = (await bench("module_graph", '{"path": "src/calc.py", "depth": 3}')).text
    assert "credentials" not in graph and "through" not in graph
    assert "credentials" not in (await bench("module_graph", '{"path": "src/through.py"}')).text
    by_name = await bench("module_graph", '{"path": "src.credentials_of"}')
    assert (by_name.use.ok, "There is no Python file" in by_name.text) == (False, True)


async def test_a_committed_file_that_is_too_large_is_told_too(bench: Bench) -> None:
    await on_new_commit(bench, {"src/huge.py": "x = 1\n" * 400_000 + "total([9])\n"})
    text = (await bench("get_callers", '{"symbol": "total"}')).text
    assert "3 calls" in text and "not searched: src/huge.py" in text


async def test_module_graph_shows_both_directions(bench: Bench) -> None:
    text = (await bench("module_graph", '{"path": "src/report.py"}')).text
    assert text.splitlines() == [
        "src/report.py · imported as report · 5 Python files looked at", "imports: 1 files", "  src/calc.py (line 1)",
        "imported by: 0 files",
    ]  # fmt: skip
    edit = {"path": "tests/test_report.py", "content": "import asyncio\n\nfrom src import report\n"}
    assert (await bench("write_file", json.dumps(edit))).use.ok
    by_name = await bench("module_graph", '{"path": "src.calc", "depth": 2}')
    assert by_name.text.splitlines()[1:] == [
        "imports: 0 files", "imported by: 2 files", "  src/report.py:1", "  tests/test_calc.py:1",
        "imported by at step 2: 1 files", "  tests/test_report.py:3 imports src/report.py",
    ]  # fmt: skip
    assert by_name.use.score == 2
    assert "imports from elsewhere: asyncio" in (await bench("module_graph", '{"path": "tests/test_report.py"}')).text


@pytest.mark.parametrize("path", ["docs/long.txt", "src.nope", "nope.py"])
async def test_module_graph_needs_a_python_file(bench: Bench, path: str) -> None:
    outcome = await bench("module_graph", json.dumps({"path": path}))
    assert (outcome.use.ok, "There is no Python file" in outcome.text) == (False, True)


async def test_an_import_that_leads_nowhere_is_told(bench: Bench) -> None:
    (bench.context.workspace.root / "src/lost.py").write_text("import os\nfrom src.gone import x\nfrom . import also\n")
    text = (await bench("module_graph", '{"path": "src/lost.py"}')).text
    assert "imports that lead to no file here: src.gone (line 2), . (line 3)" in text
    assert "imports from elsewhere: os" in text


async def test_nothing_of_the_owners_checkout_is_seen(bench: Bench) -> None:
    (bench.repo / "src/uncommitted.py").write_text("total([1])\n")
    git(bench.repo, "add", "-A")
    assert "uncommitted" not in (await bench("get_callers", '{"symbol": "total"}')).text
