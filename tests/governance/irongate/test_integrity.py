"""Gate 16: every way to make a test prove less that we know of, and the ways to add tests that are fine."""

from __future__ import annotations

import pytest

from governance.irongate.candidate import g16_tests
from governance.irongate.paths import is_runner_file, is_test_path
from governance.irongate.test_code.diff import find_weakened
from ledger.vocabulary import Decision, Tier

HEAD = "import math\nimport unittest\n\nimport pytest\n\nfrom calc import add\n\nLIMIT = 3\n\n\n"
FIXTURE = "@pytest.fixture\ndef two():\n    return 2\n\n\n"
HELPER = "def check(value):\n    assert value == LIMIT\n\n\n"
TEST = (
    "def test_add(two):\n    result = add(1, two)\n    assert result == 3\n"
    "    assert math.isclose(result, 3.0, rel_tol=1e-9)\n\n\n"
)
RAISES = "def test_raises():\n    with pytest.raises(ValueError):\n        add('a', 1)\n\n\n"
TABLE = "@pytest.mark.parametrize('n', [1, 2, 3])\ndef test_table(n):\n    assert add(n, 0) == n\n\n\n"
CLASS = (
    "class TestCalc(unittest.TestCase):\n    def setUp(self):\n        self.two = 2\n\n"
    "    def test_x(self):\n        self.assertEqual(add(1, self.two), 3)\n"
)
MODULE = HEAD + FIXTURE + HELPER + TEST + RAISES + TABLE + CLASS

