"""How much a repair is proven: did it only satisfy the tests that its author was shown, or others as well? Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from governance.dossier import RunReport
from ledger.vocabulary import Tier

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


def claimed(runs: Sequence[RunReport]) -> frozenset[str]:
    """Tests of which nobody but the process that they share with the program says that they pass."""
    return frozenset(test for run in runs for test in (*run.unsure, *run.doubted))


def claims(runs: Sequence[RunReport]) -> list[tuple[Tier, str]]:
    """What a verdict asks for that rests on the word of the program alone: to be told, or to be asked."""
    unsure = [f"{test} passes, but {why}" for run in runs for test, why in sorted(run.unsure.items())]
    doubted = [f"{test} passes, but {why}" for run in runs for test, why in sorted(run.doubted.items())]
    floors = [(Tier.APPROVAL_REQUIRED, doubted[0])] if doubted else []
    return floors + ([(Tier.NOTIFY_APPLY, unsure[0])] if unsure else [])


def evidence(repaired: Collection[str], shown: Collection[str] | None, claimed: Collection[str] = ()) -> str:
    """``verified`` or ``plausible``, and why, on one line.

    ``shown`` None: the author read the tests themselves. ``claimed``: see the function of that name.
    """
    if shown is None:
        return f"{PLAUSIBLE}; its author read the failing tests"
    held, total = held_out(repaired, shown), len(repaired)
    if not held:
        what = "the repaired test was" if total == 1 else "all repaired tests were"
        return f"{PLAUSIBLE}; {what} shown to its author"
    alone = [test for test in repaired if test in claimed]
    if alone:
        return f"{PLAUSIBLE}; what {len(alone)} of {total} repaired tests compare cannot be compared by another process"
    were = "was" if len(held) == 1 else "were"
    return f"{VERIFIED}; {len(held)} of {total} repaired tests {were} not shown to its author"
