"""Bounds on JSON from inside the sandbox, asked of its bytes: before a parser makes objects of them.

A byte or two of an empty list is some hundred bytes in a parser's memory, and where an entry has the wrong type there
is a whole sentence for each. So what is counted is how many objects and lists a text can hold, and how many fields.
"""

from __future__ import annotations

import re

NESTED = 100_000
"""Lists, objects and fields with a name. A test that reached ten thousand files and lines tells of fewer."""
ENTRIES = 2_000_000
"""Entries of lists and objects together."""
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
"""Possessive, and true of every text from its first quotation mark on: no byte is looked at twice."""


def is_modest(text: bytes) -> bool:
    """Whether a parser of JSON makes no more of ``text`` than is taken. Strings hold nothing, whatever is in them."""
    if _fits(text):
        return True
    return _fits(_STRING.sub(b"", text))


def _fits(text: bytes) -> bool:
    nested = text.count(b"[") + text.count(b"{") + text.count(b":")
    return nested <= NESTED and text.count(b",") <= ENTRIES
