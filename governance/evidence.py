"""How much a repair is proven: did it only satisfy the tests that its author was shown, or others as well? Pure."""

from __future__ import annotations

from collections.abc import Collection

PLAUSIBLE, VERIFIED = "plausible", "verified"


def function_of(test: str) -> str:
    """The test function: its parameters stand in one text, so whoever is shown one of them is shown all."""
    return test.partition("[")[0]


def held_out(tests: Collection[str], shown: Collection[str]) -> tuple[str, ...]:
    """Those of ``tests`` whose function is none of ``shown``."""
    known = {function_of(test) for test in shown}
    return tuple(test for test in tests if function_of(test) not in known)


def to_show(tests: Collection[str], most: int) -> tuple[str, ...]:
    """Test functions to show, in the order given: at most ``most``, and half of them where there are two or more.

    What is not shown stays a check of its own.
    """
    functions = list(dict.fromkeys(function_of(test) for test in tests))
    return tuple(functions[: min(most, max(1, (len(functions) + 1) // 2))])


def evidence(repaired: Collection[str], shown: Collection[str] | None) -> str:
    """``verified`` or ``plausible``, and why, on one line. ``shown`` None: the author read the tests themselves."""
    if shown is None:
        return f"{PLAUSIBLE}; its author read the failing tests"
    held, total = held_out(repaired, shown), len(repaired)
    if not held:
        what = "the repaired test was" if total == 1 else "all repaired tests were"
        return f"{PLAUSIBLE}; {what} shown to its author"
    were = "was" if len(held) == 1 else "were"
    return f"{VERIFIED}; {len(held)} of {total} repaired tests {were} not shown to its author"
