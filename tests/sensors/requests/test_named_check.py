from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.requests.named_check import NamedCheck, named_check, paths_in, spoken_names
from tests.repos import git, host_env, make_places, make_repo
from tools.git import Git
from tools.repository import Repository

FILES = {
    "shop/cart.py": "def total(): return 0\n\n\ndef test_total_in_code(): pass\n",
    "tests/test_cart.py": (
        "def test_total(): pass\n\n\ndef test_total_with_discount(): pass\n\n\n"
        "class TestCart:\n    async def test_empty_cart(self): pass\n"
    ),
    "tests/test_more.py": "def test_twice(): pass\n",
    "tests/test_other.py": "def test_twice(): pass\n",
    "tests/test_broken.py": "def test_torn(:\n",
}


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("fix test total", NamedCheck(tests=("tests/test_cart.py::test_total",))),
        ("fix the Test Total With Discount soon", NamedCheck(tests=("tests/test_cart.py::test_total_with_discount",))),
        ("fix test_total_with_discount", NamedCheck(tests=("tests/test_cart.py::test_total_with_discount",))),
        ("fix the test empty cart", NamedCheck(tests=("tests/test_cart.py::TestCart::test_empty_cart",))),
        ("fix tests/test_cart.py::test_total", NamedCheck(tests=("tests/test_cart.py::test_total",))),
        ("fix tests/test_cart.py::test_gone", NamedCheck()),
        ("fix test twice", NamedCheck(several=("tests/test_more.py::test_twice", "tests/test_other.py::test_twice"))),
        ("fix test torn", NamedCheck()),
        ("fix test total in code", NamedCheck(tests=("tests/test_cart.py::test_total",))),
        ("add rounding to shop/cart.py, not to shop/gone.py", NamedCheck(targets=("shop/cart.py",))),
        ("fix ../../etc/passwd.py and /etc/x.py", NamedCheck()),
        ("fix the total", NamedCheck()),
    ],
)
async def test_names_of_what_is_committed(tmp_path: Path, said: str, found: NamedCheck) -> None:
    repo = make_repo(tmp_path / "repo", FILES)
    repository = Repository(Git(make_places(tmp_path / "ours", repo), host_env()))
    assert await named_check(said, git(repo, "rev-parse", "HEAD"), repository) == found


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    names = spoken_names(text)
    assert list(names) == sorted(names, key=len, reverse=True)
    assert all(name.startswith("test_") for name in names)
    assert all(path in text for path in paths_in(text))
