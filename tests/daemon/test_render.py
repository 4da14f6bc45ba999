from __future__ import annotations

import json
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.control.messages import (
    CostLine,
    CostView,
    DayView,
    Event,
    LogView,
    OpStep,
    QueueView,
    SandboxView,
    SuiteView,
)
from daemon.record.optable import fold_op
from daemon.views.live_blocks import LiveBlocks
from daemon.views.narrate import describe, narrate
from daemon.views.render import cost_block, diff_lines, log_block, op_block, ops_block, status_block
from daemon.views.text import Role, Span, clean, duration, json_text, line, money, show
from ledger.events.change import LandingCause
from ledger.vocabulary import EntryKind, OpOutcome, Phase, Spend
from tests.daemon.scripted_api import DIFF, OP, entry, op_view, status_view


def plain(block: object) -> str:
    return show(block, colour=False)  # type: ignore[arg-type]  # blocks and lists of lines alike


@pytest.mark.parametrize(
    ("event", "payload", "told"),
    [
        (
            "reproduced",
            {"message": "expected 90, got 110", "frames": [["shop/cart.py", 41, "total"]]},
            "why       expected 90, got 110 · shop/cart.py:41 in total()",
        ),
        ("reproduced", {"status": "red", "reason": "2 tests fail"}, "why       2 tests fail"),
        (
            "reproduced",
            {
                "status": "red",
                "failing": ["t::a", "t::b"],
                "exception": "AssertionError",
                "message": "\nexpected 90, got 110\nmore",
                "frames": [["test_a.py", 3, "test"], ["shop/cart.py", 41, "total"]],
            },
            "why       AssertionError: expected 90, got 110 · shop/cart.py:41 in total() · 2 tests fail",
        ),
        (
            "reproduced",
            {"status": "red", "exception": "KeyError", "message": "KeyError: 'vat'"},
            "why       KeyError: 'vat'",
        ),
        (
            "localised",
            {"lines": 12, "places": [["a.py", 41, 9200, "executed by failing tests"], ["a.py", 18, 5800, ""]]},
            "localise  12 executed lines, 2 suspicious: a.py:41 (0.92), a.py:18 (0.58)",
        ),
        ("infilled", {"infills": 24, "distinct": 9, "ms": 3100}, "infill    24 candidates in 3.1 s, 9 distinct"),
        ("candidates.tested", {"tested": 9, "green": 1}, "try       9 tested, 1 turns the test green"),
        (
            "candidates.tested",
            {"tested": 40, "green": 0, "partial": 2, "wave": "moves"},
            "try       40 small edits tested, none turns the test green, 2 mend a part",
        ),
        (
            "branched",
            {"path": "a.py", "line": 4, "mended": 1, "left": 3},
            "keep      a change at a.py:4 mends 1 test; 3 tests left, searched from there",
        ),
        (
            "validated",
            {"status": "green", "passed": 38, "total": 38, "duration_ms": 2200, "scope": "suite"},
            "validate  38/38 passed in 2.2 s · whole suite",
        ),
        (
            "validated",
            {"status": "timeout", "passed": 0, "total": 0, "duration_ms": 5, "scope": "suite", "reason": "too slow"},
            "validate  0/0 passed in 5 ms · whole suite · too slow",
        ),
        (
            "validated",
            {"status": "red", "passed": 36, "total": 38, "duration_ms": 9, "newly_red": ["t::b"], "scope": "suite"},
            "validate  36/38 passed in 9 ms · whole suite · newly red: t::b",
        ),
        ("closure", {"closed": True}, "closure   the signal is gone"),
        ("closure", {"closed": False, "reason": "t::a fails"}, "closure   the signal is still there · t::a fails"),
        (
            "gates",
            {
                "verdicts": [
                    {"gate": 1, "rule": "gate01.ok"},
                    {"gate": 15, "decision": "deny", "rule": "gate15.key", "reason": "a key"},
                ]
            },
            "gates     1/2 · gate15.key: a key",
        ),
        ("committed", {"commit": "abc", "note": ""}, None),
        ("change.rolling_back", {"rule": "verify.tests"}, "back      the change is taken back · verify.tests"),
        (
            "gate",
            {"gate": 13, "decision": "deny", "rule": "gate13.shrink", "reason": "half of the file is gone"},
            "gate      gate13.shrink says no: half of the file is gone",
        ),
        ("gate", {"gate": 1, "decision": "allow", "rule": "gate1"}, None),
        (
            "approval.requested",
            {"reason": "2 files", "expires_at": "T"},
            "waits     2 files · until T · ouro approve 1c7f3a",
        ),
        ("approval.rejected", {"by": "owner", "reason": "no"}, "answer    rejected · owner · no"),
        ("landing.chosen", {"mode": "branch"}, None),
        (
            "terminal",
            {"to": "COMPLETE", "commit": "3f9c21aaaaaa", "ref": "refs/heads/main", "ms": 14_600},
            "done      committed 3f9c21a on main, signed · 14.6 s · ledger 9 · undo: ouro undo 1c7f3a",
        ),
        (
            "terminal",
            {"to": "BLOCKED", "root_cause": "blocked_path", "reason": "`.env` is protected"},
            "refused   `.env` is protected · cause: blocked path · ledger 9 · ouro show 1c7f3a",
        ),
        (
            "terminal",
            {"to": "POSTMORTEM", "root_cause": "crash_recovered", "origin": "GENERATE", "ms": 900},
            "stopped   the daemon was stopped during GENERATE: it goes on at the next start · 900 ms · ledger 9",
        ),
        (
            "terminal",
            {
                "to": "POSTMORTEM",
                "root_cause": "crash_recovered",
                "reason": "the daemon ended in PLAN",
                "recovered": True,
            },
            "failed    the daemon ended in PLAN · cause: crash recovered · ledger 9 · ouro show 1c7f3a",
        ),
        ("lease.renewed", {"op": "x"}, None),
        ("call.ended", {"purpose": "generate", "ms": 1200, "depth_milli": 1000, "proximity_milli": 499}, None),
        (
            "call.ended",
            {
                "purpose": "generate",
                "ms": 1200,
                "tokens_in": 700,
                "tokens_out": 20,
                "problem": "",
                "depth_milli": 2400,
                "exit": "gate",
                "proximity_milli": 930,
                "signal": "loop",
            },
            "model     generate in 1.2 s · 700 tokens in, 20 out · depth 2.4, canary 0.93 loop",
        ),
        ("call.ended", {"purpose": "infill: first", "depth_milli": 2400, "proximity_milli": 499}, None),
        (
            "call.ended",
            {"purpose": "infill: first", "depth_milli": 1000, "proximity_milli": 500, "signal": "none"},
            "model     infill: first · canary 0.50",
        ),
        (
            "call.ended",
            {"purpose": "plan", "exit": "collapsed", "proximity_milli": 970, "signal": "echo", "problem": "collapsed"},
            "model     plan · canary 0.97 echo · collapsed",
        ),
        ("call.ended", {"purpose": "plan", "problem": "The server went away."}, None),
        (
            "grounding.decided",
            {
                "purpose": "generate",
                "proximity_milli": 750,
                "signal": "echo",
                "asked": {"act": False, "budget_scale_milli": 507, "min_sources": 4},
            },
            "canary    generate · canary 0.75 echo · 50 % of its time is left, 4 sources needed",
        ),
        (
            "grounding.decided",
            {"purpose": "generate", "proximity_milli": 970, "signal": "loop", "discarded": True},
            "canary    generate · canary 0.97 loop · collapsed: it is discarded",
        ),
        (
            "regrounded",
            {
                "number": 1,
                "most": 2,
                "proximity_milli": 970,
                "signal": "loop",
                "before": ["tests"],
                "after": ["file:a.py", "history", "tests"],
                "tests": "red",
            },
            "reground  1 of 2 behind a collapse (canary 0.97 loop) · 1 source before, 3 now: file:a.py, history, tests "
            "· the failing tests again: red · asked afresh",
        ),
        (
            "regrounded",
            {"number": 0, "before": ["tests"], "after": ["tests"]},
            "reground  too few sources · 1 source before, 1 now: tests · asked afresh",
        ),
        ("grounding.judged", {"stand": "act", "why": ""}, None),
        (
            "grounding.judged",
            {"stand": "ask", "why": "1 of 2 independent sources (tests)"},
            "ground    1 of 2 independent sources (tests) · a person is asked",
        ),
    ],
)
def test_what_an_entry_says(event: str, payload: dict[str, object], told: str | None) -> None:
    assert narrate(entry(9, event, **payload)) == told