WEAKER = {
    "assertion removed": ("    assert result == 3\n", ""),
    "literal changed": ("result == 3\n", "result == 4\n"),
    "assert True": ("assert result == 3", "assert True"),
    "comparison loosened": ("result == 3", "result >= 3"),
    "tolerance widened": ("rel_tol=1e-9", "rel_tol=1.0"),
    "or added": ("assert result == 3", "assert result == 3 or True"),
    "skip mark": ("def test_add", "@pytest.mark.skip\ndef test_add"),
    "xfail mark": ("def test_add", "@pytest.mark.xfail(strict=False)\ndef test_add"),
    "skip call": ("    result = add(1, two)\n", "    pytest.skip('flaky')\n    result = add(1, two)\n"),
    "early return": ("    result = add(1, two)\n", "    result = add(1, two)\n    return\n"),
    "result replaced": ("    assert result == 3\n", "    result = 3\n    assert result == 3\n"),
    "walrus": ("    assert result == 3\n", "    assert (result := 3)\n    assert result == 3\n"),
    "set-up changed": ("add(1, two)", "3"),
    "try around": (
        "    assert result == 3\n",
        "    try:\n        assert result == 3\n    except AssertionError:\n        pass\n",
    ),
    "broader exception": ("pytest.raises(ValueError)", "pytest.raises(Exception)"),
    "raises emptied": ("        add('a', 1)\n", "        raise ValueError\n"),
    "parameters dropped": ("[1, 2, 3]", "[1]"),
    "test deleted": (TABLE, ""),
    "test renamed away": ("def test_table", "def table"),
    "test shadowed": (CLASS, "def test_add():\n    pass\n\n\n" + CLASS),
    "class shadowed": (CLASS, CLASS + "\n\nclass TestCalc:\n    pass\n"),
    "import shadowed": ("LIMIT = 3\n", "LIMIT = 3\nfrom fake import add\n"),
    "import replaced": ("from calc import add", "from fake import add"),
    "fixture changed": ("    return 2\n", "    return 3\n"),
    "helper changed": ("    assert value == LIMIT\n", "    assert value\n"),
    "constant changed": ("LIMIT = 3", "LIMIT = 4"),
    "module mark": ("LIMIT = 3\n", "LIMIT = 3\npytestmark = pytest.mark.skip\n"),
    "code at import": ("LIMIT = 3\n", "LIMIT = 3\npytest.skip('x', allow_module_level=True)\n"),
    "patched at import": ("LIMIT = 3\n", "LIMIT = 3\nadd.__code__ = (lambda a, b: 3).__code__\n"),
    "new hook": (CLASS, "def pytest_runtest_call(item):\n    pass\n\n\n" + CLASS),
    "autouse fixture": (CLASS, "@pytest.fixture(autouse=True)\ndef quiet(monkeypatch):\n    pass\n\n\n" + CLASS),
    "class skipped": ("class TestCalc", "@unittest.skip('x')\nclass TestCalc"),
    "class base": ("(unittest.TestCase)", "(object)"),
    "setUp changed": ("self.two = 2", "self.two = 2\n        self.skipTest('x')"),
    "unittest literal": ("self.two), 3)", "self.two), 4)"),
    "made async": ("def test_add", "async def test_add"),
    "patch at import": (CLASS, "FAKE = setattr(math, 'isclose', lambda *a, **k: True)\n\n\n" + CLASS),
    "patching test": (FIXTURE, "def test_aaa():\n    import calc\n    calc.add = lambda a, b: 3\n\n\n" + FIXTURE),
    "patching by alias": (
        FIXTURE,
        "def test_aaa():\n    m = math\n    m.isclose = lambda *a, **k: True\n\n\n" + FIXTURE,
    ),
    "patching helper": (FIXTURE, "def helper():\n    math.__dict__['isclose'] = all\n\n\n" + FIXTURE),
    "patching class body": (FIXTURE, "class Quiet:\n    math.isclose = all\n\n\n" + FIXTURE),
    "patching assertion": (
        "    assert result == 3\n",
        "    assert setattr(math, 'isclose', all) is None\n    assert result == 3\n",
    ),
    "patch left on": (FIXTURE, "def test_aaa():\n    patch('calc.add', return_value=3).start()\n\n\n" + FIXTURE),
    "global": (FIXTURE, "def test_aaa():\n    global add\n    add = max\n\n\n" + FIXTURE),
    "torn": (CLASS, "class TestCalc(\n"),
    "set-up by name": (CLASS, "def setup_module(module):\n    module.add = lambda a, b: 3\n\n\n" + CLASS),
    "set-up that only prepares": (CLASS, "def setup_function():\n    add.__defaults__\n\n\n" + CLASS),
    "set-up of unittest": (CLASS, "def setUpModule():\n    math.seed()\n\n\n" + CLASS),
    "set-up, imported": ("import math\n", "import math\nfrom helpers import prepare as setup_module\n"),
    "star import": ("import math\n", "import math\nfrom helpers import *\n"),
    "loader": (CLASS, "def load_tests(*_):\n    return unittest.TestSuite()\n\n\n" + CLASS),
    "module attributes": (CLASS, "def __getattr__(name):\n    return 3\n\n\n" + CLASS),
    "method set-up": (CLASS, CLASS + "\n    def setup_method(self, method, m=add):\n        m.x = 3\n"),
    "class set-up": (CLASS, CLASS + "\n    @classmethod\n    def setUpClass(cls):\n        cls.two = 3\n"),
    "tear-down": (CLASS, CLASS + "\n    def tearDown(self):\n        self.two = 3\n"),
    "inherited assertion": (CLASS, CLASS + "\n    def assertEqual(self, a, b):\n        self.assertIsNotNone(a)\n"),
    "inherited attribute": (CLASS, CLASS + "\n    failureException = KeyError\n"),
    "inherited run": (CLASS, CLASS + "\n    def run(self, result=None):\n        return result\n"),
    "name of a fixture": (CLASS, "@pytest.fixture\ndef monkeypatch():\n    return None\n\n\n" + CLASS),
    "fixture by assignment": (CLASS, "app = pytest.fixture(lambda: 3)\n\n\n" + CLASS),
    "argument changed": (CLASS, "def helper(m):\n    m.add = max\n\n\n" + CLASS),
    "fixture changed by a test": (CLASS, "def test_new(config):\n    config.debug = True\n\n\n" + CLASS),
    "with as": (CLASS, "def test_new(c):\n    with c as m:\n        m.add = max\n\n\n" + CLASS),
    "either of two": (CLASS, "def test_new():\n    m = math or 1\n    m.sqrt = max\n\n\n" + CLASS),
    "call in a constant": ("LIMIT = 3\n", "LIMIT = 3\nMORE = add.patch()\n"),
    "call in a decorator": (CLASS, "@add.patched(3)\ndef test_new():\n    pass\n\n\n" + CLASS),
    "call in a default": (CLASS, "def test_new(n=add.patched()):\n    pass\n\n\n" + CLASS),
    "call in a class": (CLASS, "class TestNew:\n    n = add.patched()\n\n\n" + CLASS),
    "call in bases": (CLASS, "class TestNew(add.patched()):\n    pass\n\n\n" + CLASS),
    "statement in a class": (CLASS, "class TestNew:\n    add.patched()\n\n\n" + CLASS),
    "assertion takes": ("    assert result == 3\n", "    assert result.pop() != 3\n    assert result == 3\n"),
    "assertion patches": (
        "    assert result == 3\n",
        "    assert monkeypatch.setattr(math, 'pi', 3) is None\n    assert result == 3\n",
    ),
    "assertion uses up": ("    assert result == 3\n", "    assert list(result) != [3]\n    assert result == 3\n"),
    "assertion goes through": ("    assert result == 3\n", "    assert 4 not in result\n    assert result == 3\n"),
    "assertion hands over": ("    assert result == 3\n", "    assert fill(result) is None\n    assert result == 3\n"),
    "assertion makes an entry": ("    assert result == 3\n", "    assert result['a'] == 0\n    assert result == 3\n"),
    "assertion of unittest calls": (
        "        self.assertEqual(add",
        "        self.assertRaises(ValueError, self.two.clear)\n        self.assertEqual(add",
    ),
    "somebody else's assertion": (
        "        self.assertEqual(add",
        "        add.assert_patched(3)\n        self.assertEqual(add",
    ),
    "last assertion patches": (
        "rel_tol=1e-9)\n",
        "rel_tol=1e-9)\n    assert two.setattr(math, 'pi', 3) is None\n",
    ),
}

