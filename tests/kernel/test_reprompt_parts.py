"""The pure half of the re-prompt loop: which questions, how sure, how much changed, when to stop."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from governance.conversation import prompts
from kernel.provider import Limits, Message, ToolCall, ToolSchema
from kernel.providers.reprompt import confidence, questions
from kernel.providers.reprompt.questions import END, SMALL, worth_asking_again
from kernel.providers.reprompt.stop_criterion import (
    STEADY,
    THRESHOLD,
    CheckedAnswer,
    contraction_milli,
    is_worse,
    parse_answer,
    stop_reason,
    text_difference,
)
from kernel.tokens import estimate_tokens, prompt_characters

TOOL = ToolSchema(name="read_file", description="Reads.", parameters={})
ROOM = Limits(max_tokens=SMALL + 1)
CODE = "```python\ndef f(x):\n    return x + 1\n```"


def user(text: str, system: str = "") -> list[Message]:
    said = [Message(role="user", text=text)]
    return [Message(role="system", text=system), *said] if system else said


# --- which questions --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Fix the bug in cart.py.",
        "Why does total() return None?",
        "Write a function that merges two sorted lists.",
        "A train leaves at 9. How many hours until it arrives?",
        "Prove that the square root of 2 is irrational.",
        "What is wrong?\n```\nx = [1, 2\n```",
        "Traceback (most recent call last):\n  ...\nKeyError: 'vat'",
    ],
)
def test_reasoning_and_coding_are_asked_again(text: str) -> None:
    assert worth_asking_again(user(text), (), ROOM)


@pytest.mark.parametrize(
    "text",
    [
        "Hello!",
        "Summarise this letter in two sentences.",
        "Translate 'good morning' to French.",
        'Fix the bug. Answer with one JSON object: {"path": ...}',
        "Compare both. Reply in JSON only.",
        "Which function is at fault? The answer must fit this JSON schema.",
    ],
)
def test_others_are_not(text: str) -> None:
    assert not worth_asking_again(user(text), (), ROOM)


def test_tools_little_room_and_an_open_answer_stay_single() -> None:
    asked = user("Fix the bug in cart.py.")
    assert worth_asking_again(asked, (), ROOM)
    assert not worth_asking_again(asked, (TOOL,), ROOM)
    assert not worth_asking_again(asked, (), Limits(max_tokens=SMALL))
    assert not worth_asking_again([*asked, Message(role="assistant", text="I")], (), ROOM)
    assert not worth_asking_again((), (), ROOM)


def test_the_prompts_of_governance() -> None:
    """Plans and choices of files are JSON; a change is not, also when no tools are left to offer."""
    assert not worth_asking_again(user("Goal: fix it", prompts.PLAN), (), ROOM)
    assert not worth_asking_again(user("Goal: fix it", prompts.EXPAND), (), ROOM)
    change = user(f"Goal: make test_a pass\n\n{prompts.NOOP_FORM}", prompts.RULES + prompts.EDIT_FORM)
    call = ToolCall(id="1", name="read_file", arguments="{}")
    used = [Message(role="assistant", calls=(call,)), Message(role="tool", text="x = 1", call_id="1")]
    assert worth_asking_again(change, (), ROOM)
    assert worth_asking_again([*change, *used, Message(role="user", text="No more tools. Answer now.")], (), ROOM)


def test_what_is_quoted_in_the_middle_decides_nothing() -> None:
    quoted = "x " * END
    assert worth_asking_again(user(f"Fix it.\n{quoted}Answer in JSON.{quoted}"), (), ROOM)
    assert not worth_asking_again(user(f"Sort it.\n{quoted}the bug{quoted}"), (), ROOM)


# --- how sure ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        ("It is 4.\nconfidence: 0.9", ("It is 4.", 0.9)),
        ("It is 4.\n\n**Confidence: 90%**\n", ("It is 4.", 0.9)),
        ("It is 4.\n`confidence: .25`.", ("It is 4.", 0.25)),
        ("It is 4.\n> Confidence = 1", ("It is 4.", 1.0)),
        ("It is 4.\nconfidence: 85", ("It is 4.", 0.85)),
        ("confidence: 0", ("", 0.0)),
        ("It is 4.\nconfidence: 7", ("It is 4.\nconfidence: 7", None)),
        ("It is 4.\nconfidence: 1000%", ("It is 4.\nconfidence: 1000%", None)),
        ("It is 4.\nconfidence: N", ("It is 4.\nconfidence: N", None)),
        ("confidence: 0.9\nIt is 4.", ("confidence: 0.9\nIt is 4.", None)),
        ("My confidence: 0.9", ("My confidence: 0.9", None)),
        ("The interval has confidence 0.9", ("The interval has confidence 0.9", None)),
        ("", ("", None)),
    ],
)
def test_a_closing_line_is_taken_off(raw: str, found: tuple[str, float | None]) -> None:
    assert confidence.split_confidence(raw) == found


@settings(deadline=None)
@given(text=st.text(max_size=300), sure=st.integers(0, 100))
def test_what_is_stated_comes_back_and_nothing_else_goes(text: str, sure: int) -> None:
    left, stated = confidence.split_confidence(f"{text}\nconfidence: {sure / 100:.2f}")
    assert left == text.rstrip()
    assert stated == pytest.approx(sure / 100)


@settings(deadline=None)
@given(st.text(st.sampled_from("confide: .09%\n*`>"), max_size=3_000))
def test_any_text_can_be_split(raw: str) -> None:
    left, stated = confidence.split_confidence(raw)
    assert raw.startswith(left) and (stated is None) <= (left == raw)


def test_structure_ranks_answers() -> None:
    ranked = [
        "",
        "Maybe it is the cache. I think it might be stale.",
        "The value is computed and then",
        "It is the cache.",
        CODE,
    ]
    scores = [confidence.estimate_confidence(text, cut=False) for text in ranked]
    assert scores == sorted(scores) and len(set(scores)) == len(scores)
    assert scores[-1] >= THRESHOLD > scores[-2], "words alone never end the loop"


@pytest.mark.parametrize(
    "text",
    [
        "```python\ndef f(x:\n    return\n```",
        "```python\ndef f(x):\n    return 1",
        '```json\n{"a": }\n```',
        '{"a": 1,, "b": 2}',
        "a.py\n<<<<<<< SEARCH\nx = 1\n=======\nx = 2",
        f"{CODE}\n```python\n1 +\n```",
        "```json\n" + "[" * 100_000 + "\n```",
    ],
)
def test_what_is_broken_is_not_trusted(text: str) -> None:
    assert confidence.estimate_confidence(text, cut=False) <= confidence.PLAIN - confidence.BROKEN


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"a": 1}', 0.9),
        ("```json\n[1, 2]\n```", 0.9),
        ("```rust\nfn f( {\n```", 0.8),
        ("[Note] all is well.", 0.8),
        ("```python\nx = '\\d'\n```", 0.9),
        ("Because.\n\na.py\n<<<<<<< SEARCH\nx = 1\n=======\nx = 2\n>>>>>>> REPLACE", 0.8),
    ],
)
def test_what_is_whole_is(text: str, score: float) -> None:
    assert confidence.estimate_confidence(text, cut=False) == pytest.approx(score)


def test_what_was_cut_off_is_never_sure() -> None:
    assert confidence.estimate_confidence(CODE, cut=True) == confidence.CUT
    assert parse_answer(f"{CODE}\nconfidence: 1.0", cut=True) == CheckedAnswer(CODE, confidence.CUT, whole=False)
    assert parse_answer(f"\n{CODE}\nconfidence: 1.0", cut=False) == CheckedAnswer(CODE, 1.0)


@settings(deadline=None)
@given(st.text(max_size=400), st.booleans())
def test_every_estimate_is_a_share(text: str, cut: bool) -> None:
    score = confidence.estimate_confidence(text, cut=cut)
    assert 0.0 <= score <= 0.9 and (not cut or score <= confidence.CUT)


# --- how much changed, when to stop -----------------------------------------------------------------------------------

TEXTS = st.text(st.sampled_from("ab .\n("), max_size=60)


@settings(deadline=None)
@given(TEXTS, TEXTS)
def test_change_is_a_distance_of_texts(a: str, b: str) -> None:
    assert 0.0 <= text_difference(a, b) <= 1.0
    assert text_difference(a, b) == text_difference(b, a)
    assert text_difference(a, a) == 0.0


def test_change_sees_order_and_indents() -> None:
    assert text_difference("one two three", "three two one") > 0.5
    assert text_difference("if a:\n    b()\n    c()", "if a:\n    b()\nc()") > STEADY
    assert text_difference("all of it", "something else") == 1.0
    assert text_difference("", "some") == 1.0 and text_difference("", "") == 0.0
    assert text_difference("  the same \n", "the   same") == 0.0


LONG = " ".join(f"word{n}" for n in range(200))


def answers(*pairs: tuple[str, float]) -> list[CheckedAnswer]:
    return [CheckedAnswer(text, sure) for text, sure in pairs]


@pytest.mark.parametrize(
    ("so_far", "ended"),
    [
        (answers(("a", THRESHOLD)), "threshold_met"),
        (answers(("a", THRESHOLD - 0.01)), None),
        (answers(("a b", 0.5), ("c d", 0.9)), "threshold_met"),
        (answers(("a b", 0.5), ("c d", 0.5)), None),
        (answers((LONG, 0.5), (f"{LONG} more", 0.5)), "converged"),
        (answers(("a", 0.5), ("b", 0.5), ("c", 0.5)), None),
        (answers(("a", 0.5), ("b", 0.5), ("c", 0.5), ("d", 0.5)), "max_loops"),
        (answers(("a", 0.5), ("b", 0.5), ("c", 0.5), ("c", 0.5)), "converged"),
    ],
)
def test_when_to_stop(so_far: list[CheckedAnswer], ended: str | None) -> None:
    assert stop_reason(so_far, 4) == ended


@settings(deadline=None)
@given(st.lists(st.tuples(TEXTS, st.floats(0, 1)), min_size=1, max_size=6), st.integers(1, 8))
def test_there_is_always_an_end(pairs: list[tuple[str, float]], passes: int) -> None:
    assert stop_reason(answers(*pairs), passes) is not None or len(pairs) < passes


def test_contraction_is_the_last_change_by_the_one_before() -> None:
    assert contraction_milli(answers(("a", 0), ("b", 0))) is None
    assert contraction_milli(answers(("a", 0), ("a", 0), ("b", 0))) is None
    assert contraction_milli(answers(("x", 0), (LONG, 0), (f"{LONG} more", 0))) == pytest.approx(8, abs=4)
    assert contraction_milli(answers(("a", 0), ("b", 0), ("c", 0))) == 1000


def test_no_step_forward() -> None:
    whole, piece = CheckedAnswer("all", 0.5), CheckedAnswer("al", 0.3, whole=False)
    assert is_worse(CheckedAnswer(" \n", 1.0), piece) and is_worse(piece, whole)
    assert not is_worse(piece, piece) and not is_worse(whole, piece)


# --- what is said -----------------------------------------------------------------------------------------------------


def test_later_questions_begin_like_the_first() -> None:
    for asked in (user("Fix it.", "You mend."), [*user("Fix it."), Message(role="tool", text="x", call_id="1")]):
        first, later = questions.first_question(asked), questions.check_question(asked, "Done.")
        assert first[-1].role == "user" and first[-1].text.endswith(questions.FORM)
        assert later[: len(first)] == first
        assert [m.role for m in later[len(first) :]] == ["assistant", "user"]
        assert later[-2].text == "Done." and questions.FORM in later[-1].text


@settings(deadline=None)
@given(st.text(max_size=200), st.integers(1, 400), st.integers(2, 8))
def test_what_is_held_suffices_for_every_pass(text: str, max_tokens: int, passes: int) -> None:
    asked, limits = user(text), Limits(max_tokens=max_tokens)
    answer = "x" * int(max_tokens * 3.6)
    read = estimate_tokens(prompt_characters(questions.first_question(asked), ()))
    read += (passes - 1) * estimate_tokens(prompt_characters(questions.check_question(asked, answer), ()))
    most = questions.usage_bound(asked, (), limits, passes)
    assert most.tokens_in >= read and most.tokens_out == passes * max_tokens
    once = questions.usage_bound(asked, (TOOL,), limits, 1)
    assert once.tokens_in == estimate_tokens(prompt_characters(asked, (TOOL,))) and once.tokens_out == max_tokens
