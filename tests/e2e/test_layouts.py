"""Projects of other shapes are repaired too: src layout, editable installs, unittest classes, parametrised tests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from governance.pipeline.ending import Ending
from ledger.vocabulary import OpOutcome
from tests.e2e.world import Infilling, config_for, ended, lived_in, own_environment
from tests.repos import commit, git, make_repo

MODULE = '''"""Money."""


def net(gross, rate):
    """Gross without the tax of ``rate`` percent."""
    tax = gross * rate // 100
    return gross - tax
'''
BROKEN = MODULE.replace("gross - tax", "gross + tax")
PLAIN_TEST = "from money.tax import net\n\n\ndef test_net():\n    assert net(200, 10) == 180\n"
IGNORE = ".venv\nvenv\n__pycache__/\n*.egg-info\n"
SRC = {
    ".gitignore": IGNORE,
    "src/money/__init__.py": "",
    "src/money/tax.py": MODULE,
    "tests/test_tax.py": PLAIN_TEST,
    "pyproject.toml": '[project]\nname = "money"\nversion = "1.0"\n',
}
FLAT = {path.removeprefix("src/"): text for path, text in SRC.items()}
FINDER = """\
import sys
from importlib.machinery import PathFinder
class Finder:
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name == "money":
            return PathFinder.find_spec(name, [{folder!r}])
def install():
    sys.meta_path.append(Finder)
"""


def gross(prefix: str, suffix: str) -> Sequence[str]:
    if prefix.endswith("return "):
        return ["gross - tax"]
    return ["return gross - tax"] if prefix.endswith("    ") else []


def path_line(repo: Path, site: Path) -> None:
    """An editable install as pip makes it for a src layout: a line in a ``.pth``, and the distribution's record."""
    (site / "_money.pth").write_text(f"{repo / 'src'}\n")
    info = site / "money-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: money\nVersion: 1.0\n")
    (info / "direct_url.json").write_text(json.dumps({"url": repo.as_uri(), "dir_info": {"editable": True}}))


def finder(repo: Path, site: Path) -> None:
    """An editable install by an import hook that names the checkout, as setuptools makes it."""
    (site / "__editable___money_finder.py").write_text(FINDER.format(folder=str(repo / "src")))
    (site / "__editable__.money-1.0.pth").write_text(
        "import __editable___money_finder; __editable___money_finder.install()\n"
    )


def nothing(repo: Path, site: Path) -> None:
    """No editable install."""


def project(
    path: Path, files: Mapping[str, str], broken: Mapping[str, str], link: Callable[[Path, Path], None]
) -> Path:
    repo = make_repo(path, files)
    link(repo, own_environment(repo))
    commit(repo, "Break it", broken)
    return repo


async def repaired(tmp_path: Path, repo: Path) -> list[Ending]:
    """Scan, and work off every signal; endings in order."""
    async with lived_in(config_for(tmp_path, repo), Infilling(gross)) as (core, senses):
        found = await senses.scan(None)
        assert found.signals, found.message
        endings = [await ended(core) for _ in found.signals]
        assert await core.router.idle()
    return endings


def assert_repaired(repo: Path, path: str) -> None:
    assert (repo / path).read_text() == MODULE
    assert git(repo, "status", "--porcelain") == ""
    assert git(repo, "log", "-1", "--format=%s", "HEAD^") == "Break it"


@pytest.mark.parametrize("link", [path_line, pytest.param(finder, marks=pytest.mark.long)])
async def test_a_src_layout_with_an_editable_install(tmp_path: Path, link: Callable[[Path, Path], None]) -> None:
    repo = project(tmp_path / "money", SRC, {"src/money/tax.py": BROKEN}, link)
    (ending,) = await repaired(tmp_path, repo)
    assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
    assert_repaired(repo, "src/money/tax.py")


async def test_unittest_classes(tmp_path: Path) -> None:
    test = (
        "import unittest\n\nfrom money.tax import net\n\n\nclass TaxTest(unittest.TestCase):\n"
        "    def setUp(self):\n        self.rate = 10\n\n"
        "    def test_net(self):\n        self.assertEqual(net(200, self.rate), 180)\n\n"
        "    def test_free(self):\n        self.assertEqual(net(200, 0), 200)\n"
    )
    repo = project(tmp_path / "money", {**FLAT, "tests/test_tax.py": test}, {"money/tax.py": BROKEN}, nothing)
    (ending,) = await repaired(tmp_path, repo)
    assert ending.op.test_ids == ("tests/test_tax.py::TaxTest::test_net",)
    assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
    assert_repaired(repo, "money/tax.py")


async def test_parametrised_ids_with_odd_names(tmp_path: Path) -> None:
    test = (
        "import pytest\n\nfrom money.tax import net\n\n\n"
        "@pytest.mark.parametrize(\n"
        "    ('gross', 'rate', 'left'),\n"
        "    [(200, 10, 180), (50, 0, 50), (100, 20, 80)],\n"
        "    ids=['a::b [x] / y', 'no tax', 'zwölf \\u20ac'],\n)\n"
        "def test_net(gross, rate, left):\n    assert net(gross, rate) == left\n"
    )
    repo = project(tmp_path / "money", {**FLAT, "tests/test_tax.py": test}, {"money/tax.py": BROKEN}, nothing)
    (ending,) = await repaired(tmp_path, repo)
    assert len(ending.op.test_ids) == 2, ending.op.test_ids
    assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
    assert_repaired(repo, "money/tax.py")


async def test_one_bug_under_several_failing_tests_is_one_commit(tmp_path: Path) -> None:
    other = "from money.tax import net\n\n\ndef test_pay():\n    assert net(100, 50) == 50\n"
    kind = "from money.tax import net\n\n\ndef test_kind():\n    if net(9, 50) > 9:\n        raise ValueError('much')\n"
    tests = {"tests/test_pay.py": other, "tests/test_kind.py": kind}
    repo = project(tmp_path / "money", {**FLAT, **tests}, {"money/tax.py": BROKEN}, nothing)
    endings = await repaired(tmp_path, repo)
    assert len(endings) == 3
    assert [e.state for e in endings] == [OpOutcome.COMPLETE, OpOutcome.NOOP, OpOutcome.NOOP], [
        e.reason for e in endings
    ]
    assert_repaired(repo, "money/tax.py")
