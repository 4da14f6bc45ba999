"""Every gate is total and deterministic, its stored facts replay, and more rules never allow what was denied."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from governance.irongate.candidate import (
    g01_containment,
    g02_protected,
    g04_exploration,
    g05_characters,
    g06_coverage,
    g11_staleness,
    g13_shrink,
    g14_noop,
    g15_secrets,
    g16_tests,
    g17_dangerous,
    g20_unattended,
)
from governance.irongate.candidate_gates import SEVERITY, decide, inspect
from governance.irongate.gate import Gate
from governance.irongate.inspection import ContainmentFacts
from governance.irongate.op import g07_cost, g08_approval, g09_ceiling, g10_signatures, g12_lock, g19_recursion
from governance.irongate.registry import GATES
from governance.irongate.tool import g03_commands, g18_injection
from ledger.vocabulary import Complexity, Decision, EditKind, Frozen, Tier, Verdict
from tests.governance.irongate.builders import inspection
from tools.manifest import Category, ToolUse

PIECES = [
    "def f(x):\n",
    "    return x\n",
    "    ...\n",
    "    pass\n",
    "class A:\n",
    "assert x == 1\n",
    "x = 1\n",
    "eval('1')\n",
    "import os\nos.system(x)\n",
    "if x == 'a':\n    pass\n",
    "try:\n    pass\nexcept:\n    pass\n",
    "# ... rest of the file\n",
    "@pytest.mark.skip\n",
    "def test_a():\n",
    "    assert f(1)\n",
    "“",
    "\u202e",
    "\u0430",
    "'",
    '"""',
    "\n",
    "\\",
    "token = '",
    "[pytest]\n",
    "a = b\n",
    "\ufeff",
    "\0",
    "(",
]
TEXT = st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=6)), max_size=10).map("".join)
BYTES = st.one_of(TEXT.map(lambda t: t.encode("utf-8", errors="replace")), st.binary(max_size=30))
MAYBE = st.none() | BYTES
SAFE = st.characters(codec="utf-8")
PATHS = st.one_of(
    st.sampled_from(["a.py", "tests/test_a.py", "conftest.py", "pyproject.toml", "setup.cfg", "a.md", ".env", "../x"]),
    st.text(SAFE, max_size=20),
    st.lists(st.sampled_from(["..", ".", "", "a", ".git", "src", "~", "x.pem"]), max_size=5).map("/".join),
)
COUNT = st.integers(0, 20)
OUTSIDE = st.one_of(
    st.sampled_from(
        [
            "ignore",
            " all ",
            "previous",
            "\n# ",
            "instructions",
            "</data>",
            "<data",
            "<|im_start|>",
            "\x1b[2J",
            "QUJDREVG" * 3,
            "=",
            "\u200b",
            "\U000e0041",
            "\U0001f3f4",
            "忽略",
            "以上",
            "指令",
            "&#105;",
            "%69%67%6e",
            "i g n o r e ",
        ]
    ),
    st.text(SAFE, max_size=12),
)
USES = st.lists(
    st.builds(
        ToolUse,
        tool=st.sampled_from(["a", "b"]),
        arguments=st.sampled_from(["{}", "[]"]),
        ok=st.booleans(),
        category=st.none() | st.sampled_from(Category),
        score=st.integers(0, 3),
    ),
    max_size=12,
).map(tuple)
NAMES = st.lists(PATHS, max_size=4).map(tuple)
HASHES = st.dictionaries(st.sampled_from(["a", "b", "c"]), st.none() | st.sampled_from(["1", "2"]))
TIMES = st.datetimes(timezones=st.just(UTC))

COMMANDS = st.one_of(
    st.text(SAFE, max_size=30),
    st.lists(
        st.sampled_from(
            [
                "rm -rf x",
                "git push",
                "ls",
                ";",
                " | ",
                "$(",
                ")",
                "'",
                '"',
                "`",
                "\n",
                "cat <<E\n",
                "\nE\n",
                "> ",
                ".env",
                "/w/a",
                "cd ..",
                " $x ",
                "sudo ",
                "env A=b ",
                "bash -c ",
                "eval ",
                "{ ",
                "}",
                "((",
                "#",
                "\\",
                "xargs ",
            ]
        ),
        max_size=10,
    ).map("".join),
)