FINE = {
    "nothing": ("LIMIT", "LIMIT"),
    "comment": ("LIMIT = 3\n", "LIMIT = 3  # inclusive\n"),
    "docstring": ("    result = add(1, two)\n", '    """Adds."""\n    result = add(1, two)\n'),
    "new test": (CLASS, "def test_more():\n    assert add(2, 2) == 4\n\n\n" + CLASS),
    "new test method": (CLASS, CLASS + "\n    def test_y(self):\n        self.assertEqual(add(0, 0), 0)\n"),
    "new assertion": ("    assert result == 3\n", "    assert result == 3\n    assert result > 0\n"),
    "new unittest assertion": (
        "        self.assertEqual(add",
        "        self.assertTrue(add(1, 1))\n        self.assertEqual(add",
    ),
    "new import": ("import math\n", "import math\nimport os\n"),
    "new constant": ("LIMIT = 3\n", "LIMIT = 3\nMORE = 4\n"),
    "new test that builds": (
        CLASS,
        "def test_built(monkeypatch):\n    table = {}\n    table['a'] = add(1, 1)\n"
        "    monkeypatch.setattr(math, 'pi', 3)\n    assert table == {'a': 2}\n\n\n" + CLASS,
    ),
    "main guard": (CLASS, CLASS + "\n\nif __name__ == '__main__':\n    unittest.main()\n"),
    "new helper": (CLASS, "def helper():\n    return 1\n\n\n" + CLASS),
    "new class with a set-up": (
        CLASS,
        "class TestMore(unittest.TestCase):\n    def setUp(self):\n        self.n = 1\n\n"
        "    def test_n(self):\n        self.assertEqual(add(self.n, 0), 1)\n\n\n" + CLASS,
    ),
    "new constant that is made": ("LIMIT = 3\n", "LIMIT = 3\nHERE = Path(__file__).parent / 'data'\n"),
    "new table": (CLASS, "@pytest.mark.parametrize('n', [4])\ndef test_four(n):\n    assert n\n\n\n" + CLASS),
    "new assertion at the end": (
        "rel_tol=1e-9)\n",
        "rel_tol=1e-9)\n    assert sorted([result]) == [3]\n    assert result.real == abs(result)\n",
    ),
    "new assertion at the end, by a module": ("rel_tol=1e-9)\n", "rel_tol=1e-9)\n    assert math.isclose(result, 3)\n"),
    "new assertion with a method": ("rel_tol=1e-9)\n", "rel_tol=1e-9)\n    assert result.bit_length() == 2\n"),
}


