"""What is read out of files: Python by its own parser, the rest by grammars, in a child that hostile files may kill."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tools.index.parse as parsing
from ledger.errors import ToolError
from tools.index.facts import UNREAD, CallSite, Import, IndexedFile, Symbol, from_json, to_json
from tools.index.languages import GRAMMARS, language_of
from tools.index.parse import SourceText, parse
from tools.index.python import read_python
from tools.index.worker import facts_of

SAMPLES = {
    "javascript": (
        "class A extends B {\n  m(a) { this.f(a); return new Foo(1) }\n  g = () => h()\n}\n"
        "const arrow = async (x) => m(x)\nconst el = <Comp a={1}/>\n",
        [("A", "class"), ("A.m", "method"), ("A.g", "method"), ("arrow", "function")],
        [("f", "A.m"), ("Foo", "A.m"), ("h", "A.g"), ("m", "arrow"), ("Comp", "")],
    ),
    "typescript": (
        "interface I { m(a: string): void }\nabstract class A<T> {\n  private n<T>(a: T): void { foo<T>(a) }\n}\n"
        "enum E { X }\nnamespace N { export function q() { s.r() } }\ntype U = { a: 1 }\n",
        [
            ("I", "interface"),
            ("I.m", "method"),
            ("A", "class"),
            ("A.n", "method"),
            ("E", "enum"),
            ("N", "namespace"),
            ("N.q", "function"),
            ("U", "type"),
        ],
        [("foo", "A.n"), ("r", "N.q")],
    ),
    "tsx": (
        "function App() { return <Cart.Row n={1}>{f()}</Cart.Row> }\n",
        [("App", "function")],
        [("Row", "App"), ("f", "App")],
    ),
    "go": (
        "package a\n\ntype Server struct{ a int }\n\n"
        "func (s *Server[T]) Run(x int) error {\n\ts.mu.Lock()\n\treturn fmt.Errorf(x)\n}\n"
        "func Gen[T any](a T) { Run(1) }\n",
        [("Server", "type"), ("Server.Run", "func"), ("Gen", "func")],
        [("Lock", "Server.Run"), ("Errorf", "Server.Run"), ("Run", "Gen")],
    ),
    "rust": (
        'impl<T> Show for Bar<T> {\n    fn a(&self) { self.b::<u8>(); Vec::<u8>::new(); println!("x"); }\n}\n'
        "struct S;\ntrait Q { fn q(&self); }\nmod m { pub fn z() {} }\n",
        [("Bar", "impl"), ("Bar.a", "fn"), ("S", "struct"), ("Q", "trait"), ("Q.q", "fn"), ("m", "mod"), ("m.z", "fn")],
        [("b", "Bar.a"), ("new", "Bar.a"), ("println", "Bar.a")],
    ),
    "c": (
        "struct s { int a; };\nstatic int *f(struct s *x)\n{\n    return g(x->h(1));\n}\n"
        "typedef struct { int a; } T;\n",
        [("s", "struct"), ("f", "function"), ("T", "type")],
        [("g", "f"), ("h", "f")],
    ),
    "java": (
        "class A<T> extends B {\n  A() { super(); }\n"
        "  void m(int a) { this.x.f(a); new Foo<Bar>(1); new a.b.Qux(); }\n  enum E { P }\n}\n",
        [("A", "class"), ("A.A", "constructor"), ("A.m", "method"), ("A.E", "enum")],
        [("f", "A.m"), ("Foo", "A.m"), ("Qux", "A.m")],
    ),
}


@pytest.mark.parametrize("language", SAMPLES)
def test_what_a_language_defines_and_calls(language: str) -> None:
    text, symbols, calls = SAMPLES[language]
    facts = facts_of(language, text.encode())
    assert facts.error == ""
    assert [(s.name, s.kind) for s in facts.symbols] == symbols
    assert [(c.callee, c.caller) for c in facts.calls] == calls
    assert all("{" not in s.signature and 1 <= s.line <= s.end for s in facts.symbols)


def test_every_grammar_is_installed_and_tried() -> None:
    assert {*SAMPLES, "python"} == {*GRAMMARS}
    names = ["a.py", "a.pyi", "web/A.JSX", "a.tsx", "x.h", ".py", "Makefile", "a.pyc", "a.d.ts"]
    found = [language_of(name) for name in names]
    assert found == ["python", "python", "javascript", "tsx", "c", None, None, None, "typescript"]


PYTHON = b"""import os, a.b as c
from . import x
from ..p.q import r as s, t
from z import *

@mark
@fixture(scope="x")
class A(Base, metaclass=M):
    async def f(self, a: int = 1, *b) -> int:
        load = importlib.import_module("plug.in")
        return g(self.h(1))
