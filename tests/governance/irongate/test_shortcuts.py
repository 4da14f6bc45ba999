"""Gates 16 and 17 on program code: getting round a test, and dangerous code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from governance.irongate.candidate import g16_tests, g17_dangerous
from governance.irongate.test_code.support import is_support
from ledger.vocabulary import Decision, Tier

CODE = "import os\n\n\ndef price(kind, amount):\n    rate = RATES[kind]\n    return rate * amount\n"
TEST = (
    "    @pytest.mark.parametrize('kind', ['gold'])\n    def test_price(kind):\n        assert price(kind, 37) == 74\n"
)
RAISED = ("LookupError",)
HANDLER = "    try:\n        rate = RATES[kind]\n    except {}:\n        {}\n"
LINE = "    rate = RATES[kind]\n"

SHORTCUTS: dict[str, tuple[str, str, str, Tier | None]] = {
    # what, by what, rule, tier (None: refused)
    "skips": (LINE, "    import pytest\n    pytest.skip('later')\n" + LINE, "gate16.skips_from_inside", None),
    "skips by name": (LINE, "    from unittest import SkipTest\n" + LINE, "gate16.skips_from_inside", None),
    "ends the process": (LINE, "    os._exit(0)\n" + LINE, "gate16.skips_from_inside", None),
    "special case": (
        LINE,
        "    if amount == 37:\n        return 74\n" + LINE,
        "gate16.special_case",
        Tier.APPROVAL_REQUIRED,
    ),
    "special case, by a parameter": (
        LINE,
        "    rate = 2 if kind == 'gold' else RATES[kind]\n",
        "gate16.special_case",
        Tier.APPROVAL_REQUIRED,
    ),
    "a table of answers": (LINE, "    rate = {'gold': 2}[kind]\n", "gate16.special_case", Tier.APPROVAL_REQUIRED),
    "a table that is asked": (
        LINE,
        "    rate = {'gold': 2}.get(kind)\n",
        "gate16.special_case",
        Tier.APPROVAL_REQUIRED,
    ),
    "skips by another name": (
        LINE,
        "    import pytest as pt\n    pt.skip('x')\n" + LINE,
        "gate16.skips_from_inside",
        None,
    ),
    "a return that asks": (
        "rate * amount",
        "amount == 37 and 74 or rate * amount",
        "gate16.special_case",
        Tier.APPROVAL_REQUIRED,
    ),
    "a special case below nothing": (
        LINE,
        "    if -amount == -37:\n        return 74\n" + LINE,
        "gate16.special_case",
        Tier.APPROVAL_REQUIRED,
    ),
    "a special case of a display": (
        LINE,
        "    if [[kind], -amount] == [['gold'], -37]:\n        return 74\n" + LINE,
        "gate16.special_case",
        Tier.APPROVAL_REQUIRED,
    ),
    "skips by its exception": (
        LINE,
        "    import _pytest.outcomes as end\n    raise end.Skipped('x')\n",
        "gate16.skips_from_inside",
        None,
    ),
    "skips by a name that is looked up": (
        LINE,
        "    import pytest\n    vars(pytest)['sk' + 'ip']('x')\n" + LINE,
        "gate16.runner_in_program",
        Tier.APPROVAL_REQUIRED,
    ),
    "catches everything but what never comes": (
        LINE,
        HANDLER.format("Exception", "if kind is None:\n            raise\n        rate = 2"),
        "gate16.catches_everything",
        Tier.APPROVAL_REQUIRED,
    ),
    "raises in what nobody calls": (
        LINE,
        HANDLER.format("builtins.Exception", "def g():\n            raise\n        rate = 2"),
        "gate16.catches_everything",
        Tier.APPROVAL_REQUIRED,
    ),
    "a return that swallows": (
        LINE,
        "    try:\n    " + LINE + "    finally:\n        if kind:\n            return 74\n",
        "gate16.catches_everything",
        Tier.APPROVAL_REQUIRED,
    ),
    "a loop that swallows": (
        LINE,
        "    for _ in 'x':\n        try:\n        " + LINE + "        finally:\n            break\n",
        "gate16.catches_everything",
        Tier.APPROVAL_REQUIRED,
    ),
    "match": (
        LINE,
        "    match amount:\n        case 37:\n            return 2\n" + LINE,
        "gate16.special_case",
        Tier.APPROVAL_REQUIRED,
    ),
    "catches everything": (
        LINE,
        HANDLER.format("Exception", "rate = 2"),
        "gate16.catches_everything",
        Tier.APPROVAL_REQUIRED,
    ),
    "bare except": (
        LINE,
        HANDLER.replace(" {}", "", 1).format("rate = 2"),
        "gate16.catches_everything",
        Tier.APPROVAL_REQUIRED,
    ),
    "catches the assertion": (
        LINE,
        HANDLER.format("(KeyError, AssertionError)", "pass"),
        "gate16.catches_everything",
        Tier.APPROVAL_REQUIRED,
    ),
    "suppresses": (
        LINE,
        "    with contextlib.suppress(BaseException):\n    " + LINE,
        "gate16.catches_everything",
        Tier.APPROVAL_REQUIRED,
    ),
    "catches one kind": (LINE, HANDLER.format("KeyError", "rate = 2"), "gate16.catches", Tier.NOTIFY_APPLY),
    "hides what failed": (
        LINE,
        HANDLER.format("LookupError", "raise Missing(kind)"),
        "gate16.catches_what_failed",
        Tier.NOTIFY_APPLY,
    ),
    "copies": (LINE, LINE + "    amount = amount + 74\n", "gate16.literal_of_the_test", Tier.NOTIFY_APPLY),
}
FINE = {
    "another line": (LINE, "    rate = RATES.get(kind, 1)\n"),
    "raises again": (LINE, HANDLER.format("Exception", "raise ValueError(kind)")),
    "raises again on both ways": (
        LINE,
        HANDLER.format("Exception", "if kind:\n            raise\n        else:\n            raise ValueError"),
    ),
    "a finally that tidies up": (
        LINE,
        "    try:\n    " + LINE + "    finally:\n        for _ in 'x':\n            break\n",
    ),
    "a double of the library": (LINE, "    from unittest import mock\n    mock.sentinel\n" + LINE),
    "a computed comparison": (LINE, "    if amount == 2 * 38:\n        return 1\n" + LINE),
    "a literal of nobody": (LINE, "    rate = RATES[kind] + 38\n"),
    "a common literal": (LINE, "    rate = RATES[kind] or 0\n"),
    "a method of that name": (LINE, LINE + "    self.reader.skip(4)\n    self.skip(1)\n"),
}


@pytest.mark.parametrize("name", SHORTCUTS)
def test_a_way_round_the_test_is_seen(name: str) -> None:
    old, new, rule, tier = SHORTCUTS[name]
    facts = g16_tests.ChangedTestFacts(
        path="shop.py",
        before=CODE.encode(),
        after=CODE.replace(old, new).encode(),
        tests=(TEST,),
        raised=RAISED,
    )
    verdict = g16_tests.check(facts)
    assert verdict.rule == rule and verdict.evidence
    if tier is None:
        assert verdict.decision is Decision.DENY and "shop.py" in verdict.reason
    else:
        assert verdict.decision is Decision.ALLOW and verdict.floor is tier


@pytest.mark.parametrize("name", FINE)
def test_what_is_fine_is_not_raised(name: str) -> None:
    old, new = FINE[name]
    facts = g16_tests.ChangedTestFacts(
        path="shop.py",
        before=CODE.encode(),
        after=CODE.replace(old, new).encode(),
        tests=(TEST,),
        raised=RAISED,
    )
    assert g16_tests.check(facts).rule == "gate16.ok"


@given(st.sampled_from(sorted(SHORTCUTS)))
def test_what_was_there_before_is_nobodys_shortcut(name: str) -> None:
    old, new, *_ = SHORTCUTS[name]
    there = CODE.replace(old, new)
    after = there.replace("rate * amount", "rate * amount * 1")
    facts = g16_tests.ChangedTestFacts(
        path="shop.py", before=there.encode(), after=after.encode(), tests=(TEST,), raised=RAISED
    )
    serves = is_support("shop.py", there.encode(), None)
    assert g16_tests.check(facts).rule == ("gate16.support_changed" if serves else "gate16.ok")


DANGERS = {
    "eval": "x = eval(y)\n",
    "by another name": "from os import system as run\nrun('ls')\n",
    "a module by another name": "import pickle as p\np.loads(b'')\n",
    "shell": "import subprocess\nsubprocess.run('ls', shell=True)\n",
    "yaml": "import yaml\nyaml.load(y)\n",
    "no certificates": "import requests\nrequests.get(u, verify=False)\n",
    "a process": "def f():\n    import subprocess\n",
    "the network": "from urllib.request import urlopen\n",
}
HARMLESS = {
    "parsing an address": "from urllib.parse import urlsplit\n",
    "safe yaml": "import yaml\nyaml.load(y, Loader=yaml.SafeLoader)\n",
    "a method of that name": "x = model.eval()\n",
    "joined paths": "import os\nos.path.join('a', 'b')\n",
    "a regular expression": "import re\nre.compile('a')\n",
}


@pytest.mark.parametrize("name", DANGERS)
def test_new_dangers_want_a_yes(name: str) -> None:
    verdict = g17_dangerous.check(
        g17_dangerous.DangerFacts(path="a.py", before=b"import math\n", after=b"import math\n" + DANGERS[name].encode())
    )
    assert verdict.floor is Tier.APPROVAL_REQUIRED and verdict.evidence
    known = DANGERS[name].encode()
    again = g17_dangerous.check(g17_dangerous.DangerFacts(path="a.py", before=known, after=known + b"z = 1\n"))
    assert again.rule == "gate17.ok"


@pytest.mark.parametrize("name", HARMLESS)
def test_harmless_code_is_not_raised(name: str) -> None:
    facts = g17_dangerous.DangerFacts(path="a.py", before=b"", after=HARMLESS[name].encode())
    assert g17_dangerous.check(facts).rule == "gate17.ok"


def test_a_new_file_and_one_that_does_not_parse() -> None:
    made = g17_dangerous.DangerFacts(path="a.py", before=None, after=b"exec(x)\n")
    assert g17_dangerous.check(made).rule == "gate17.dangerous"
    broken = g17_dangerous.DangerFacts(path="a.py", before=b"x = 1\n", after=b"exec(\n")
    assert g17_dangerous.check(broken).rule == "gate17.ok"


def test_a_file_that_did_not_parse_before_has_nothing_to_be_compared_with() -> None:
    """Its dangers are not new because a bracket was missing; it is shown before it is applied."""
    after = b"import subprocess\ntry:\n    eval(x)\nexcept Exception:\n    pass\n"
    before = after.replace(b"eval(x)", b"eval(x")
    shown = g16_tests.check(g16_tests.ChangedTestFacts(path="a.py", before=before, after=after))
    danger = g17_dangerous.check(g17_dangerous.DangerFacts(path="a.py", before=before, after=after))
    assert [v.rule for v in (shown, danger)] == ["gate16.no_comparison", "gate17.no_comparison"]
    assert shown.floor is danger.floor is Tier.NOTIFY_APPLY


TABLE = """
STEPS = {
    'new': {'start': 'running', 'stop': 'stopped'},
    'running': {'finish': 'done'},
    'done': {},
}


