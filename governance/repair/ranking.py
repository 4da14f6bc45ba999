"""Ranking of passing variants: tests, no circumvention, no removal, small change, votes, likelihood. Pure."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Collection
from dataclasses import dataclass, replace

from governance.irongate.syntax import parse
from governance.irongate.test_code.shortcuts import find_copied_literals, find_handlers_of, find_removed
from governance.repair.failure_context import FailureContext
from governance.repair.spans import Span
from ledger.confidence import EVEN_BP
from ledger.vocabulary import Frozen

LONG_CHANGE = 2_000
PRICE_MILLI = 250
"""Log-likelihood that a changed character costs: most repairs are small, and models favour their own text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Variant:
    """A text for a hole of ``path``, whose content is ``base``."""

    path: str
    base: str
    span: Span
    text: str  # replaces the hole
    logprob_milli: int = 0
    votes: int = 1  # number of answers that give this file; 0: made without a model
    kind: str = ""  # class of mistake that a small edit corrects
    proximity_milli: int = 0  # proximity of the answer to a collapse; 0 without a model
    signal: str = ""

    @property
    def source(self) -> str:
        """The whole file with the hole filled. Not cached: a search has thousands of variants."""
        return self.span.fill(self.base, self.text)

    @property
    def way(self) -> str:
        """The kind of edit, for statistics of outcomes by kind."""
        return f"small edit, {self.kind or self.span.move.value}" if self.votes == 0 else self.span.move.value

    @property
    def what(self) -> str:
        """Description of the change and its place."""
        kind = f" ({self.kind})" if self.kind else ""
        return f"{self.span.move.value} at {self.path}:{self.span.line}{kind}"

    def with_votes(self, votes: int) -> Variant:
        return replace(self, votes=votes)


@dataclass(frozen=True, slots=True, kw_only=True)
class PassingVariant:
    """A variant with which every failing test passes. ``scene``: the failure that it repairs."""

    scene: FailureContext
    variant: Variant
    passed: int
    newly_red: int
    still_red: int  # tests that were red before and still are
    shortcut: str  # how it may circumvent the test, in words
    size: int  # changed characters
    takes_away: bool = False  # see :func:`removes`
    gain_milli: int | None = None  # log-likelihood gain over the original text; None: unknown
    trust_bp: int = EVEN_BP  # how often this kind of edit was right


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """A variant with which some of the failing tests pass: ``fixed``."""

    variant: Variant
    fixed: frozenset[str]
    shortcut: str
    size: int


def common_prefix_length(one: str, other: str) -> int:
    """Length of the common prefix of two texts."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((index for index, (a, b) in pairs if a != b), min(len(one), len(other)))


def changed_characters(before: str, after: str) -> int:
    """Characters inserted plus characters deleted, by the longest common substrings.

    Common prefix and suffix are cut off first, and a long rest counts whole, because matching is quadratic.
    """
    start = common_prefix_length(before, after)
    before, after = before[start:], after[start:]
    end = common_prefix_length(before[::-1], after[::-1])
    before, after = before[: len(before) - end], after[: len(after) - end]
    if len(before) + len(after) > LONG_CHANGE:
        return len(before) + len(after)
    matcher = difflib.SequenceMatcher(None, before, after, autojunk=False)
    return sum((i2 - i1) + (j2 - j1) for tag, i1, i2, j1, j2 in matcher.get_opcodes() if tag != "equal")


def shortcut(before: str, after: str, tests: Collection[str], raised: Collection[str]) -> str:
    """How a change may circumvent failing tests, by their sources and the exceptions ``raised``; else empty."""
    old, new = parse(before), parse(after)
    if new is None:
        return ""
    if find_copied_literals(old, new, tests):
        return "it copies a literal from the test"
    hidden = find_handlers_of(old, new, raised)
    return f"it catches {hidden[0]}, with which the test fails" if hidden else ""


def removes(before: str, after: str) -> bool:
    """Whether a change removes values or statements without replacement, or a public name."""
    old, new = parse(before), parse(after)
    if old is None or new is None:
        return False
    return bool(find_removed(old, new)) or bool(_public(old) - _public(new))


def _public(tree: ast.Module) -> frozenset[str]:
    defined = (n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef))
    return frozenset(name for name in defined if not name.startswith("_"))


class Merits(Frozen):
    """The inputs of the ranking of one variant; recorded, so that a replay can repeat the ranking."""

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


def merits(s: PassingVariant) -> Merits:
    """The ranking inputs of a variant."""
    return Merits(
        newly_red=s.newly_red,
        still_red=s.still_red,
        is_shortcut=bool(s.shortcut),
        takes_away=s.takes_away,
        passed=s.passed,
        gain_milli=s.gain_milli,
        size=s.size,
        trust_bp=s.trust_bp,
        votes=s.variant.votes,
        logprob_milli=s.variant.logprob_milli,
    )


def order_of(m: Merits) -> tuple[int | bool, ...]:
    """Sort key, best first. Trust decides between variants that tests and model rate equally."""
    worth = PRICE_MILLI * m.size - m.gain_milli if m.gain_milli is not None else m.size // 8
    return (
        m.newly_red,
        m.still_red,
        m.is_shortcut,
        m.takes_away,
        -m.passed,
        m.gain_milli is None,
        worth,
        -m.trust_bp,
        -m.votes,
        -m.logprob_milli,
        m.size,
    )


def order(s: PassingVariant) -> tuple[int | bool, ...]:
    """Sort key of a variant, best first."""
    return order_of(merits(s))
