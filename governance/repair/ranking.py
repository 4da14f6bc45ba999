"""Which survivor is offered: more tests, no way round them, nothing taken away, smaller change, agreement, likelihood.

Pure.
"""

from __future__ import annotations

import ast
import difflib
from collections.abc import Collection
from dataclasses import dataclass, replace

from governance.irongate.shortcuts import catches, copied, taken_away
from governance.irongate.syntax import parse
from governance.repair.scene import Scene
from governance.repair.spans import Span
from ledger.confidence import EVEN_BP
from ledger.vocabulary import Frozen

LONG_CHANGE = 2_000
PRICE_MILLI = 250
"""What a changed character has to gain in likelihood: most repairs are small, and a model likes its own words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """One way to fill a hole of ``path``, which reads ``base``."""

    path: str
    base: str
    span: Span
    text: str  # what is written into it
    logprob_milli: int = 0
    votes: int = 1  # how many infills gave this very file; 0: nobody was asked for it
    kind: str = ""  # of the mistake that a move puts right
    proximity_milli: int = 0  # how close the answer came to a collapse; 0: nobody was asked
    signal: str = ""

    @property
    def source(self) -> str:
        """The file with it. Not kept: a search has thousands of variants."""
        return self.span.fill(self.base, self.text)

    @property
    def way(self) -> str:
        """By what kind of edit it was found, for the tally of what came of such."""
        return f"small edit, {self.kind or self.span.move.value}" if self.votes == 0 else self.span.move.value

    @property
    def what(self) -> str:
        """What is done where, in words."""
        kind = f" ({self.kind})" if self.kind else ""
        return f"{self.span.move.value} at {self.path}:{self.span.line}{kind}"

    def with_votes(self, votes: int) -> Variant:
        return replace(self, votes=votes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Survivor:
    """A variant that turned every failing test green. ``scene`` is the one that it changes."""

    scene: Scene
    variant: Variant
    passed: int
    newly_red: int
    still_red: int  # tests that were red before for whatever reason and still are
    shortcut: str  # how it may have got round the test, in words
    size: int  # changed characters
    takes_away: bool = False  # see :func:`removes`
    gain_milli: int | None = None  # how much likelier the model finds it than what stood there; None: nobody asked
    trust_bp: int = EVEN_BP  # how often what was found in this way was right


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """A variant that turned some of the failing tests green, and which."""

    variant: Variant
    fixed: frozenset[str]
    shortcut: str
    size: int


def shared(one: str, other: str) -> int:
    """How many characters both begin with."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def changed_characters(before: str, after: str) -> int:
    """Characters inserted plus characters deleted, by longest common runs.

    Equal ends are cut off first, and a long rest counts whole: matching takes the square of what is left.
    """
    start = shared(before, after)
    before, after = before[start:], after[start:]
    end = shared(before[::-1], after[::-1])
    before, after = before[: len(before) - end], after[: len(after) - end]
    if len(before) + len(after) > LONG_CHANGE:
        return len(before) + len(after)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return sum((i2 - i1) + (j2 - j1) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal")


def shortcut(before: str, after: str, tests: Collection[str], raised: Collection[str]) -> str:
    """How a change may get round failing tests: their sources, and the exceptions that they failed with."""
    old, new = parse(before), parse(after)
    if new is None:
        return ""
    if copied(old, new, tests):
        return "it copies a literal from the test"
    hidden = catches(old, new, raised)
    return f"it catches {hidden[0]}, with which the test fails" if hidden else ""


def removes(before: str, after: str) -> bool:
    """Whether a change takes values or statements away and puts nothing in their place, or a public name."""
    old, new = parse(before), parse(after)
    if old is None or new is None:
        return False
    return bool(taken_away(old, new)) or bool(_public(old) - _public(new))


def _public(tree: ast.Module) -> frozenset[str]:
    defined = (n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef))
    return frozenset(name for name in defined if not name.startswith("_"))


class Merits(Frozen):
    """Everything that the order of survivors goes by; stored with it, so that a replay can derive it again."""

    newly_red: int
    still_red: int
    is_shortcut: bool
    takes_away: bool = False
    passed: int
    gain_milli: int | None
    size: int
    trust_bp: int
    votes: int
    logprob_milli: int


def merits(s: Survivor) -> Merits:
    return Merits(
        newly_red=s.newly_red, still_red=s.still_red, is_shortcut=bool(s.shortcut),
        takes_away=s.takes_away, passed=s.passed, gain_milli=s.gain_milli, size=s.size, trust_bp=s.trust_bp,
        votes=s.variant.votes, logprob_milli=s.variant.logprob_milli,
    )  # fmt: skip


def order_of(m: Merits) -> tuple[int | bool, ...]:
    """Best first. Trust tells apart what tests and model find equal."""
    worth = PRICE_MILLI * m.size - m.gain_milli if m.gain_milli is not None else m.size // 8
    return (
        m.newly_red, m.still_red, m.is_shortcut, m.takes_away, -m.passed, m.gain_milli is None, worth, -m.trust_bp,
        -m.votes, -m.logprob_milli, m.size,
    )  # fmt: skip


def order(s: Survivor) -> tuple[int | bool, ...]:
    """Best first."""
    return order_of(merits(s))
