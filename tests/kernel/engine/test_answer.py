"""Where an answer ends, and what of an unfinished one may be shown."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.engine.decoding.answer import AnswerText, cut_at_stop, stable_prefix
from kernel.engine.decoding.tokenizer import REPLACEMENT, Vocabulary

END = 256


class Bytes(Vocabulary):
    """A vocabulary of the 256 bytes and one control token."""

    def __init__(self) -> None:
        self.size = END + 1

    def is_end(self, number: int) -> bool:
        return number == END

    def decode(self, numbers: object) -> str:
        return bytes(numbers).decode("utf-8", errors="replace")  # type: ignore[call-overload,no-any-return]  # numbers


def grow(data: bytes, stops: tuple[str, ...], *, limit: int = 1000, end: bool = True) -> tuple[AnswerText, list[str]]:
    """The finished answer, and what was safe to show after each token."""
    answer, shown = AnswerText(stops=stops, max_tokens=limit), []
    for number in [*data, END] if end else data:
        answer.add(number, -0.5, Bytes())
        shown.append(answer.text if answer.finish else stable_prefix(answer.text, stops))
        if answer.finish:
            break
    return answer, shown


@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [
        ("a\nb", ("\n",), "a"),
        ("abc", ("c", "b"), "a"),
        ("abc", ("",), None),
        ("abc", (), None),
        ("", ("x",), None),
        ("xyz", ("xyz",), ""),
    ],
)
def test_text_is_cut_before_the_first_stop(text: str, stops: tuple[str, ...], expected: str | None) -> None:
    assert cut_at_stop(text, stops) == expected


def test_a_stop_string_over_several_tokens() -> None:
    answer, _ = grow(b"one\n\ndef two", ("\n\ndef",))
    assert (answer.text, answer.finish, answer.tokens) == ("one", "stop", 8)


def test_the_limit_and_the_control_token() -> None:
    assert grow(b"abcdef", (), limit=3)[0].finish == "length"
    assert grow(b"abc", (), limit=9)[0].finish == "stop"
    stopped = grow(b"ab\n", ("\n",), limit=3)[0]
    assert (stopped.text, stopped.finish) == ("ab", "stop")


def test_half_a_character_is_never_shown() -> None:
    answer, shown = grow("a€".encode()[:-1], (), limit=3, end=False)
    assert (answer.text, answer.finish) == ("a", "length")
    assert all(REPLACEMENT not in text for text in shown)


def test_the_log_probability_is_the_mean() -> None:
    assert grow(b"ab", ())[0].logprob_milli == -500
    assert AnswerText(stops=(), max_tokens=1).logprob_milli == 0


@settings(deadline=None, max_examples=200)
@given(
    st.text("ab\né€", max_size=12).map(str.encode),
    st.lists(st.text("ab\n€", min_size=1, max_size=4), max_size=3).map(tuple),
    st.integers(1, 30),
)
def test_what_is_shown_only_ever_grows_up_to_the_answer(data: bytes, stops: tuple[str, ...], limit: int) -> None:
    answer, shown = grow(data, stops, limit=limit)
    for earlier, later in pairwise(shown):
        assert later.startswith(earlier)
    assert answer.finish and shown[-1] == answer.text
    assert cut_at_stop(answer.text, stops) is None