def test_the_log_tells_of_every_call() -> None:
    ordinary = {"ms": 1200, "tokens_in": 1, "tokens_out": 20, "problem": "", "depth_milli": 1000, "proximity_milli": 3}
    told = describe(entry(9, "call.ended", purpose="plan", **ordinary))
    assert told == "model: plan in 1.2 s · 1 token in, 20 out"
    assert describe(entry(9, "call.ended", purpose="infill: first", depth_milli=4000)) == (
        "model: infill: first · depth 4.0"
    )
    assert describe(entry(9, "call.ended", provider="local", problem="It went\x1b[2J away.")) == (
        "model: local · It went away."
    )


EVENTS = [
    "reproduced", "localised", "infilled", "candidates.tested", "branched", "candidate", "planned",
    "validated",
    "gate", "approval.requested", "approval.notified", "approval.approved", "landing.chosen",
    "change.rolling_back", "change.recovered", "closure", "gates", "committed", "undone", "terminal",
    "call.ended", "grounding.decided", "grounding.judged", "regrounded", "unknown.event", "",
]  # fmt: skip
NAMES = st.sampled_from([
    "reason", "lines", "suspicious", "frame", "path", "line", "ids", "status", "passed", "total", "closed", "decision",
    "to", "commit", "ref", "ms", "kept", "mode", "reasons", "infills", "tested", "green", "by", "tests", "goal", "diff",
    "places", "frames", "failing", "verdicts", "note", "purpose", "depth_milli", "proximity_milli", "signal", "problem",
    "asked", "discarded", "before", "after", "number", "most", "stand", "why",
])  # fmt: skip
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=6,
)


