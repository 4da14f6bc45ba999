"""Gate 13: what a rewriting model loses, and what it may leave out."""

from __future__ import annotations

import pytest

from governance.irongate.candidate import g13_shrink
from ledger.vocabulary import Decision, EditKind, Source, Tier
from tests.governance.irongate.builders import operation, signal

BODY = "def f(x):\n    y = x + 1\n    return y\n\n\ndef g(x):\n    z = x * 2\n    return z\n"


def judge(before: str | None, after: str | None, path: str = "a.py", *, wanted: bool = False) -> tuple[Decision, str]:
    kind = EditKind.CREATE if before is None else EditKind.DELETE if after is None else EditKind.MODIFY
    verdict = g13_shrink.check(
        g13_shrink.ShrinkFacts(
            path=path,
            kind=kind,
            before=None if before is None else before.encode(),
            after=None if after is None else after.encode(),
            deletion_wanted=wanted,
        )
    )
    return verdict.decision, verdict.rule.removeprefix("gate13.")


@pytest.mark.parametrize(
    "line",
    [
        "# ... existing code ...",
        "# rest of the file remains unchanged",
        "# ... (rest of the code stays the same)",
        "# ...",
        "# existing code here",
        "# [rest of the function]",
        "# other methods unchanged",
        "...",
        "# … remaining implementation …",
        "# keep the existing imports",
    ],
)
def test_marks_of_left_out_code(line: str) -> None:
    assert judge(BODY, BODY + f"\n\n{line}\n") == (Decision.DENY, "elided")


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("a.js", "// ... existing code ..."),
        ("a.html", "<!-- rest of the file ... -->"),
        ("a.c", "/* ... */"),
        ("a.md", "[... rest of the document ...]"),
    ],
)
def test_marks_in_other_languages(path: str, line: str) -> None:
    assert judge("one\n", f"one\n{line}\n", path)[0] is Decision.DENY


@pytest.mark.parametrize(
    "added",
    [
        "x = data[..., 0]",
        "# the rest of the file system is scanned by `walk`",
        "print('...')",
        "log('loading ...')",
        "# wait for the remaining lines to arrive before parsing",
        "class Broken(Exception): ...",
        "# existing code paths call this with None, see `load`",
        "@overload\ndef h(x: int) -> int: ...",
        "class P(Protocol):\n    def m(self) -> int: ...",
        "class A(ABC):\n    @abstractmethod\n    def m(self):\n        ...",
        "T = tuple[int, ...]",
    ],
)
def test_ordinary_code_is_no_mark(added: str) -> None:
    assert judge(BODY, BODY + f"\n\n{added}\n")[0] is Decision.ALLOW


def test_an_ellipsis_that_was_there_stays() -> None:
    before = "def later(): ...\n\n\n" + BODY
    assert judge(before, before.replace("later()", "later(n)"))[0] is Decision.ALLOW


def test_yaml_document_ends_are_plain() -> None:
    assert judge("a: 1\n", "a: 1\n...\n", "a.yaml")[0] is Decision.ALLOW


@pytest.mark.parametrize("body", ["    pass\n", "    ...\n", "    raise NotImplementedError\n", '    """Doc."""\n'])
def test_an_emptied_function(body: str) -> None:
    assert judge(BODY, BODY.replace("    y = x + 1\n    return y\n", body))[0] is Decision.DENY


def test_loss_and_its_exceptions() -> None:
    half = "".join(f"x{i} = {i}\n" for i in range(10))
    less = "".join(f"x{i} = {i}\n" for i in range(4))
    assert judge(half, less) == (Decision.DENY, "shrink")
    assert judge(half, less + "\n# padded\n" * 20) == (Decision.DENY, "shrink")
    assert judge(half, less, wanted=True)[0] is Decision.ALLOW
    assert judge(half, "\n\n") == (Decision.DENY, "emptied")
    assert judge(half, half.replace("x9 = 9\n", "x9 ="))[1] == "cut_off"
    assert judge(half, "".join(f"x{i} = {i}\n" for i in range(5)))[0] is Decision.ALLOW


def test_a_file_that_goes_needs_a_person() -> None:
    verdict = g13_shrink.check(g13_shrink.ShrinkFacts(path="a.py", kind=EditKind.DELETE, before=b"x", after=None))
    assert verdict.floor is Tier.APPROVAL_REQUIRED


def test_only_a_person_can_want_a_deletion() -> None:
    goal = "Remove the unused helper."
    assert g13_shrink.wants_deletion(operation(signal(goal=goal, source=Source.MANUAL)))
    assert not g13_shrink.wants_deletion(operation(signal(goal=goal, source=Source("test_failure"))))
    assert not g13_shrink.wants_deletion(operation(signal(goal="Fix test_remove_item", source=Source.MANUAL)))