def changed(pair: tuple[str, str]) -> bytes:
    assert pair[0] in MODULE
    return MODULE.replace(*pair, 1).encode()


@pytest.mark.parametrize("name", WEAKER)
def test_what_may_prove_less(name: str) -> None:
    after = changed(WEAKER[name])
    assert find_weakened(MODULE.encode(), after)
    other = g16_tests.check(g16_tests.ChangedTestFacts(path="tests/test_calc.py", before=MODULE.encode(), after=after))
    assert (other.decision, other.floor) == (Decision.ALLOW, Tier.APPROVAL_REQUIRED)
    own = g16_tests.check(
        g16_tests.ChangedTestFacts(
            path="tests/test_calc.py", before=MODULE.encode(), after=after, failing=("tests/test_calc.py",)
        )
    )
    assert (own.decision, own.rule) == (Decision.DENY, "gate16.failing_test_weakened")


@pytest.mark.parametrize("name", FINE)
def test_what_only_adds_is_not_refused_and_waits_for_a_person(name: str) -> None:
    after = changed(FINE[name])
    assert find_weakened(MODULE.encode(), after) == ()
    for failing in ((), ("tests/test_calc.py",)):
        facts = g16_tests.ChangedTestFacts(
            path="tests/test_calc.py", before=MODULE.encode(), after=after, failing=failing
        )
        verdict = g16_tests.check(facts)
        wanted = None if after == MODULE.encode() else Tier.APPROVAL_REQUIRED
        assert (verdict.decision, verdict.floor) == (Decision.ALLOW, wanted)


SHADOWED = "from calc import add\n\n\ndef test_add():\n    assert add(sum([1]), 2) == 3\n"


@pytest.mark.parametrize(
    "more",
    ["def sum(_):\n    return 1\n", "sum = max\n", "from helpers import sum\n", "class sum:\n    pass\n"],
)
def test_a_new_name_takes_no_place_of_one_that_is_used(more: str) -> None:
    assert find_weakened(SHADOWED.encode(), f"{SHADOWED}\n\n{more}".encode())
    assert not find_weakened(b"", f"{more}\n\n{SHADOWED}".encode())  # all tests in a new file are its own


def test_a_class_whose_bases_are_elsewhere_takes_no_test_more() -> None:
    old = "class TestAdd(Base):\n    def test_own(self):\n        assert self.one == 1\n"
    assert find_weakened(old.encode(), f"{old}\n    def test_add(self):\n        pass\n".encode())


SERVES = {
    "fixture": ("support.py", "import pytest\n\n\n@pytest.fixture\ndef numbers():\n    return (20, 33, 53)\n"),
    "fixture by another name": ("support.py", "from lib import fixture\n\n\n@fixture\ndef numbers():\n    return 53\n"),
    "hook": ("plug.py", "def pytest_generate_tests(metafunc):\n    return 53\n"),
    "case": ("cases.py", "import unittest as u\n\n\nclass Base(u.TestCase):\n    wanted = 53\n"),
    "strategies": ("many.py", "def numbers():\n    import hypothesis.strategies as st\n    return st.just(53)\n"),
    "runner of a framework": ("web.py", "from django.test import Client\n\nWANTED = 53\n"),
    "does not parse": ("support.py", "import pytest\n\ndef numbers(:\n    return 53\n"),
    "folder": ("shop/testing/tools.py", "def wanted():\n    return 53\n"),
    "folder of fixtures": ("fixtures/numbers.py", "def wanted():\n    return 53\n"),
    "folder of test data": ("test_data/numbers.py", "def wanted():\n    return 53\n"),
    "capitals": ("Tests/numbers.py", "def wanted():\n    return 53\n"),
}