"""


def test_python_by_its_syntax_tree() -> None:
    facts = facts_of("python", PYTHON)
    assert facts.symbols == (
        Symbol("A", "class", "class A(Base)", 8, 11),
        Symbol("A.f", "async def", "async def f(self, a: int=1, *b) -> int", 9, 11),
    )
    assert [(c.callee, c.caller) for c in facts.calls] == [
        ("mark", ""),
        ("fixture", ""),
        ("import_module", "A.f"),
        ("g", "A.f"),
        ("h", "A.f"),
    ]
    assert facts.imports == (
        Import("os", (), 0, 1),
        Import("a.b", (), 0, 1),
        Import("", ("x",), 1, 2),
        Import("p.q", ("r", "t"), 2, 3),
        Import("z", ("*",), 0, 4),
        Import("plug.in", (), 0, 10),
    )


def test_broken_python_gives_what_stands_around_the_error() -> None:
    facts = facts_of("python", PYTHON + b"\ndef late(:\n    called(1)\n")
    assert facts.error.startswith("line 13: ")
    assert [s.name for s in facts.symbols][:2] == ["A", "A.f"]
    whole = facts_of("python", PYTHON)
    assert facts.imports == tuple(row for row in whole.imports if row.module != "plug.in")
    assert {"late", "called", "metaclass"} <= facts.words


@pytest.mark.parametrize("data", [b"\0\0", b"\xff\xfe\x00", b"# coding: nope\nx = 1\n", b"(" * 5_000, b"x = '\xe9'\n"])
def test_what_is_no_python_is_an_error_and_no_exception(data: bytes) -> None:
    assert read_python(data).error
    assert facts_of("python", data).error


def test_another_encoding_is_read() -> None:
    facts = read_python("# coding: latin-1\ndef grüße():\n    pass\n".encode("latin-1"))
    assert [s.name for s in facts.symbols] == ["grüße"]


@settings(max_examples=100, deadline=None)
@given(language=st.sampled_from(sorted(GRAMMARS)), data=st.data())
def test_reading_is_total_and_survives_storing(language: str, data: st.DataObject) -> None:
    sample = PYTHON.decode() if language == "python" else SAMPLES[language][0]
    cut = data.draw(st.integers(0, len(sample)))
    noise = data.draw(
        st.one_of(st.binary(max_size=40), st.text(max_size=40).map(lambda t: t.encode("utf-8", "replace")))
    )
    facts = facts_of(language, sample[:cut].encode() + noise + sample[cut:].encode())
    assert from_json(to_json(facts)) == facts


async def test_few_python_files_need_no_child_and_the_order_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    good, broken, go = (
        SourceText("python", b"def f(): g()\n"),
        SourceText("python", b"def f(:\n"),
        SourceText("go", b"package a\n"),
    )
    mixed = await parse([broken, go, good, broken])
    assert [bool(f.error) for f in mixed] == [True, False, False, True]
    assert mixed[2] == read_python(good.data) == (await parse([good], background=True))[0]
    monkeypatch.setattr(parsing, "BOOT", "raise SystemExit(9)")
    assert (await parse([good]))[0].calls == (CallSite("g", "f", 1),)
    with pytest.raises(ToolError, match="ended with 9"):
        await parse([go])


async def test_limits_that_the_owner_has_set_lower_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    lower = "import resource\nresource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))\n"
    monkeypatch.setattr(parsing, "BOOT", lower + parsing.BOOT)
    (found,) = await parse([SourceText("go", b"package a\nfunc f() { g() }\n")])
    assert found.calls[0].callee == "g"


KILLED = """
import json, os, signal, sys, time
sys.path[:0] = json.loads(sys.argv[1])
import tools.index.worker as worker
plain = worker.facts_of
def facts_of(language, data):
    if b"die" in data:
        os.kill(os.getpid(), signal.SIGSEGV)
    while b"loop" in data:
        pass
    until = time.process_time() + 0.55
    while b"slow" in data and time.process_time() < until:
        pass
    return plain(language, data)
worker.facts_of, worker.CPU_S = facts_of, 1
worker.main(int(sys.argv[2]), int(sys.argv[3]))
"""


async def test_a_file_that_kills_the_parser_costs_only_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "BOOT", KILLED)
    texts = [b"a()\n", b"die()\n", b"b()\n", b"loop()\n", b"c()\n"]
    found = await parse([SourceText("javascript", text) for text in texts])
    assert [f.calls[0].callee if f.calls else f.error for f in found] == [
        "a",
        "the parser dies of it (signal 11)",
        "b",
        "parsing it takes too long",
        "c",
    ]
    assert found[1].words == {UNREAD}


async def test_a_file_is_blamed_only_for_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "BOOT", KILLED)
    texts = [b"a() // slow\n", b"b() // slow\n", b"c()\n"]  # the limit is one second: the child dies in the second
    found = await parse([SourceText("javascript", text) for text in texts])
    assert [f.calls[0].callee if f.calls else f.error for f in found] == ["a", "b", "c"]


async def test_many_files_go_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "BATCH_FILES", 3)
    monkeypatch.setattr(parsing, "BATCH_BYTES", 60)
    texts = [b"f%d()\n" % n + b"//" * (n * 4) + b"\n" for n in range(12)]
    found = await parse([SourceText("javascript", text) for text in texts])
    assert [f.calls[0].callee for f in found] == [f"f{n}" for n in range(12)]


def test_the_child_takes_nothing_but_the_grammars_and_this_package() -> None:
    folders = [Path(folder) for folder in parsing._folders()]
    assert (folders[0] / "tools/index/worker.py").is_file()
    assert any((folder / "tree_sitter").is_dir() for folder in folders)
    assert IndexedFile().words == frozenset()
