"""docs/system-calls.md goes through all system calls, and says what the filters do."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from tools.sandbox.calls import NEWEST, NUMBERS, number
from tools.sandbox.seccomp import NAMESPACED, SHARED, Rule

ROOT = Path(__file__).parents[3]
HEADER = Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h")
ROWS = [
    [cell.strip() for cell in line.strip("|\n").split("|")]
    for line in (ROOT / "docs/system-calls.md").read_text(encoding="utf-8").splitlines()[7:]
    if line.startswith("| ") and not line.startswith("| family")
]
FAMILIES = {name: (bwrap, landlock, calls.split()) for name, bwrap, landlock, _, calls in ROWS}
SINCE = [
    "cachestat",
    "fchmodat2",
    "map_shadow_stack",
    "futex_wake",
    "futex_wait",
    "futex_requeue",
    "statmount",
    "listmount",
    "lsm_get_self_attr",
    "lsm_set_self_attr",
    "lsm_list_modules",
    "mseal",
    "setxattrat",
    "getxattrat",
    "listxattrat",
    "removexattrat",
    "open_tree_attr",
    "file_getattr",
    "file_setattr",
]
"""From number 451 on: headers are older than kernels."""


def test_every_call_has_its_family_and_only_one() -> None:
    listed = Counter(call for _, _, calls in FAMILIES.values() for call in calls)
    assert max(listed.values()) == 1
    assert set(NUMBERS) <= set(listed)
    assert 451 + len(SINCE) - 1 == NEWEST and set(SINCE) <= set(listed)
    if not HEADER.is_file():
        pytest.skip("the kernel's headers are not installed: whether a call is missing is NOT tried")
    known = {m[1]: int(m[2]) for m in re.finditer(r"#define __NR_(\w+) (\d+)", HEADER.read_text(encoding="ascii"))}
    assert set(known) <= set(listed), "a call that nobody has thought of"
    assert all(number(call, "x86_64") in (known[call], None) for call in known.keys() & NUMBERS.keys())


@pytest.mark.parametrize("call", SINCE)
def test_numbers_of_calls_since(call: str) -> None:
    assert call not in NUMBERS or NUMBERS[call] == (451 + SINCE.index(call),) * 2


@pytest.mark.parametrize(("rules", "column"), [(NAMESPACED, 0), (SHARED, 1)], ids=["bwrap", "landlock"])
@pytest.mark.parametrize("family", FAMILIES)
def test_the_page_says_what_the_filter_does(family: str, rules: tuple[Rule, ...], column: int) -> None:
    said, calls = FAMILIES[family][column], FAMILIES[family][2]
    whole = {call for rule in rules if not rule.when and not rule.unless for call in rule.calls}
    any_of = {call for rule in rules for call in rule.calls}
    if said == "allowed":
        assert not any_of & set(calls)
    elif said == "refused":
        assert set(calls) <= whole
    else:
        assert said == "part" and any_of & set(calls) and (len(calls) == 1 or not set(calls) <= whole)