@pytest.mark.parametrize("name", SERVES)
def test_a_source_that_serves_tests_waits_for_a_person(name: str) -> None:
    path, text = SERVES[name]
    facts = g16_tests.ChangedTestFacts(path=path, before=text.encode(), after=text.replace("53", "0").encode())
    assert g16_tests.check(facts).floor == Tier.APPROVAL_REQUIRED


@pytest.mark.parametrize("path", ["calc.py", "contest/calc.py", "latest/calc.py", "attestation/calc.py"])
def test_a_program_does_not(path: str) -> None:
    facts = g16_tests.ChangedTestFacts(path=path, before=b"def a():\n    return 1\n", after=b"def a():\n    return 2\n")
    assert g16_tests.check(facts).floor is None


def test_a_failing_test_of_any_name_waits_for_a_person() -> None:
    facts = g16_tests.ChangedTestFacts(
        path="checks/adds.py",
        before=SHADOWED.encode(),
        after=f"{SHADOWED}    assert add(0, 0) == 0\n".encode(),
        failing=("checks/adds.py",),
    )
    assert g16_tests.check(facts).floor == Tier.APPROVAL_REQUIRED


@pytest.mark.parametrize(
    ("path", "before", "after", "floor"),
    [
        ("tests/conftest.py", b"x = 1\n", b"x = 1\n\ndef pytest_collection_modifyitems(items): items.clear()\n", 2),
        ("src/conftest.py", None, b"", 2),
        ("pytest.ini", None, b"[pytest]\naddopts = -k nothing\n", 2),
        ("setup.cfg", b"[metadata]\nname = a\n", b"[metadata]\nname = b\n", None),
        ("setup.cfg", b"[tool:pytest]\naddopts = -q\n", b"[tool:pytest]\naddopts = -k x\n", 2),
        ("tox.ini", b"[testenv]\ncommands = pytest\n", b"[testenv]\ncommands = true\n", 2),
        ("pyproject.toml", b"[tool.pytest.ini_options]\ntestpaths = ['t']\n", b"", 2),
        ("pyproject.toml", b"[tool.black]\nline-length = 80\n", b"[tool.black]\nline-length = 90\n", None),
        ("pyproject.toml", b"", b"not toml [", 2),
        ("pytest.py", None, b"def main(): return 0\n", 2),
        ("tests/data/expected.json", b"{}", b"[]", 2),
        ("tests/data/expected.json", b"{}", None, 2),
        ("tests/data/new.json", None, b"[]", 1),
        ("tests/test_old.py", MODULE.encode(), None, 2),
        ("tests/test_new.py", None, MODULE.encode(), 1),
        ("tests/test_new.py", None, b"import calc\n\ncalc.add = max\n", 2),
        ("tests/calc.py", None, b"def add(a, b): return a + b\n", 2),
        ("tests/unit/__init__.py", None, b"", 2),
        ("src/calc.py", b"x = 1\n", b"x = 2\n", None),
    ],
)
def test_floors(path: str, before: bytes | None, after: bytes | None, floor: int | None) -> None:
    verdict = g16_tests.check(g16_tests.ChangedTestFacts(path=path, before=before, after=after))
    assert (verdict.decision, verdict.floor) == (Decision.ALLOW, None if floor is None else Tier(floor))


@pytest.mark.parametrize(
    ("path", "is_test"),
    [
        ("tests/test_a.py", True),
        ("test_a.py", True),
        ("pkg/a_test.py", True),
        ("pkg/conftest.py", True),
        ("pkg/tests.py", True),
        ("tests/data/x.json", True),
        ("web/a.spec.ts", True),
        ("cmd/a_test.go", True),
        ("src/testing/run.py", False),
        ("src/contest.py", False),
        ("latest/a.py", False),
        ("src/test.toml", False),
    ],
)
def test_paths_of_tests(path: str, is_test: bool) -> None:
    assert is_test_path(path) is is_test


def test_modules_that_would_take_the_runners_place() -> None:
    assert is_runner_file("sitecustomize.py")
    assert is_runner_file("_pytest/__init__.py")
    assert not is_runner_file("src/pytest_helper.py")
