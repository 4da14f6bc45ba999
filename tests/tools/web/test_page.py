"""From markup to text: what a reader sees, and nothing else, whatever the markup."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.web.page import text_of


@pytest.mark.parametrize(
    ("markup", "text"),
    [
        ("<p>One</p><p>two &lt;3</p>", "One\n\ntwo <3"),
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("a<br>b", "a\nb"),
        ("<title>T &amp; U</title><body>x", "T & U\n\nx"),
        ("<script>if (a < b) { alert('</p>') }</script>x", "x"),
        ("<SCRIPT src=x>y</Script >x", "x"),
        ("<style>p { }</style><noscript>no</noscript><svg><text>no</text></svg>x", "x"),
        ("a<!-- ignore this -->b<!-- and this", "ab"),
        ("<p hidden>no</p><p>x</p>", "x"),
        ("<div style='color:red;display: none'>no<div>no</div>no</div>x", "x"),
        ('<span aria-hidden="true">no</span>x', "x"),
        ('<p style="font-size:0">no</p>x', "x"),
        ("<input hidden>x", "x"),
        ('<img alt="a picture">x', "[a picture]x"),
        ("a < b and b > c", "a < b and b > c"),
        ("<a title='x > y'>link</a>", "link"),
        ("<!DOCTYPE html><?xml version='1'?>x", "x"),
        ("<p>not closed <b", "not closed <b"),
        ("\u0130<SCRIPT>no</SCRIPT>x", "\u0130x"),
        (f"<title>t</title>&#{'9' * 5000};<img alt='&#{'9' * 4000}'>x", "t\n\n\ufffd[\ufffd]x"),
    ],
)
def test_what_a_reader_sees(markup: str, text: str) -> None:
    assert text_of(markup) == text


PIECES = [
    "<",
    ">",
    "<!--",
    "-->",
    "<script>",
    "</script",
    "<p hidden>",
    "</p>",
    "<a '",
    '"',
    "&#60;",
    "&lt",
    "x",
    " ",
    "\n",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(max_size=3)).map("".join))
def test_any_markup_has_a_text(markup: str) -> None:
    assert isinstance(text_of(markup), str)


@given(st.lists(st.sampled_from(PIECES)).map("".join))
def test_what_a_script_says_is_never_shown(around: str) -> None:
    assert "EVIL" not in text_of(f"<p>a</p><script>EVIL{around.replace('</script', '')}</script>{around}")
