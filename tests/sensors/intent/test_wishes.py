from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.intent.wishes import WishKind, answer_in, infer_wish, key_words, names_in, sentences

KNOWN = ("total", "shop/cart.py", "cart")


@pytest.mark.parametrize(
    ("said", "kind", "sure", "names"),
    [
        ("Add a docstring to total", WishKind.REQUEST, 8_500, ("total",)),
        ("please make everything faster", WishKind.REQUEST, 6_000, ()),
        ("I wish total() refused negative prices", WishKind.WISH, 7_500, ("total",)),
        ("it would be nice if the output was shorter", WishKind.WISH, 5_000, ()),
        ("We should split shop/cart.py", WishKind.WISH, 7_500, ("shop/cart.py",)),
        ("total should refuse negative prices", WishKind.WISH, 7_500, ("total",)),
        ("Can we have a progress bar?", WishKind.WISH, 5_000, ()),
        ("why does total always round down?", WishKind.COMPLAINT, 5_500, ("total",)),
        ("The code in shop/cart.py is too long.", WishKind.COMPLAINT, 5_500, ("shop/cart.py",)),
        ("Thanks, that was good. Now rename the helper in `cart`.", WishKind.REQUEST, 8_500, ("cart",)),
    ],
)
def test_what_sounds_like_a_wish(said: str, kind: WishKind, sure: int, names: tuple[str, ...]) -> None:
    wish = infer_wish(said, KNOWN)
    assert wish is not None
    assert (wish.kind, wish.confidence_bp, wish.names) == (kind, sure, names)


@pytest.mark.parametrize(
    "said",
    [
        "", "thanks", "good morning", "what does total return?", "where is shop/cart.py", "how does total work",
        "don't touch total", "please do not rename total", "never mind", "fix it", "I fixed total myself",
        "why is it always raining", "is total fast?", "should total round?", "I want to know why total rounds",
        "I wish you a good night", "```\nfix total now please\n```", "> add a docstring to total",
        'Traceback: fix total\n  File "shop/cart.py", line 3, in total',
    ],
)  # fmt: skip
def test_what_is_talk(said: str) -> None:
    assert infer_wish(said, KNOWN) is None


def test_names_are_looked_for_in_what_was_said_and_not_in_plain_words() -> None:
    said = "it would be nice if `total` in shop/cart.py and the test were faster when Cart.sum() is used"
    assert names_in(said)[0] == "total"
    assert {"shop/cart.py", "Cart.sum"} <= set(names_in(said)) and not {"test", "used", "nice"} & set(names_in(said))
    assert len(names_in(" ".join(f"name_{n}" for n in range(50)))) == 12


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("yes", (True, "")), ("Yes, please.", (True, "")), ("ok!", (True, "")), ("do it", (True, "")),
        ("no", (False, "")),
        ("No, because it is meant that way", (False, "because it is meant that way")),
        ("nope: later", (False, "later")), ("yesterday it worked", None), ("nobody asked", None), ("total", None),
        ("yes but only in total", None), ("", None),
    ],
)  # fmt: skip
def test_a_yes_is_a_bare_yes_and_a_no_has_its_reason(said: str, answer: object) -> None:
    assert answer_in(said) == answer


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    wish = infer_wish(text, names_in(text))
    if wish is not None:
        assert wish.text in sentences(text) or len(wish.text) == 400
        assert set(wish.names) <= set(names_in(text)) and 0 < wish.confidence_bp <= 10_000
        assert (
            infer_wish(text) is None or infer_wish(text, names_in(text)).confidence_bp >= infer_wish(text).confidence_bp
        )  # type: ignore[union-attr]


@given(st.lists(st.sampled_from(["add", "tests", "cart", "faster", "rename"]), min_size=1, max_size=6))
def test_the_same_wish_in_other_dress_is_the_same(words: list[str]) -> None:
    wish = " ".join(words)
    assert key_words(f"Please, {wish.upper()}!") == key_words(wish) != key_words(f"{wish} again") != ""