@settings(deadline=None, max_examples=150)
@given(event=st.sampled_from(EVENTS), payload=st.dictionaries(NAMES, VALUES, max_size=5), own=st.booleans())
def test_no_payload_breaks_the_telling(event: str, payload: dict[str, object], own: bool) -> None:
    one = entry(1, event, op=OP if own else None, **payload)
    narrate(one)
    assert describe(one)
    LiveBlocks(colour=True).feed(one)
    plain(log_block(LogView(entries=(one,))))


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        ("a\x1b[2Jb", "ab"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]0;title\x1b\\b", "ab"),
        ("a\nb\r\x00\x7f", "a b"),
        ("x\u202ey\u200bz", "xyz"),
        ("tab\there", "tab    here"),
    ],
)
def test_text_from_outside_cannot_drive_the_terminal(raw: str, told: str) -> None:
    assert clean(raw) == told


@settings(deadline=None)
@given(st.text())
def test_cleaned_text_is_printable(raw: str) -> None:
    assert "\x1b" not in clean(raw) and "\n" not in clean(raw)


def test_colour_only_on_request() -> None:
    block = [line(Span("red", Role.BAD), " plain")]
    assert show(block, colour=False) == "red plain"
    assert show(block, colour=True) == "\x1b[31mred\x1b[0m plain"


def test_numbers_as_a_person_says_them() -> None:
    assert [money(n) for n in (0, 1_200, 20_000, 1_500_000)] == ["$0.00", "$0.0012", "$0.02", "$1.50"]
    assert [duration(n) for n in (5, 14_600, 65_000, 3_700_000)] == ["5 ms", "14.6 s", "1 min 5 s", "1 h 1 min"]


def test_a_diff_shows_changed_lines_with_their_numbers() -> None:
    assert plain(diff_lines(DIFF)).split("\n") == [
        "      41 -     return subtotal + discount",
        "      41 +     return subtotal - discount",
    ]


def test_a_diff_of_several_files_names_them() -> None:
    second = DIFF.replace("shop/cart.py", "shop/sale.py")
    text = plain(diff_lines(DIFF + second))
    assert text.index("shop/cart.py") < text.index("shop/sale.py")


def test_a_removed_line_that_looks_like_a_header() -> None:
    diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- old\n+++ new\n"
    assert plain(diff_lines(diff)).split("\n") == ["       1 - -- old", "       1 + ++ new"]


