"""The real diff in the words of the ladder: what is moved away counts as gone, and lines are counted quickly."""

from __future__ import annotations

import time

from governance.phases.gate import facts_of
from governance.pipeline.diff_text import line_changes
from governance.risk.ladder import Assessment, assess
from ledger.ids import sha256_hex
from ledger.vocabulary import Edit, EditKind, Tier
from tests.governance.ops import candidate, modify, operation

OLD = b"def total(prices):\n    return sum(prices)\n"


def judged(*edits: Edit, before: dict[str, bytes | None], is_ourselves: bool = False) -> Assessment:
    facts = facts_of(
        operation(), candidate(*edits), before, verdicts=(), protected=(), core=(), is_ourselves=is_ourselves
    )
    return assess(facts)


def moved(old: str, new: str) -> Edit:
    return Edit(path=new, kind=EditKind.RENAME, before=sha256_hex(OLD), after=OLD, renamed_from=old)


def test_one_changed_source_file_is_green() -> None:
    after = OLD.replace(b"sum(prices)", b"sum(prices, 0)")
    assert judged(modify("shop/cart.py", OLD, after), before={"shop/cart.py": OLD}).tier is Tier.SAFE_AUTO


def test_a_file_that_is_moved_is_a_file_that_is_deleted() -> None:
    assessment = judged(moved("shop/cart.py", "shop/basket.py"), before={"shop/cart.py": OLD, "shop/basket.py": None})
    assert (assessment.tier, assessment.rule) == (Tier.APPROVAL_REQUIRED, 4)


def test_the_old_name_of_a_moved_file_is_judged_too() -> None:
    assessment = judged(moved("shop/auth.py", "shop/a.py"), before={"shop/auth.py": OLD, "shop/a.py": None})
    assert assessment.rule == 1
    own = judged(
        moved("governance/risk/ladder.py", "a.py"), before={"governance/risk/ladder.py": OLD}, is_ourselves=True
    )
    assert own.tier is Tier.BLOCKED


def test_every_changed_line_of_a_long_file_counts() -> None:
    """Also one that stands there already: else a file could be filled unseen."""
    old = b"".join(b"x = %d\n" % n for n in range(6_000))
    assert line_changes(old, old + b"x = 1\n" * 500) == (500, ("x = 1",))
    assert line_changes(old, old.replace(b"x = 7\n", b"y = 7\n")) == (2, ("x = 7", "y = 7"))


def test_changed_lines_are_counted_and_not_for_seconds() -> None:
    assert line_changes(b"a\nb\nc\n", b"a\nx\nc\nd\n") == (3, ("b", "x", "d"))
    old = "".join(f"value_{i} = compute(first, {i * 7919})\n" for i in range(800)).encode()
    began = time.process_time()
    count, _ = line_changes(old, old.replace(b"first", b"second"))
    assert count == 1_600
    assert time.process_time() - began < 1
