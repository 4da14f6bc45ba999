"""The faults that our tasks are made of: each one fits its file, changes it, and leaves Python."""

from __future__ import annotations

import ast
import random
from pathlib import Path

import pytest

from bench.tasks.choose import drawn
from bench.tasks.mutations import Mutation, mutations

ROOT = Path(__file__).parents[3]
TEXT = '''"""Wörter."""


def pick(items, limit, *, strict=True):
    """Doc."""
    out = []
    if not items:
        return out
    for n, item in enumerate(items):
        if n < limit and item != "ü":
            out.append(item)
        else:
            out.extend([item])
    if strict:
        check(out, limit)
    total = len(out) + 1
    return max(total, limit) if strict else total
'''


def by_kind(source: str) -> dict[str, list[Mutation]]:
    found: dict[str, list[Mutation]] = {}
    for mutation in mutations(source):
        found.setdefault(mutation.kind, []).append(mutation)
    return found


def test_every_kind_and_what_it_does() -> None:
    found = by_kind(TEXT)
    lines = {kind: {line_of(m) for m in rows} for kind, rows in found.items()}
    assert 'if n <= limit and item != "ü":' in lines["boundary"]
    assert {'if n < limit or item != "ü":', 'if n < limit and item == "ü":', "if items:"} <= lines["condition"]
    assert "total = len(out) - 1" in lines["operator"] and "total = len(out) + 2" in lines["constant"]
    assert "out.extend(item)" in lines["call"] and "check(limit, out)" in lines["arguments"]
    assert "return max(total, items) if strict else total" in lines["name"]
    assert {m.old for m in found["missing lines"]} >= {"    if not items:\n        return out\n"}
    assert any("extend([item])\n        else:\n" in m.new for m in found["branches"])
    assert not any('"""Doc."""' in m.old for rows in found.values() for m in rows)


def line_of(mutation: Mutation) -> str:
    whole = mutation.applied(TEXT)
    return whole[: whole.find("\n", mutation.start)].rsplit("\n", 1)[-1].strip()


@pytest.mark.parametrize("path", ["governance/risk/ladder.py", "tools/process.py", "daemon/views/text.py"])
def test_faults_of_real_files_fit_differ_and_parse(path: str) -> None:
    source = (ROOT / path).read_text()
    found = list(mutations(source))
    assert len(found) > 20
    for mutation in found:
        changed = mutation.applied(source)
        assert changed != source
        assert ast.dump(ast.parse(changed)) != ast.dump(ast.parse(source))


def test_a_fault_for_another_text_is_refused() -> None:
    mutation = next(iter(mutations(TEXT)))
    with pytest.raises(ValueError, match="does not fit"):
        mutation.applied(TEXT[10:])


def test_draws_are_the_same_for_the_same_seed_and_two_faults_do_not_touch() -> None:
    fit = [("a.py", m) for m in mutations(TEXT)] + [("b.py", m) for m in mutations(TEXT)]
    for seed in range(60):
        one = drawn(random.Random(seed), "several", fit, two_files=False)
        assert one == drawn(random.Random(seed), "several", fit, two_files=False)
        if len(one) == 2:
            (_, a), (_, b) = sorted(one, key=lambda row: row[1].start)
            assert a.start + len(a.old) < b.start and a.line != b.line
        two = drawn(random.Random(seed), "several", fit, two_files=True)
        assert len(two) == 1 or {path for path, _ in two} == {"a.py", "b.py"}
