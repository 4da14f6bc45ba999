"""Edits from a model: the three forms, what may differ from the file, and what is refused with which words."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.ids import sha256_hex
from ledger.vocabulary import Edit, EditKind
from tools.edits import EditProblems, make_edit, parse_edits, resolve
from tools.edits.match import find

SOURCE = "def add(a, b):\n    return a - b\n\n\ndef mul(a, b):\n    return a * b\n"


def block(path: str, search: str, replace: str) -> str:
    return f"{path}\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


def take(answer: str, files: dict[str, bytes]) -> tuple[Edit, ...]:
    result = resolve(parse_edits(answer), files.get)
    assert not isinstance(result, EditProblems), result.text
    return result


def refuse(answer: str, files: dict[str, bytes]) -> EditProblems:
    result = resolve(parse_edits(answer), files.get)
    assert isinstance(result, EditProblems), result
    return result


def test_search_replace_gives_a_checked_edit() -> None:
    files = {"calc.py": SOURCE.encode()}
    answer = "The sign is wrong.\n\n" + block("calc.py", "    return a - b\n", "    return a + b\n") + "\nDone."
    (edit,) = take(answer, files)
    assert edit.kind is EditKind.MODIFY
    assert edit.before == sha256_hex(SOURCE)
    assert edit.after == SOURCE.replace("a - b", "a + b").encode()


@pytest.mark.parametrize(
    "head",
    ["calc.py", "**calc.py**", "`calc.py`:", "### calc.py", "File: calc.py", "./calc.py", "- `calc.py`", "1. calc.py"],
)
def test_path_lines_as_models_write_them(head: str) -> None:
    answer = block(head, "    return a - b\n", "    return a + b\n")
    assert take(answer, {"calc.py": SOURCE.encode()})[0].path == "calc.py"


@pytest.mark.parametrize(
    "answer",
    [
        "calc.py\n```python\n<<<<<<< SEARCH\n    return a - b\n=======\n    return a + b\n>>>>>>> REPLACE\n```\n",
        "```python\ncalc.py\n<<<<<<< SEARCH\n    return a - b\n=======\n    return a + b\n>>>>>>> REPLACE\n```\n",
        "```python calc.py\n<<<<<<< SEARCH\n    return a - b\n=======\n    return a + b\n>>>>>>> REPLACE\n```\n",
    ],
)
def test_blocks_inside_fences(answer: str) -> None:
    again = "other.py\n```python\n<<<<<<< SEARCH\nx\n=======\ny\n>>>>>>> REPLACE\n```\n"
    edits = take(answer + "\nAnd then:\n" + again, {"calc.py": SOURCE.encode(), "other.py": b"x\n"})
    assert [e.path for e in edits] == ["calc.py", "other.py"]
    assert edits[1].after == b"y\n"


def test_second_block_may_leave_its_path_out() -> None:
    answer = block("calc.py", "    return a - b\n", "    return a + b\n") + block(
        "", "def mul(a, b):\n", "def times(a, b):\n"
    )
    (edit,) = take(answer, {"calc.py": SOURCE.encode()})
    assert edit.after == SOURCE.replace("a - b", "a + b").replace("def mul", "def times").encode()


def test_trailing_blanks_and_uniform_indentation_may_differ() -> None:
    have = "class A:\n    def f(self):\n        x = 1   \n        return x\n"
    answer = block("a.py", "def f(self):\n    x = 1\n    return x\n", "def f(self):\n    x = 2\n    return x\n")
    (edit,) = take(answer, {"a.py": have.encode()})
    assert edit.after == have.replace("x = 1   ", "x = 2").encode()
    # A line that the edit does not change keeps its blanks.
    answer = block("a.py", "        x = 1\n        return x\n", "        x = 1\n        return x + 1\n")
    assert take(answer, {"a.py": have.encode()})[0].after == have.replace("return x", "return x + 1").encode()


def test_uneven_indentation_is_not_a_match() -> None:
    answer = block("a.py", "if x:\ny = 1\n", "if x:\n    y = 2\n")
    assert refuse(answer, {"a.py": b"if x:\n    y = 1\n"}).problems[0].rule == "edits.not_found"


def test_not_found_names_the_nearest_lines() -> None:
    problems = refuse(block("calc.py", "def add(a, b):\n    return b - a\n", "x\n"), {"calc.py": SOURCE.encode()})
    assert problems.problems[0].rule == "edits.not_found"
    assert "lines 1-2 (1 of 2 lines agree)" in problems.text
    assert "'    return a - b', you wrote '    return b - a'" in problems.text


def test_ambiguous_names_the_places() -> None:
    problems = refuse(block("a.py", "x = 1\n", "x = 2\n"), {"a.py": b"x = 1\ny = 1\nx = 1\n"})
    assert problems.problems[0].rule == "edits.ambiguous"
    assert "2 times (lines 1-1, 3-3)" in problems.text


def test_overlapping_places_are_ambiguous() -> None:
    assert "2 times" in refuse(block("a.py", "x\nx\n", "y\n"), {"a.py": b"x\nx\nx\n"}).text


def test_heading_underline_is_told_from_the_divider_by_the_file() -> None:
    text = "Title\n=======\nold\n"
    answer = "a.rst\n<<<<<<< SEARCH\nTitle\n=======\nold\n=======\nTitle\n=======\nnew\n>>>>>>> REPLACE\n"
    assert take(answer, {"a.rst": text.encode()})[0].after == b"Title\n=======\nnew\n"


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        ("a.py\n<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n", "edits.unreadable"),
        ("a.py\n<<<<<<< SEARCH\nx = 1\n>>>>>>> REPLACE\n", "edits.unreadable"),
        ("\n<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE\n", "edits.no_path"),
        (block("b.py", "x\n", "y\n"), "edits.no_file"),
        (block("a.py", "", "y\n"), "edits.no_search"),
        (block("a.py", "\n", "y\n"), "edits.no_search"),
        (block("../a.py", "x\n", "y\n"), "edits.outside"),
        (block("/etc/hosts", "x\n", "y\n"), "edits.outside"),
        (block("bin.dat", "x\n", "y\n"), "edits.binary"),
        (block("a.py", "x = 1\n", "x = 1\n"), "edits.nothing"),
        ("I would change line 3.", "edits.nothing"),
        ("a.py\n```python\nx = 2\n", "edits.unreadable"),
        ("--- a/a.py\n+++ b/a.py\n@@ -1,0 +1,1 @@\n+y\n", "edits.no_context"),
        ("--- /dev/null\n+++ b/a.py\n@@ -0,0 +1 @@\n+y\n", "edits.exists"),
        ("--- a/a.py\n+++ b/a.py\n@@ -1 +1 @@\n", "edits.unreadable"),
    ],
)
def test_refusals(answer: str, rule: str) -> None:
    assert refuse(answer, {"a.py": b"x = 1\n", "bin.dat": b"x\0y"}).problems[0].rule == rule


def test_no_read_outside() -> None:
    asked: list[str] = []

    def read(path: str) -> bytes | None:
        asked.append(path)
        return None

    resolve(parse_edits(block("../secret.py", "x\n", "y\n")), read)
    assert asked == []


def test_whole_file_creates_and_replaces_keeping_newlines_and_mark() -> None:
    new = "src/new.py\n```python\nx = 1\n```\n"
    assert take(new, {})[0].kind is EditKind.CREATE
    (edit,) = take(new, {"src/new.py": b"\xef\xbb\xbfx = 0\r\ny = 0\r\n"})
    assert edit.after == b"\xef\xbb\xbfx = 1\r\n"
    assert edit.kind is EditKind.MODIFY


def test_fenced_example_in_prose_is_no_edit() -> None:
    answer = "For instance:\n```python\nx = 1\n```\nand then nothing."
    assert parse_edits(answer).parts == ()


def test_longer_fence_holds_a_shorter_one() -> None:
    answer = "docs/a.md\n````markdown\n```sh\nls\n```\n````\n"
    assert take(answer, {})[0].after == b"```sh\nls\n```\n"


def test_empty_search_creates() -> None:
    (edit,) = take(block("pkg/new.py", "", "x = 1\n"), {})
    assert (edit.kind, edit.after, edit.before) == (EditKind.CREATE, b"x = 1\n", None)


def test_diff_create_delete_rename_and_wrong_counts() -> None:
    files = {"a.py": b"one\ntwo\nthree\n", "old.py": b"x = 1\ny = 2\n", "gone.py": b"z\n"}
    answer = (
        "```diff\n--- a/a.py\n+++ b/a.py\n@@ -1,9 +1,7 @@\n one\n-two\n+TWO\n three\n"
        "diff --git a/old.py b/new.py\nsimilarity index 50%\nrename from old.py\nrename to new.py\n"
        "--- a/old.py\n+++ b/new.py\n@@ -1,2 +1,2 @@\n x = 1\n-y = 2\n+y = 3\n"
        "--- a/gone.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-z\n"
        "--- /dev/null\n+++ b/fresh.py\n@@ -0,0 +1,2 @@\n+a\n+b\n\\ No newline at end of file\n```\n"
    )
    edits = {e.path: e for e in take(answer, files)}
    assert edits["a.py"].after == b"one\nTWO\nthree\n"
    assert edits["new.py"].kind is EditKind.RENAME
    assert (edits["new.py"].renamed_from, edits["new.py"].after) == ("old.py", b"x = 1\ny = 3\n")
    assert edits["gone.py"].kind is EditKind.DELETE
    assert edits["fresh.py"].after == b"a\nb"
    assert set(edits) == {"a.py", "new.py", "gone.py", "fresh.py"}


def test_diff_line_number_decides_between_equal_places() -> None:
    answer = "--- a/a.py\n+++ b/a.py\n@@ -3 +3 @@\n-x\n+y\n"
    assert take(answer, {"a.py": b"x\nm\nx\n"})[0].after == b"x\nm\ny\n"


def test_removed_line_that_looks_like_a_header() -> None:
    answer = "--- a/q.sql\n+++ b/q.sql\n@@ -1,3 +1,2 @@\n select\n--- comment\n from t\n"
    assert take(answer, {"q.sql": b"select\n-- comment\nfrom t\n"})[0].after == b"select\nfrom t\n"


def test_encoding_is_kept_and_a_character_it_lacks_is_refused() -> None:
    latin = "# -*- coding: latin-1 -*-\nname = 'é'\nx = 1\n".encode("latin-1")
    assert take(block("l.py", "x = 1\n", "x = 'ü'\n"), {"l.py": latin})[0].after == latin.replace(
        b"x = 1", b"x = '\xfc'"
    )
    assert refuse(block("l.py", "x = 1\n", "x = '€'\n"), {"l.py": latin}).problems[0].rule == "edits.encoding"


def test_mode_comes_from_the_caller() -> None:
    parsed = parse_edits(block("run.sh", "a\n", "b\n"))
    result = resolve(parsed, {"run.sh": b"a\n"}.get, modes={"run.sh": 0o755})
    assert not isinstance(result, EditProblems)
    assert result[0].mode == 0o755


def test_make_edit_of_equal_bytes_is_none() -> None:
    assert make_edit("a", b"x", b"x") is None
    assert make_edit("a", None, None) is None


BODY = st.text(alphabet="ab {}=é\t", max_size=6).filter(lambda s: not s.endswith((" ", "\t")))
LINES = st.lists(BODY, min_size=1, max_size=12)


@settings(deadline=None, max_examples=150)
@given(old=LINES, new=LINES, newline=st.sampled_from(["\n", "\r\n"]), bom=st.booleans(), bare=st.booleans())
def test_a_unified_diff_round_trips(old: list[str], new: list[str], newline: str, bom: bool, bare: bool) -> None:
    def file(lines: list[str]) -> bytes:
        text = newline.join(lines) + ("" if bare else newline)
        return (b"\xef\xbb\xbf" if bom else b"") + text.encode()

    def rows(lines: list[str]) -> list[str]:
        ended = [line + "\n" for line in lines]
        if bare:
            ended[-1] = lines[-1]
        return ended

    if file(old) == file(new) or (bare and (len(old) == 1 or "" in (old[-1], new[-1]))):
        return
    diff = "".join(
        line if line.endswith("\n") else line + "\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(rows(old), rows(new), "a/f.txt", "b/f.txt", n=len(old))
    )
    assert take(diff, {"f.txt": file(old)})[0].after == file(new)


@settings(deadline=None, max_examples=150)
@given(lines=LINES, data=st.data(), newline=st.sampled_from(["\n", "\r\n"]))
def test_a_block_changes_its_lines_and_nothing_else(lines: list[str], data: st.DataObject, newline: str) -> None:
    start = data.draw(st.integers(0, len(lines) - 1))
    stop = data.draw(st.integers(start + 1, len(lines)))
    new = data.draw(st.lists(BODY, max_size=4))
    have = "".join(line + newline for line in lines).encode()
    want = "".join(line + newline for line in [*lines[:start], *new, *lines[stop:]]).encode()
    answer = block("f.txt", "".join(f"{x}\n" for x in lines[start:stop]), "".join(f"{x}\n" for x in new))
    result = resolve(parse_edits(answer), {"f.txt": have}.get)
    unique = [lines[i : i + stop - start] for i in range(len(lines))].count(lines[start:stop]) == 1
    if isinstance(result, EditProblems):
        assert have == want or not unique or not any(x.strip() for x in lines[start:stop]), result.text
    else:
        assert unique
        assert result[0].after == want


@settings(deadline=None, max_examples=200)
@given(st.text(alphabet="<>=SEARCHPL \n`-+@a/.py\\dif", max_size=120))
def test_parse_and_resolve_are_total(text: str) -> None:
    resolve(parse_edits(text), {"a.py": b"a\n"}.get)


LINES = st.lists(st.sampled_from(["x", "  x", "x ", "y", "    y", ""]), max_size=12)


@settings(max_examples=300)
@given(lines=LINES, wanted=LINES.filter(bool))
def test_every_place_is_found(lines: list[str], wanted: list[str]) -> None:
    """As the plain search would find it: the strictest level that finds one decides."""
    places = range(len(lines) - len(wanted) + 1)
    exact = [at for at in places if lines[at : at + len(wanted)] == wanted]
    bare = [line.rstrip() for line in lines]
    loose = [at for at in places if bare[at : at + len(wanted)] == [line.rstrip() for line in wanted]]
    found = [place.start for place in find(lines, wanted)]
    if exact:
        assert found == exact
    elif loose and any(line.strip() for line in wanted):
        assert found == loose
    else:
        assert all([x.strip() for x in lines[at : at + len(wanted)]] == [x.strip() for x in wanted] for at in found)


def test_thousands_of_like_lines_take_no_longer_than_others() -> None:
    """A model can write such a file; the thread that looks through it could not be stopped."""
    many = ["x"] * 40_000
    assert find(many, [*many[:20_000], "y"]) == ()
    assert find([f"  {line}" for line in many], [*many[:20_000], "y"]) == ()
    body = "x\n" * 20_000
    (edit,) = take(block("a.txt", body, "y\n" + body), {"a.txt": body.encode()})
    assert edit.after == f"y\n{body}".encode()


def test_a_very_long_line_is_likened_by_its_beginning() -> None:
    lines = [f"{n}" * 4_000 + "abc" * 4_000 for n in range(50)]
    files = {"a.txt": "\n".join(lines).encode()}
    assert "not in the file" in refuse(block("a.txt", "7" * 4_000 + "abd" * 4_000 + "\n", "x\n"), files).text
