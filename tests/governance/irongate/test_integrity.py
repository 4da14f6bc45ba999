"""Gate 16: every way to make a test prove less that we know of, and the ways to add tests that are fine."""

from __future__ import annotations

import pytest

from governance.irongate import g16_tests
from governance.irongate.paths import is_runner_file, is_test_path
from governance.irongate.testdiff import weakened
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
        "def test_built(monkeypatch, config):\n    table = {}\n    table['a'] = add(1, 1)\n    config.debug = True\n"
        "    monkeypatch.setattr(math, 'pi', 3)\n    assert table == {'a': 2}\n\n\n" + CLASS,
    ),
    "main guard": (CLASS, CLASS + "\n\nif __name__ == '__main__':\n    unittest.main()\n"),
    "new helper": (CLASS, "def helper():\n    return 1\n\n\n" + CLASS),
}


def changed(pair: tuple[str, str]) -> bytes:
    assert pair[0] in MODULE
    return MODULE.replace(*pair, 1).encode()


@pytest.mark.parametrize("name", WEAKER)
def test_what_may_prove_less(name: str) -> None:
    after = changed(WEAKER[name])
    assert weakened(MODULE.encode(), after)
    other = g16_tests.check(g16_tests.Facts(path="tests/test_calc.py", before=MODULE.encode(), after=after))
    assert (other.decision, other.floor) == (Decision.ALLOW, Tier.APPROVAL_REQUIRED)
    own = g16_tests.check(
        g16_tests.Facts(
            path="tests/test_calc.py", before=MODULE.encode(), after=after, failing=("tests/test_calc.py",)
        )
    )  # fmt: skip
    assert (own.decision, own.rule) == (Decision.DENY, "gate16.failing_test_weakened")


@pytest.mark.parametrize("name", FINE)
def test_what_only_adds(name: str) -> None:
    assert weakened(MODULE.encode(), changed(FINE[name])) == ()


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
        ("tests/unit/__init__.py", None, b"", 1),
        ("src/calc.py", b"x = 1\n", b"x = 2\n", None),
    ],
)  # fmt: skip
def test_floors(path: str, before: bytes | None, after: bytes | None, floor: int | None) -> None:
    verdict = g16_tests.check(g16_tests.Facts(path=path, before=before, after=after))
    assert (verdict.decision, verdict.floor) == (Decision.ALLOW, None if floor is None else Tier(floor))


@pytest.mark.parametrize(
    ("path", "is_test"),
    [
        ("tests/test_a.py", True), ("test_a.py", True), ("pkg/a_test.py", True), ("pkg/conftest.py", True),
        ("pkg/tests.py", True), ("tests/data/x.json", True), ("web/a.spec.ts", True), ("cmd/a_test.go", True),
        ("src/testing/run.py", False), ("src/contest.py", False), ("latest/a.py", False), ("src/test.toml", False),
    ],
)  # fmt: skip
def test_paths_of_tests(path: str, is_test: bool) -> None:
    assert is_test_path(path) is is_test


def test_modules_that_would_take_the_runners_place() -> None:
    assert is_runner_file("sitecustomize.py")
    assert is_runner_file("_pytest/__init__.py")
    assert not is_runner_file("src/pytest_helper.py")
