"""Names that a module or an object does not have."""

from __future__ import annotations

import pytest

from governance.repair.moves import Complaint, renamed
from governance.repair.spans import ParsedFile

IMPORT = Complaint("ImportError", "cannot import name 'load' from 'core' (/x/core.py)", ("save", "load_file"))
MODULE = Complaint("AttributeError", "module 'core' has no attribute 'load'", ("fetch",))
OBJECT = Complaint("AttributeError", "'Box' object has no attribute 'add_item'", ("put_item", "items"))
ALONE = Complaint("AttributeError", "'Box' object has no attribute 'itmes'")
CASES = {
    "an import": (IMPORT, "from core import load\n", "from core import load_file as load\n"),
    "an import under another name": (
        IMPORT, "from core import (save, load as read)\n", "from core import (save, load_file as read)\n",
    ),
    "a module's attribute, however unlike": (MODULE, "x = core.load(1)\n", "x = core.fetch(1)\n"),
    "an object's attribute": (OBJECT, "box.add_item(x)\n", "box.put_item(x)\n"),
    "one that the file itself knows": (ALONE, "a.itmes; b.items\n", "a.items; b.items\n"),
    "the definition": (IMPORT, "async def load_file(path): ...\n", "async def load(path): ...\n"),
    "a class whose name begins as the keyword": (
        Complaint("ImportError", "cannot import name 'clazz' from 'core' (/x/core.py)"), "class class_: ...\n",
        "class clazz: ...\n",
    ),
    "behind letters that take two bytes": (OBJECT, "größe.add_item(x)\n", "größe.put_item(x)\n"),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_the_other_name_is_offered(name: str) -> None:
    complaint, before, after = CASES[name]
    found = [one.span.fill(before, one.text) for one in renamed(ParsedFile(before), 1, [complaint])]
    assert after in found, found


@pytest.mark.parametrize(
    ("complaint", "text"),
    [
        (Complaint("AssertionError", "assert 1 == 2", ("put_item",)), "box.add_item(x)\n"),
        (OBJECT, "box.items\n"),
        (IMPORT, "def unlike(path): ...\n"),
        (IMPORT, "def f(:\n"),
    ],
)
def test_nothing_is_offered_for_what_is_not_missing(complaint: Complaint, text: str) -> None:
    assert list(renamed(ParsedFile(text), 1, [complaint])) == []