def step(state, event):
    \"\"\"One step.\"\"\"
    if state not in STEPS:
        raise ValueError(state)
    return STEPS[state][event]
"""
TAKEN = {
    "entries of a table": (
        "    'running': {'finish': 'done'},\n    'done': {},\n",
        "",
        ("'done'", "'finish'", "'running'"),
    ),
    "a check": (
        "    if state not in STEPS:\n        raise ValueError(state)\n",
        "",
        ("what 2 statements did",),
    ),
    "one value": ("'finish': 'done'", "'finish': 'new'", ()),
    "values for values": ("'start': 'running', 'stop': 'stopped'", "'begin': 'done', 'end': 'new'", ()),
    "one statement": ("        raise ValueError(state)\n", "        pass\n", ()),
    "documentation": ('    """One step."""\n', "", ()),
    "more": ("'done': {},", "'done': {}, 'gone': {'back': 'new'},", ()),
}


@pytest.mark.parametrize("name", TAKEN)
def test_a_repair_that_takes_code_away_is_shown(name: str) -> None:
    old, new, gone = TAKEN[name]
    before, after = TABLE.encode(), TABLE.replace(old, new).encode()
    assert before != after
    verdict = g16_tests.check(
        g16_tests.ChangedTestFacts(path="shop.py", before=before, after=after, failing=("test_a.py",))
    )
    assert verdict.evidence == tuple(f"shop.py: {what} is gone" for what in gone)
    assert (verdict.rule, verdict.floor) == (("gate16.takes_away", Tier.NOTIFY_APPLY) if gone else ("gate16.ok", None))
    asked_for = g16_tests.check(g16_tests.ChangedTestFacts(path="shop.py", before=before, after=after))
    assert asked_for.rule == "gate16.ok", "no test fails: whoever asked for it may have code taken away"