def test_the_status_page() -> None:
    waiting = op_view(state=Phase.APPROVE, waiting=True, waiting_until="T")
    view = status_view(
        suite=SuiteView(status="red", tests=38, red=("t::a",), commit="abcdef012345", note="red in your edits only"),
        queue=QueueView(queued=2, paused=True),
        today=DayView(ops=3, spend=Spend(usd_micro=20_000)),
        active=(op_view(),),
        waiting=(waiting,),
    )
    text = plain(status_block(view))
    assert text.startswith(
        "PAUSED · ouroboros 0.1.0 · repo shop (main) · kernel small-model · sandbox bwrap, all walls hold · "
        "today 3 ops, $0.02\n"
    )
    for part in (
        "ACTIVE · watching 214 files · 1 of 38 tests red",
        "red at abcdef0: t::a · red in your edits only",
        "2 queued",
        "ouro resume",
    ):
        assert part in text
    assert "ouro approve 1c7f3a" in text and "GENERATE" in text


def test_the_status_page_says_since_when_and_what_an_op_does() -> None:
    begun = op_view(started_at="2026-01-01T00:00:00.000Z", doing="infill: 24 candidates in 3.1 s (first)")
    text = plain(status_block(status_view(at="2026-01-01T00:00:31.500Z", active=(begun,))))
    assert "state     GENERATE · 31.5 s · infill: 24 candidates in 3.1 s (first)" in text


def test_an_op_that_is_over_points_neither_at_itself_nor_at_what_was_undone() -> None:
    ended = {"started_at": "2026-01-01T00:00:00.000Z", "ended_at": "2026-01-01T00:00:30.000Z"}
    spent = Spend(usd_micro=0, calls=1, working_ms=72)
    failed = OpStep(at="T", label="failed", text="nothing found · 30.0 s · ouro show 1c7f3a")
    text = plain(op_block(op_view(state=OpOutcome.POSTMORTEM, steps=(failed,), spend=spent, **ended)))
    assert "ouro show" not in text and "cost      30.0 s · $0.00 · 1 model call" in text
    done = OpStep(at="T", label="done", text="committed 3f9c21a · ledger 9 · undo: ouro undo 1c7f3a")
    undone = op_view(state=OpOutcome.COMPLETE, steps=(done,), undone_by="d" * 40, spend=spent, **ended)
    assert "ouro undo" not in plain(op_block(undone))
    assert "undo: ouro undo 1c7f3a" in plain(op_block(undone.model_copy(update={"undone_by": None})))


@pytest.mark.parametrize("cause", LandingCause)
def test_a_merge_that_git_would_refuse_is_not_the_first_advice(cause: LandingCause) -> None:
    ref = "refs/heads/ouro/review/op-1"
    landing = entry(1, "landing.chosen", mode="review", ref=ref, cause=cause)
    end = entry(2, "terminal", to="COMPLETE", commit="3f9c21aaaaaa", ref=ref)
    teller = LiveBlocks(colour=False)
    told = teller.feed(landing) + teller.feed(end)
    assert told.count("take it: git merge ouro/review/op-1") == 1
    careful = "commit or stash your own changes, then take it" in told
    assert careful is (cause in (LandingCause.OWN_WORK, LandingCause.SNAPSHOT))
    assert fold_op((landing, end)).steps[-1].text in told


def test_no_sandbox_is_said_in_red() -> None:
    view = status_view(sandbox=SandboxView(name="none", unsandboxed=True))
    assert "\x1b[31mno sandbox: work without walls is allowed\x1b[0m" in show(status_block(view), colour=True)


def test_the_page_of_an_op() -> None:
    steps = (OpStep(at="T", label="why", text="it fails"), OpStep(at="T", phase=Phase.VALIDATE, text="38/38"))
    text = plain(op_block(op_view(steps=steps, diff=DIFF)))
    assert text.split("\n")[0].startswith("op-1c7f3a  test_failure  tests/test_cart.py::test_total")
    assert "SAFE_AUTO · IMMEDIATE" in text
    for part in ("why       it fails", "validate  38/38", "41 - ", "14.6 s · $0.0012 · 2 model calls"):
        assert part in text
    assert text.endswith("next      ouro cancel 1c7f3a")


