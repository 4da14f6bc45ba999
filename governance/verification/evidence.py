"""How well a repair is proven: by tests that its author saw (plausible) or by held-out tests (verified). Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from governance.pipeline.dossier import RunReport
from ledger.vocabulary import Tier

PLAUSIBLE, VERIFIED = "plausible", "verified"


def function_of(test: str) -> str:
    """A test id without its parameters. Parametrised cases share one source, so showing one shows them all."""
    return test.partition("[")[0]


def held_out(tests: Collection[str], shown: Collection[str]) -> tuple[str, ...]:
    """Those of ``tests`` whose function is not among the ``shown`` ones."""
    known = {function_of(test) for test in shown}
    return tuple(test for test in tests if function_of(test) not in known)


def choose_shown(tests: Collection[str], most: int) -> tuple[str, ...]:
    """Test functions to show to the author, in the given order: at most ``most``, and at most half (rounded up).

    The others are held out to verify the repair.
    """
    functions = list(dict.fromkeys(function_of(test) for test in tests))
    return tuple(functions[: min(most, max(1, (len(functions) + 1) // 2))])


def claimed_passes(runs: Sequence[RunReport]) -> frozenset[str]:
    """Passed tests for which only the process shared with the tested code reports the pass."""
    return frozenset(test for run in runs for test in (*run.unsure, *run.doubted))


def claim_floors(runs: Sequence[RunReport]) -> list[tuple[Tier, str]]:
    """Tier floors for such passes: APPROVAL_REQUIRED for a ``doubted`` one, NOTIFY_APPLY for an ``unsure`` one."""
    unsure = [f"{test} passes, but {why}" for run in runs for test, why in sorted(run.unsure.items())]
    doubted = [f"{test} passes, but {why}" for run in runs for test, why in sorted(run.doubted.items())]
    floors = [(Tier.APPROVAL_REQUIRED, doubted[0])] if doubted else []
    return floors + ([(Tier.NOTIFY_APPLY, unsure[0])] if unsure else [])


class RepairEvidence(NamedTuple):
    """How well a repair is proven, and why. As text: the value of the ``Ouro-Evidence`` trailer."""

    level: str  # PLAUSIBLE or VERIFIED
    why: str

    def __str__(self) -> str:
        return f"{self.level}; {self.why}"


def evidence(repaired: Collection[str], shown: Collection[str] | None, claimed: Collection[str] = ()) -> RepairEvidence:
    """The evidence for a repair of the tests ``repaired``.

    ``shown`` None: the author could read the tests themselves. ``claimed``: result of :func:`claimed_passes`.
    """
    if shown is None:
        return RepairEvidence(PLAUSIBLE, "its author read the failing tests")
    held, total = held_out(repaired, shown), len(repaired)
    if not held:
        what = "the repaired test was" if total == 1 else "all repaired tests were"
        return RepairEvidence(PLAUSIBLE, f"{what} shown to its author")
    alone = [test for test in repaired if test in claimed]
    if alone:
        why = f"what {len(alone)} of {total} repaired tests compare cannot be compared by another process"
        return RepairEvidence(PLAUSIBLE, why)
    were = "was" if len(held) == 1 else "were"
    return RepairEvidence(VERIFIED, f"{len(held)} of {total} repaired tests {were} not shown to its author")
