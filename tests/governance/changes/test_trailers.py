from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from governance.changes.trailers import (
    REQUIRED,
    clean_body,
    compose,
    head_of,
    read_trailers,
    said_of,
    subject_line,
    trailer_problems,
)
from governance.changes.types import CommitText
from tests.governance.changes.scene import TEXT

WHO = "Ouroboros <ouroboros@box>"


def test_order_is_the_documented_one_whatever_order_was_given() -> None:
    text = TEXT.model_copy(update={"trailers": (("Co-authored-by", "M <m@x>"), *reversed(TEXT.trailers))})
    message = compose(text, signed_off_by=WHO, ledger=(212, "cd" * 32))
    names = [line.partition(":")[0] for line in message.rstrip().rpartition("\n\n")[2].splitlines()]
    assert names == [
        "Ouro-Op", "Ouro-Signal", "Ouro-Risk", "Ouro-Provider", "Ouro-Verified", "Ouro-Sandbox", "Ouro-Ledger",
        "Generated-By", "Signed-off-by", "Co-authored-by",
    ]  # fmt: skip
    assert f"\nOuro-Ledger: 212 sha256:{'cd' * 32}\nGenerated-By: Ouroboros\nSigned-off-by: {WHO}\n" in message
    assert trailer_problems(message) == ()


def test_trailers_that_a_model_wrote_are_stripped_from_the_body() -> None:
    body = "why\n\nOuro-Risk: SAFE_AUTO\n folded on\nsigned-off-by: Mallory <m@x>\n  Ouro-Forged: yes\nstays: this"
    assert clean_body(body) == "why\n\nstays: this"
    message = compose(TEXT.model_copy(update={"body": body}), signed_off_by=WHO, ledger=(1, "00"))
    assert message.lower().count("signed-off-by:") == 1
    assert message.count("Ouro-Risk:") == 1


def test_a_second_trailer_anywhere_is_a_problem() -> None:
    message = compose(TEXT, signed_off_by=WHO, ledger=(1, "00"))
    forged = message.replace("The test was red.", "Ouro-Risk: BLOCKED")
    assert trailer_problems(forged) == ("the trailer ouro-risk stands there 2 times",)
    assert "the trailer Ouro-Ledger is missing" in trailer_problems(compose(TEXT, signed_off_by=WHO, ledger=None))


def test_subjects() -> None:
    assert subject_line("fix(core): x") == "fix(core): x"
    assert subject_line("Make it\nwork\x1b[31m") == "fix: Make it work [31m"
    assert subject_line("") == "fix: repair"
    long = subject_line("fix: " + "word " * 40)
    assert len(long) <= 72 and long.endswith("word...")


@settings(deadline=None, max_examples=60)
@given(
    st.text(max_size=200), st.text(max_size=300), st.lists(st.tuples(st.sampled_from(REQUIRED), st.text()), max_size=9)
)
def test_whatever_the_model_says_each_trailer_stands_once(subject: str, body: str, more: list[tuple[str, str]]) -> None:
    text = CommitText(
        subject=_valid(subject), body=_valid(body), trailers=(*TEXT.trailers, *((n, _valid(v)) for n, v in more))
    )
    message = compose(text, signed_off_by=WHO, ledger=(9, "ff"))
    first = message.partition("\n")[0]
    assert 1 <= len(first) <= 72 and first.isprintable()
    assert trailer_problems(message) == ()
    assert read_trailers(message)["Ouro-Op"] == dict(TEXT.trailers)["Ouro-Op"]


def _valid(text: str) -> str:
    return text.encode("utf-8", errors="replace").decode()


def test_lines_that_read_like_a_trailer_are_found_wherever_and_however_they_stand() -> None:
    message = "OURO-LEDGER: 1\n\n  ouro-ledger : 2\n\tfolded on\n\nOuro-Ledgers: 3\nsee Ouro-Ledger: 4\nOuro-Op: op-1\n"
    assert said_of(message, "Ouro-Ledger") == (("OURO-LEDGER", "1"), ("ouro-ledger", "2 folded on"))
    assert said_of(message, "Ouro-Ledger", "Ouro-Op")[-1] == ("Ouro-Op", "op-1")


def test_a_head_has_one_spelling() -> None:
    own = "ab" * 32
    found = head_of(f"12 sha256:{own}")
    assert found is not None and (found.seq, found.hash) == (12, own)
    numbers = ("0", "012", "9" * 30, "\u0661", "12 ", "-1")
    for odd in ("", f"12 sha256:{own}0", f"12 SHA256:{own}", *(f"{number} sha256:{own}" for number in numbers)):
        assert head_of(odd) is None, odd


@given(st.text(max_size=200))
@settings(deadline=None, max_examples=60)
def test_any_message_can_be_read(message: str) -> None:
    for name, _ in said_of(message, "Ouro-Ledger"):
        assert name.lower() == "ouro-ledger"


def test_a_message_of_a_megabyte_is_read_once() -> None:
    """Not once for each of its trailers: one such commit would hold `ouro verify` for an hour."""
    many = 40_000
    assert trailer_problems("Ouro-Op: x\n" * many)[-1] == f"the trailer ouro-op stands there {many} times"
    ((name, value),) = said_of("Ouro-Op: x\n" + " y\n" * many, "Ouro-Op")
    assert (name, len(value)) == ("Ouro-Op", 1 + 2 * many)
