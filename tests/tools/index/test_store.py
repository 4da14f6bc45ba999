"""IndexedFile on disk: kept over restarts, bounded, and given up when the file is damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

import tools.index.store as stores
from ledger.errors import ToolError
from tools.index.facts import UNREAD, IndexedFile, unread
from tools.index.store import FactStore
from tools.index.worker import facts_of


def facts(text: str) -> IndexedFile:
    return facts_of("python", text.encode())


CART = facts("import tax\ndef total():\n    rate()\n")
TAX = facts("from . import x\ndef rate():\n    total()\n")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "index" / "id.sqlite3"


def test_what_is_put_is_found_by_key_and_by_word_also_later(file: Path) -> None:
    store = FactStore(file)
    assert store.missing(["cart", "tax"]) == {"cart", "tax"}
    store.put({"cart": CART, "tax": TAX})
    store.put({"cart": TAX})  # the same contents have the same facts: the first stay
    store.close()
    store = FactStore(file)
    assert store.missing(["cart", "new"]) == {"new"}
    assert store.get(["cart", "none"]) == {"cart": CART}
    assert store.having("total") == {"cart": CART, "tax": TAX}
    assert store.having("nothing") == {}
    assert store.imports({"tax"}) == {"tax": TAX.imports}
    assert file.stat().st_mode & 0o777 == 0o600
    store.close()


def test_the_oldest_go_and_what_is_needed_stays(file: Path) -> None:
    store = FactStore(file)
    store.put({f"k{n}": facts(f"def f{n}(): g()\n") for n in range(10)})
    assert store.forget_beyond(10, keep=()) == 0
    assert store.forget_beyond(4, keep={"k0", "k1"}) == 6
    assert store.missing([f"k{n}" for n in range(10)]) == {f"k{n}" for n in range(2, 8)}
    assert sorted(store.having("g")) == ["k0", "k1", "k8", "k9"]
    assert store.having("f5") == {}
    assert store.forget_beyond(1, keep={"k0", "k1", "k8"}) == 1
    store.put({"k5": facts("def f5(): g()\n")})
    assert list(store.having("f5")) == ["k5"]
    store.close()


def test_other_facts_of_an_older_version_are_forgotten(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = FactStore(file)
    store.put({"cart": CART})
    store.close()
    monkeypatch.setattr(stores, "FORM", stores.FORM + 1000)
    assert store.missing(["cart"]) == {"cart"}
    store.put({"cart": CART})
    assert list(store.having("rate")) == ["cart"]
    store.close()


@pytest.mark.parametrize("damage", ["header", "middle", "empty"])
def test_a_damaged_file_is_told_once_and_begun_anew(file: Path, damage: str) -> None:
    store = FactStore(file)
    store.put({f"k{n}": facts(f"def f{n}(): g()\n" * 50) for n in range(200)})
    store.close()
    data = file.read_bytes()
    if damage == "header":
        file.write_bytes(b"not a database at all" + data[21:])
    elif damage == "middle":
        file.write_bytes(data[:8192] + b"\xaa" * (len(data) - 8192))
    else:
        file.write_bytes(b"")
    if damage == "empty":
        assert store.having("g") == {}
    else:
        with pytest.raises(ToolError, match="starts anew"):
            store.having("g")
    store.put({"cart": CART})
    assert store.having("rate") == {"cart": CART}
    store.close()


def test_a_link_where_the_file_should_be_is_not_followed(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "owners.txt"
    target.write_text("mine")
    file.parent.mkdir()
    file.symlink_to(target)
    store = FactStore(file)
    with pytest.raises(ToolError):
        store.missing(["x"])
    assert target.read_text() == "mine"
    assert store.missing(["x"]) == {"x"}  # the link is gone, a file of ours stands there
    store.close()


def test_in_memory_and_unread() -> None:
    store = FactStore()
    store.put({"big": unread("too large"), "cart": CART})
    assert list(store.having(UNREAD)) == ["big"]
    store.close()
    assert store.missing(["cart"]) == {"cart"}
    store.close()


def test_a_name_that_is_no_text_is_kept(file: Path) -> None:
    store = FactStore(file)
    odd = IndexedFile(names=("a\udc80b",), error="line 1")
    store.put({"odd": odd})
    assert store.having("a\udc80b") == {"odd": odd}
    store.close()