FACTS: dict[int, st.SearchStrategy[Frozen]] = {
    1: st.builds(
        ContainmentFacts,
        path=PATHS,
        mode=st.sampled_from([0o644, 0o755, 0o120000, 0o4755, -1]),
        root_is_link=st.booleans(),
        links=NAMES,
        twins=NAMES,
        special=st.booleans(),
        edit_fault=st.sampled_from([None, *g01_containment.EDIT_FAULTS]),
    ),
    2: st.builds(g02_protected.ProtectedPathFacts, path=PATHS, owner=NAMES, own=NAMES),
    3: st.builds(
        g03_commands.CommandFacts,
        command=COMMANDS,
        roots=st.sampled_from([(), ("/w",)]),
        there=NAMES,
        owner=NAMES,
        own=NAMES,
        allowed=st.lists(st.sampled_from(["*", "git *", "rm -rf *"]), max_size=2).map(tuple),
    ),
    4: st.builds(
        g04_exploration.ExplorationFacts, complexity=st.sampled_from(Complexity), uses=USES, changed=NAMES, read=NAMES
    ),
    5: st.builds(g05_characters.CharacterFacts, path=PATHS, before=MAYBE, after=MAYBE, strict_ascii=st.booleans()),
    6: st.builds(g06_coverage.CoverageFacts, planned=st.none() | NAMES, changed=NAMES, reasoned=NAMES),
    7: st.builds(
        g07_cost.CostFacts,
        cost=st.none() | COUNT,
        op_spent=COUNT,
        day_spent=COUNT,
        provider_spent=COUNT,
        per_call=COUNT,
        per_op=COUNT,
        per_day=COUNT,
        per_provider=st.none() | COUNT,
    ),
    8: st.builds(g08_approval.ApprovalFacts, requested_at=TIMES, now=TIMES, limit_s=COUNT, has_terminal=st.booleans()),
    9: st.builds(g09_ceiling.CeilingFacts, started_ms=st.integers(), now_ms=st.integers(), ceiling_ms=COUNT),
    10: st.builds(
        g10_signatures.SignatureFacts,
        scheme=st.sampled_from(g10_signatures.Scheme),
        secrets=COUNT,
        signature=st.sampled_from(g10_signatures.Signature),
        delivery=st.sampled_from(["", "msg_1", "a b", "x" * 200]),
        sent_s=st.none() | st.integers(),
        now_s=st.integers(),
        window_s=st.integers(1, 20),
        seen=st.booleans(),
    ),
    11: st.builds(
        g11_staleness.StalenessFacts, targets=st.lists(st.sampled_from("abc")).map(tuple), read=HASHES, now=HASHES
    ),
    12: st.builds(g12_lock.LockFacts, holder_alive=st.none() | st.booleans(), age_s=st.integers(), limit_s=COUNT),
    13: st.builds(
        g13_shrink.ShrinkFacts,
        path=PATHS,
        kind=st.sampled_from(EditKind),
        before=MAYBE,
        after=MAYBE,
        deletion_wanted=st.booleans(),
    ),
    14: st.builds(
        g14_noop.NoopFacts,
        about_code=st.booleans(),
        files=st.lists(st.builds(g14_noop.FileVersions, path=PATHS, before=MAYBE, after=MAYBE), max_size=3).map(tuple),
    ),
    15: st.builds(g15_secrets.SecretFacts, path=PATHS, before=MAYBE, after=MAYBE),
    16: st.builds(
        g16_tests.ChangedTestFacts,
        path=PATHS,
        before=MAYBE,
        after=MAYBE,
        failing=NAMES,
        old_path=st.none() | PATHS,
        tests=st.lists(TEXT, max_size=2).map(tuple),
    ),
    17: st.builds(g17_dangerous.DangerFacts, path=PATHS, before=MAYBE, after=MAYBE),
    18: st.builds(
        g18_injection.InjectionFacts, where=st.text(SAFE, max_size=20), text=st.lists(OUTSIDE, max_size=12).map("".join)
    ),
    19: st.builds(
        g19_recursion.RecursionFacts, depth=COUNT, deepest=COUNT, diff=st.sampled_from(["", "a"]), undone=NAMES
    ),
    20: st.builds(
        g20_unattended.UnattendedFacts,
        path=PATHS,
        kind=st.sampled_from(EditKind),
        before=MAYBE,
        after=MAYBE,
        runs=st.booleans(),
        tests=st.lists(TEXT, max_size=2).map(tuple),
        known=NAMES,
    ),
}
CHECKS: dict[int, Callable[..., Verdict]] = {number: gate.check for number, gate in GATES.items()}