@pytest.mark.parametrize(
    ("changes", "then"),
    [
        ({"state": OpOutcome.COMPLETE, "commit": "abc"}, "ouro undo 1c7f3a"),
        ({"state": OpOutcome.COMPLETE, "undone_by": "def"}, "ouro log --op 1c7f3a"),
        ({"state": OpOutcome.POSTMORTEM}, "ouro log --op 1c7f3a"),
        ({"state": Phase.APPROVE, "waiting": True}, "ouro approve 1c7f3a"),
    ],
)
def test_the_next_possible_command_always(changes: dict[str, object], then: str) -> None:
    assert then in plain(op_block(op_view(**changes)))


def test_lists() -> None:
    assert plain(ops_block(())) == "No ops."
    assert "1c7f3a  GENERATE" in plain(ops_block((op_view(),)))
    lines = (CostLine(provider="openai", model="m", spend=Spend(calls=1, tokens_in=5)),)
    cost = plain(cost_block(CostView(today=DayView(ceiling_usd_micro=2_000_000), lines=lines, ops=(op_view(),))))
    assert "$0.00 of $2.00" in cost and "openai" in cost


def test_live_blocks_of_two_ops_are_kept_apart() -> None:
    other = OP.replace("7f3a-", "beef-")
    teller = LiveBlocks(colour=False)
    told = [
        teller.feed(entry(1, "op.started", goal="Make it pass.", tests=["t::a"])),
        teller.feed(entry(2, "tier.assigned", tier="SAFE_AUTO")),
        teller.feed(entry(3, "route.chosen", route="IMMEDIATE")),
        teller.feed(entry(4, "reproduced", message="boom")),
        teller.feed(entry(5, "infilled", infills=2)),
        teller.feed(entry(6, "reproduced", op=other, message="other")),
        teller.feed(entry(7, "candidate", paths=["shop/cart.py"], diff=DIFF)),
        teller.feed(entry(8, "terminal", to="COMPLETE", commit="3f9c21a0", ref="refs/heads/main")),
    ]
    assert told[:3] == ["", "", ""]
    assert told[3].split("\n") == ["op-1c7f3a  test_failure  t::a  SAFE_AUTO · IMMEDIATE", "  why       boom"]
    assert told[4] == "  infill    2 candidates"
    assert told[5].split("\n")[0].startswith("op-1cbeef")
    assert told[6].split("\n")[0] == "op-1c7f3a  test_failure"
    assert "41 + " in told[6]
    assert told[7].endswith("undo: ouro undo 1c7f3a\n")


def test_what_was_missed_is_said() -> None:
    teller = LiveBlocks(colour=False)
    assert "3 entries were not shown" in teller.event(Event(cursor=9, entry=entry(9, "infilled"), missed=3))
    assert teller.event(Event(cursor=9, note="two\nlines")) == "two\nlines"
    assert teller.event(Event(cursor=9, op=OP, note="12/24")).endswith("12/24")


def test_the_log_shows_every_entry() -> None:
    entries = (
        entry(1, "lease.renewed", generation=3),
        entry(2, "boot", op=None, kind=EntryKind.SESSION, version="0.1.0"),
        entry(3, "infilled", infills=2),
    )
    lines = plain(log_block(LogView(entries=entries, head=3))).split("\n")
    assert [part in text for part, text in zip(("generation 3", "boot", "2 candidates"), lines, strict=True)] == [
        True
    ] * 3
    assert lines[0].startswith("     1 2026-01-02 03:04:05 op-1c7f3a")


def test_json_holds_nothing_that_drives_a_terminal() -> None:
    """The same value, with every mark of direction and control character escaped, in DEL and C1 too."""
    told = {"a": "\u202eevil\u2066 \x7f\x9b31m \ue000 \U000e0041 ü 漢 \x1b[31m \u2028", "b": ["x\ny"]}
    plain = json.dumps(told, ensure_ascii=False, indent=2)
    shown = json_text(plain)
    assert json.loads(shown) == told and "ü 漢" in shown
    assert not [c for c in shown if c != "\n" and unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert "\u202e" in plain  # the control
