from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.irongate.test_code.shortcuts import literals_of
from governance.repair.cloze import describe_change
from governance.repair.failure_context import changed_lines, examples_of, read_context, sources_of, within
from governance.repair.ranking import Variant
from governance.repair.spans import ParsedFile, replace_line
from ledger.vocabulary import Outcome, RunStatus, TestResult, TestRun
from tests.governance.repair.test_cloze import PATH, scene
from tests.repos import commit, git, host_env, make_places, make_repo
from tools.git import Git
from tools.workspace import Workspace, Workspaces, WorkspaceSettings

HEADER_LIKE = ["++ b/other.py", "-- a/other.py", "@@ -1 +1 @@", "x = 1", ""]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    before=st.lists(st.sampled_from(HEADER_LIKE), max_size=6),
    between=st.lists(st.sampled_from(HEADER_LIKE), max_size=4),
    after=st.lists(st.sampled_from(HEADER_LIKE), max_size=6),
)
def test_new_lines_are_those_that_were_put_in_whatever_they_look_like(
    before: list[str], between: list[str], after: list[str], tmp_path_factory: object
) -> None:
    folder: Path = tmp_path_factory.mktemp("repo")  # type: ignore[attr-defined]
    marked = [f"new {n} {text}" for n, text in enumerate(between)]

    def text(*parts: list[str]) -> str:
        return "".join(f"{line}\n" for part in parts for line in part)

    repo = make_repo(folder / "shop", {"a.py": text(before, after), "b.py": "one\n"})
    commit(repo, "change", {"a.py": text(before, marked, after), "b.py": "one\n++ b/a.py\n"})
    diff = git(repo, "diff", "-U0", "--src-prefix=a/", "--dst-prefix=b/", "HEAD~1", "HEAD")
    found = changed_lines(diff)
    first = len(before) + 1
    assert found.get("a.py", frozenset()) == frozenset(range(first, first + len(marked)))
    assert found["b.py"] == {2}


def test_where_lines_went_the_line_that_took_their_place_counts(tmp_path: Path) -> None:
    repo = make_repo(tmp_path / "shop", {"a.py": "one\ntwo\nthree\n"})
    commit(repo, "change", {"a.py": "one\nthree\n"})
    assert changed_lines(git(repo, "diff", "-U0", "HEAD~1", "HEAD")) == {"a.py": {1}}


DATA = """import pytest

FAR = [(911, 912)]
NEAR: list = [(
    711, 712)]
OTHER = 511


@pytest.fixture
def rate():
    return 611


@pytest.mark.parametrize("a, b", NEAR)
def test_near(a, b, rate):
    assert f(a) == b


class TestOld:
    TABLE = {311: 312}

    def test_old(self):
        for a, b in self.TABLE.items():
            assert f(a) == b
"""


class Files(Workspace):
    """Texts by path."""

    def __init__(self, **texts: str) -> None:
        self._texts = texts

    def read(self, path: str) -> bytes | None:
        text = self._texts.get(path.removesuffix(".py"))
        return None if text is None else text.encode()


def test_what_a_test_gives_stands_in_its_tables_and_fixtures_too() -> None:
    found = {
        test: literals_of(sources_of([f"t.py::{test}"], Files(t=DATA))) for test in ("test_near", "TestOld::test_old")
    }
    assert {value for value in found["test_near"] if value.isdigit()} == {"711", "712", "611"}
    assert {value for value in found["TestOld::test_old"] if value.isdigit()} == {"311", "312"}
    assert sources_of(["gone.py::test_x"], Files()) == ()


def test_a_literal_of_the_tests_table_is_a_copied_one() -> None:
    red = TestResult(id="t.py::test_near", outcome=Outcome.FAILED, exception="AssertionError")
    text = "def f(a):\n    return a\n"
    (example,) = examples_of((red,), Files(t=DATA))
    source = ParsedFile(text)
    seen = replace(
        scene(), failing=(red,), examples=(example,), sources={PATH: source}, originals={PATH: text.encode()}
    )
    for answer, way_round in (("return 712", "it copies a literal from the test"), ("return a + 1", "")):
        variant = Variant(path=PATH, base=text, span=replace_line(source, 2), text=answer)
        assert describe_change(seen, variant)[0] == way_round


EMPTY = """\
class Version:
    @property
    @cached
    def build(self):
        \"\"\"What it was built from.

        Or nothing.\"\"\"

    def bump(self):
        return self.build

    def later(self): pass
"""


@pytest.mark.parametrize(("line", "there"), [(2, 7), (4, 7), (6, 7), (9, 9), (10, 10), (12, 12), (1, 1)])
def test_what_is_missing_in_a_function_that_only_says_what_it_is_for_goes_behind_that(line: int, there: int) -> None:
    assert within(ParsedFile(EMPTY), line) == there


async def test_a_link_among_what_the_tests_ran_hides_no_other_file(tmp_path: Path) -> None:
    test = "tests/test_a.py::test_a"
    files = {"shop.py": "def f():\n    return 1\n", "tests/test_a.py": "def test_a():\n    assert f() == 2\n"}
    repo = make_repo(tmp_path / "repo", {**files, "common.py": "LOW = 1\n"})
    for name in ("tests/conftest.py", "shared.py", "tests/test_b.py"):
        (repo / name).symlink_to(repo / "common.py")
    commit(repo, "links")
    places = make_places(tmp_path / "ours", repo)
    workspaces = Workspaces(Git(places, host_env()), places, WorkspaceSettings(memory_folder=str(tmp_path)))
    workspace = await workspaces.acquire("op-1", git(repo, "rev-parse", "HEAD"))
    message = "cannot import name 'f' from 'shared' (shared.py)"
    failing = tuple(
        TestResult(id=i, outcome=Outcome.FAILED, exception="ImportError", message=message)
        for i in (test, "tests/test_b.py::test_b")
    )
    ran = {"shop.py": (2,), "shared.py": (1,), "tests/conftest.py": (1,), "tests/test_a.py": (2,)}
    base = TestRun(
        status=RunStatus.RED, results=failing, coverage={"": {"shared.py": (1,), "shop.py": (1,)}, test: ran}
    )
    found = read_context(workspace, base, failing, {})
    assert {place.path for place in found.places} == set(found.originals) == {"shop.py"}
    assert [bool(example.source) for example in found.examples] == [True, False]
    assert sources_of([result.id for result in failing], workspace) == (files["tests/test_a.py"],)


async def test_a_file_that_ran_and_that_our_python_cannot_parse_can_be_changed(tmp_path: Path) -> None:
    text = "def f(a):\n    return -a ?? 0\n"
    repo = make_repo(tmp_path / "repo", {"shop.py": text})
    places = make_places(tmp_path / "ours", repo)
    workspaces = Workspaces(Git(places, host_env()), places, WorkspaceSettings(memory_folder=str(tmp_path)))
    workspace = await workspaces.acquire("op-1", git(repo, "rev-parse", "HEAD"))
    red = TestResult(id="t.py::test_f", outcome=Outcome.FAILED)
    base = TestRun(status=RunStatus.RED, results=(red,), coverage={red.id: {"shop.py": (2,)}})
    source = read_context(workspace, base, (red,), {}).sources["shop.py"]
    assert source.tree is None and source.shape_with(replace_line(source, 2), "return a ?? 0")
