"""Evidence counted honestly: nothing counts twice, and what a model has written does not count at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from governance.grounding.sources import CandidateEvidence, evidence_of, sources_of, stale_of, weight_of, with_ages
from ledger.clock import stamp
from ledger.events.grounding import WEEK, Band
from ledger.vocabulary import Signal, Source
from tests.governance.ops import operation, signal
from tools.manifest import Category, ToolUse

TOOLS = {
    "read_file": Category.COMPREHENSION,
    "list_symbols": Category.COMPREHENSION,
    "search_code": Category.DISCOVERY,
    "get_callers": Category.CALL_GRAPH,
    "module_graph": Category.STRUCTURE,
    "git_log": Category.HISTORY,
}
DAY = timedelta(days=1)
OWN = ("edit_file", "write_file", "delete_file", "bash", "web_search")


def use(tool: str, path: str = "", *, ok: bool = True, found: bool = True, **arguments: object) -> ToolUse:
    given = {"path": path, **arguments} if path else arguments
    paths = (path,) if path else ()
    return ToolUse(
        tool=tool, arguments=json.dumps(given), ok=ok, found=found, category=TOOLS.get(tool), paths=paths
    )  # fmt: skip


def of(*uses: ToolUse, read: tuple[str, ...] = (), failed: tuple[str, ...] = ()) -> tuple[str, ...]:
    return sources_of(CandidateEvidence(uses=uses, read=read, failed=failed))


USES = st.builds(
    use,
    st.sampled_from([*TOOLS, *OWN, "run_tests"]),
    st.sampled_from(["", "a.py", "./a.py", "b/../a.py", "c.py"]),
    ok=st.booleans(),
    found=st.booleans(),
    start=st.integers(1, 9),
)


def test_two_excerpts_of_one_file_are_one_source() -> None:
    looks = (use("read_file", "a.py", start=1), use("read_file", "./a.py", start=200), use("list_symbols", "a.py"))
    assert of(*looks, read=("a.py", "b/../a.py")) == ("file:a.py",)
    assert of(*looks, use("read_file", "c.py")) == ("file:a.py", "file:c.py")


def test_the_same_view_of_the_tree_is_one_source_whatever_was_asked() -> None:
    asked = [use("search_code", pattern=word) for word in "abc"] + [use("git_log", path) for path in ("a.py", "c.py")]
    assert of(*asked) == ("history", "search")


def test_failing_tests_are_one_source() -> None:
    assert of(use("run_tests"), failed=("t.py::a", "t.py::b")) == ("tests",)


def test_what_failed_or_found_nothing_or_was_written_by_the_model_is_none() -> None:
    assert of(use("read_file", "a.py", ok=False), use("search_code", found=False), use("get_callers", ok=False)) == ()
    assert of(*(use(tool, "a.py") for tool in OWN)) == ()


def test_pages_count_by_machine_and_a_persons_answer_counts() -> None:
    pages = [use("web_fetch", url=f"https://docs.example/{n}") for n in range(3)] + [use("web_fetch", url="no address")]
    assert of(*pages, use("ask_human")) == ("person", "web:docs.example")
    assert of(use("ask_human", found=False)) == ()


def test_words_count_where_somebody_has_said_them() -> None:
    """A failing test is told by the runner, a marker by its file: neither is a second source."""
    told = signal("t.py::a")
    issue = signal(source=Source("github_issue"))
    assert sources_of(evidence_of(operation(told), (), (), ("t.py::a",))) == ("tests",)
    assert sources_of(evidence_of(operation(issue, issue), (), (), ())) == ("said:github_issue",)
    assert sources_of(evidence_of(operation(signal(source=Source("todo_scanner"))), (), (), ())) == ()


NOW = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
A, B = "a" * 40, "b" * 40


def issue(at: datetime | None, base: str = A) -> Signal:
    return signal(source=Source("github_issue"), base=base, seen_at=stamp(at) if at else "")


def aged(
    *signals: Signal, read: tuple[str, ...] = (), changed: tuple[str, ...] = (), later: timedelta = DAY
) -> CandidateEvidence:
    """The evidence of an op on commit ``B`` that was made ``later`` before anybody looks at it."""
    op = operation(*(signals or (signal("t.py::a"),)), base=B, created_at=stamp(NOW - later))
    return with_ages(evidence_of(op, (), read, ()), op, changed=changed, now=NOW)


def test_what_the_branch_has_otherwise_by_now_is_of_the_time_when_it_was_read() -> None:
    read = ("a.py", "./c.py")
    assert stale_of(aged(read=read)) == () == stale_of(aged(read=read, changed=("other.py",)))
    week, older = (aged(read=read, changed=("c.py", "d.py"), later=days * DAY) for days in (6, 8))
    assert stale_of(week) == (("file:c.py", Band.THIS_WEEK),) and stale_of(older) == (("file:c.py", Band.OLDER),)
    assert [weight_of(sources_of(known), stale_of(known)) for known in (week, older)] == [15_000, 12_500]


def test_words_are_of_the_time_when_they_were_said_last() -> None:
    long_ago, lately, unknown = issue(NOW - 30 * DAY), issue(NOW - DAY), issue(None)
    told = {"old": [long_ago], "late": [lately], "nobody knows": [unknown], "again": [long_ago, lately]}
    bands = {name: dict(stale_of(aged(*signals))) for name, signals in told.items()}
    assert {name: band["said:github_issue"] for name, band in bands.items()} == {
        "old": Band.OLDER, "late": Band.THIS_WEEK, "nobody knows": Band.OLDER, "again": Band.THIS_WEEK,
    }  # fmt: skip
    assert stale_of(aged(issue(NOW - 30 * DAY, base=B))) == (), "said of this very commit"
    assert stale_of(aged(signal("t.py::a", base=A, seen_at=stamp(NOW - 30 * DAY)))) == (), "a runner says no words"


@given(st.lists(st.sampled_from("abcd"), unique=True), st.lists(st.sampled_from("abcdef")), st.integers(0, 20 * 86_400))
def test_what_is_stale_weighs_less_and_never_more_with_age(read: list[str], changed: list[str], age_s: int) -> None:
    one, later = (
        aged(read=tuple(read), changed=tuple(changed), later=timedelta(seconds=age_s) + more)
        for more in (timedelta(0), WEEK)
    )
    whole = 10_000 * len(sources_of(one))
    weights = [weight_of(sources_of(known), stale_of(known)) for known in (later, one)]
    assert 0 <= weights[0] <= weights[1] <= whole and (weights[1] < whole) == bool(set(read) & set(changed))


@given(st.lists(USES, max_size=8), st.lists(USES, max_size=8))
def test_order_and_repetition_say_nothing_and_more_is_never_less(one: list[ToolUse], other: list[ToolUse]) -> None:
    found = of(*one)
    assert of(*one[::-1], *one) == found == tuple(sorted(set(found)))
    assert set(found) <= set(of(*one, *other))


@given(st.lists(USES, max_size=6))
def test_what_is_recorded_is_counted_alike(uses: list[ToolUse]) -> None:
    op = operation(issue(NOW - DAY), base=B, created_at=stamp(NOW - DAY))
    known = with_ages(evidence_of(op, uses, ("a.py",), ("t",)), op, changed=("a.py", "c.py"), now=NOW)
    read = CandidateEvidence.model_validate_json(known.model_dump_json())
    assert (sources_of(read), stale_of(read)) == (sources_of(known), stale_of(known))
