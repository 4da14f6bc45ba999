"""Doctests of the program: their examples have to stay, what they ask may change."""

from __future__ import annotations

import pytest

from governance.irongate.candidate import g16_tests
from governance.irongate.test_code.doctests import as_python, find_lost_examples, object_of
from ledger.vocabulary import Decision, Tier

TEXT = '''"""Prices.

>>> net(119)
100
"""

def net(gross):
    """
    >>> net(238)
    200
    >>> net("a")
    Traceback (most recent call last):
    TypeError: no number
    """
    return gross


class Price:
    def double(self):
        """>>> Price().double()
        2
        """
'''


@pytest.mark.parametrize(
    ("test_id", "name"),
    [
        ("shop/money.py::shop.money.net", "net"),
        ("src/shop/money.py::shop.money.Price.double", "Price.double"),
        ("src/shop/__init__.py::shop.net", "net"),
        ("money.py::money", ""),
        ("tests/test_money.py::test_net", None),
        ("tests/test_money.py::TestNet::test_net", None),
        ("tests/test_money.py::test_net[money.net]", None),
        ("docs/usage.txt::usage.txt", None),
        ("tests/test_money.py", None),
    ],
)
def test_a_doctest_is_known_by_its_id(test_id: str, name: str | None) -> None:
    assert object_of(test_id) == name


def test_examples_are_read_as_statements() -> None:
    assert as_python(TEXT, "net").startswith("net(238)\n200\n") and "Traceback" not in as_python(TEXT, "net")
    assert as_python(TEXT, "") == "net(119)\n100\n" and as_python(TEXT, "Price") == as_python("def f(:", "") == ""
    assert as_python(TEXT, "Price.double") == "Price().double()\n2\n"


CHANGES = {
    "the code": ("return gross", "return gross * 100 // 119", ()),
    "an example more behind": ("    TypeError: no number\n", "    TypeError: no number\n    >>> net(0)\n    0\n", ()),
    "words between": ("    >>> net(238)\n", "    What is left:\n\n    >>> net(238)\n", ()),
    "what is said": ("200", "238", ("net",)),
    "what is asked": ("net(238)", "net(200)", ("net",)),
    "an example before that bends what is asked": ("    >>> net(238)", "    >>> net = abs\n    >>> net(238)", ("net",)),
    "an option": (">>> net(238)", ">>> net(238)  # doctest: +SKIP", ("net",)),
    "one gone": ("    >>> net(238)\n    200\n", "", ("net",)),
    "the module's": (">>> net(119)\n100\n", "", ("the module",)),
    "the name": ("def net(", "def net_of(", ("net",)),
}


@pytest.mark.parametrize("name", CHANGES)
def test_examples_have_to_stay(name: str) -> None:
    old, new, lost = CHANGES[name]
    before, after = TEXT.encode(), TEXT.replace(old, new, 1).encode()
    assert before != after and find_lost_examples(before, after) == lost
    facts = g16_tests.ChangedTestFacts(
        path="money.py", before=before, after=after, failing=("money.py",), documented=("money.py",)
    )
    verdict = g16_tests.check(facts)
    assert verdict.decision is (Decision.DENY if lost else Decision.ALLOW), verdict.reason


def test_a_file_that_goes_is_denied_and_what_gets_round_the_example_is_seen() -> None:
    def verdict(after: bytes | None) -> tuple[Decision, Tier | None]:
        facts = g16_tests.ChangedTestFacts(
            path="money.py",
            before=TEXT.encode(),
            after=after,
            failing=("money.py",),
            documented=("money.py",),
            tests=(as_python(TEXT, "net"),),
        )
        found = g16_tests.check(facts)
        return found.decision, found.floor

    assert verdict(None)[0] is Decision.DENY
    special = TEXT.replace("return gross", "return 200 if gross == 238 else gross")
    assert verdict(special.encode()) == (Decision.ALLOW, Tier.APPROVAL_REQUIRED)