def recombined(gate: Gate[Any]) -> st.SearchStrategy[Frozen]:
    """Facts of a gate whose fields come from its examples, each from another one."""
    examples = [facts for facts, _ in gate.examples]
    fields = {name: st.sampled_from([getattr(facts, name) for facts in examples]) for name in gate.facts.model_fields}
    return st.builds(gate.facts, **fields)


FACTS |= {number: recombined(gate) for number, gate in GATES.items() if number not in FACTS}


def test_every_gate_has_its_property() -> None:
    assert set(FACTS) == set(CHECKS) == set(GATES)


@pytest.mark.parametrize("number", sorted(FACTS))
def test_total_deterministic_and_replayable(number: int) -> None:
    @settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    @given(FACTS[number])
    def judged(facts: Frozen) -> None:
        verdict = CHECKS[number](facts)
        assert verdict.gate == number
        assert verdict.rule.startswith(f"gate{number:02d}.")
        assert verdict == CHECKS[number](facts)
        assert verdict.decision is Decision.ALLOW or verdict.reason
        verdict.model_dump_json().encode("utf-8")
        assert GATES[number].judge(facts.model_dump_json()) == verdict

    judged()


VERDICTS = st.lists(
    st.builds(
        Verdict,
        gate=st.integers(0, 20),
        rule=st.just("r"),
        decision=st.sampled_from(Decision),
        floor=st.none() | st.sampled_from(Tier),
    ),
    min_size=1,
    max_size=6,
)


@settings(deadline=None)
@given(VERDICTS, VERDICTS)
def test_more_verdicts_never_allow_more(some: list[Verdict], more: list[Verdict]) -> None:
    decision, floor = decide(some)
    wider, higher = decide([*some, *more])
    assert SEVERITY[wider] >= SEVERITY[decision]
    assert higher >= floor


@settings(deadline=None)
@given(path=PATHS, owner=NAMES, more=NAMES)
def test_more_patterns_never_allow_more(path: str, owner: tuple[str, ...], more: tuple[str, ...]) -> None:
    few = g02_protected.check(g02_protected.ProtectedPathFacts(path=path, owner=owner)).decision
    many = g02_protected.check(g02_protected.ProtectedPathFacts(path=path, owner=(*owner, *more))).decision
    assert SEVERITY[many] >= SEVERITY[few]


@settings(deadline=None, max_examples=60)
@given(before=TEXT, after=TEXT, protected=NAMES, undone=st.lists(st.text(max_size=3)).map(tuple))
def test_more_rules_never_allow_a_candidate(
    before: str, after: str, protected: tuple[str, ...], undone: tuple[str, ...]
) -> None:
    changes = {"src/a.py": (before.encode("utf-8", "replace").decode(), after.encode("utf-8", "replace").decode())}
    few = decide(inspect(inspection(changes)))
    more = inspection(changes, protected=protected, undone=undone, strict_ascii=True)
    many = decide(inspect(more))
    assert SEVERITY[many[0]] >= SEVERITY[few[0]]
    assert many[1] >= few[1]


DEEP = {
    "sum": "x = " + "1+" * 4000 + "1\n",
    "attributes": "x" + ".a" * 4000 + " = 1\n",
    "unary": "def test_a():\n    assert " + "not " * 3000 + "x\n",
    "brackets": "(" * 5000,
    "raise": "def f():\n    raise " + "-" * 3000 + "1\n",
}


@pytest.mark.parametrize("name", DEEP)
@pytest.mark.parametrize("number", [5, 13, 14, 15, 16])
def test_code_that_is_nested_too_deeply_is_judged(name: str, number: int) -> None:
    small, deep = b"def f():\n    return 1\n\n\ndef test_a():\n    assert f()\n", DEEP[name].encode()
    for before, after in ((small, small + deep), (small + deep, small), (small + deep, small + deep + b"y = 1\n")):
        change: dict[str, Any] = {"path": "tests/test_a.py", "before": before, "after": after}
        extra: dict[int, Frozen] = {
            5: g05_characters.CharacterFacts(**change),
            13: g13_shrink.ShrinkFacts(**change, kind=EditKind.MODIFY),
            14: g14_noop.NoopFacts(files=(g14_noop.FileVersions(**change),), about_code=True),
            15: g15_secrets.SecretFacts(**change),
            16: g16_tests.ChangedTestFacts(**change),
        }
        assert CHECKS[number](extra[number]) == CHECKS[number](extra[number])
