"""A test file that cannot be collected has no test ids: repaired is what collects it, with all of its tests passing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.vocabulary import OpOutcome
from tests.e2e.serving import served
from tests.e2e.world import Infilling, config_for, ended, repo_with
from tests.repos import commit, git

WORDS = "text/words.py"
TEST = "tests/test_words.py"
GOOD = (
    "from datetime import date\n\n\ndef longest(words):\n    return max(words, key=len)\n\n\n"
    "def year(day):\n    return date.fromisoformat(day).year\n"
)
PROSE = {
    "text/__init__.py": "",
    WORDS: GOOD,
    TEST: (
        "from text.words import longest, year\n\n\ndef test_longest():\n    assert longest(['a', 'bcd']) == 'bcd'\n\n\n"
        "def test_year():\n    assert year('2024-05-01') == 2024\n"
    ),
    "tests/test_other.py": "def test_other():\n    assert True\n",
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
}
BROKEN = {
    "a syntax error": (GOOD.replace("return max(words, key=len)", "return max(words, key=len"),
                       "return max(words, key=len)"),
    "a wrong name": (GOOD.replace("import date\n", "import dat\n"), "from datetime import date"),
    "a wrong module": (GOOD.replace("from datetime", "from datetimes"), "from datetime import date"),
}  # fmt: skip


def line(text: str) -> Infilling:
    """A model that says one thing at the beginning of every line, and nothing elsewhere."""
    return Infilling(lambda prefix, _: [text] if not prefix.rpartition("\n")[2].strip() else [])


@pytest.mark.parametrize("what", BROKEN)
async def test_what_a_test_file_imports_is_repaired(tmp_path: Path, what: str) -> None:
    repo = repo_with(tmp_path / "prose", PROSE)
    source, right = BROKEN[what]
    broken = commit(repo, "Tidy up words", {WORDS: source})
    async with served(config_for(tmp_path, repo), line(right)) as (service, _):
        assert len((await service.sensors.scan(None)).signals) == 1
        ending = await ended(service.core)
        told = await service.told(ending.op.id)
        assert ending.op.test_ids == (TEST,)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason, told)
        assert not await service.entries(ending.op.id, "change.rolling_back")
        assert "closure: the signal is gone" in told
    assert git(repo, "rev-parse", "HEAD^") == broken
    assert (repo / WORDS).read_text() == GOOD
    message = git(repo, "log", "-1", "--format=%B")
    assert f"{TEST} is collected and 2 of its tests pass" in " ".join(message.split())
    assert "Ouro-Verified: 3/3 tests" in message


async def test_a_conftest_that_cannot_be_imported_is_repaired_with_its_folder(tmp_path: Path) -> None:
    conftest = {"tests/conftest.py": "import text.words\n"}
    repo = repo_with(tmp_path / "prose", {**PROSE, **conftest})
    source, right = BROKEN["a wrong name"]
    commit(repo, "Tidy up words", {WORDS: source})
    async with served(config_for(tmp_path, repo), line(right)) as (service, _):
        assert len((await service.sensors.scan(None)).signals) == 1
        ending = await ended(service.core)
        assert ending.op.test_ids == ("tests/conftest.py",)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason, await service.told(ending.op.id))
    assert (repo / WORDS).read_text() == GOOD


async def test_a_file_that_is_collected_with_a_red_test_is_not_closed(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "prose", PROSE)
    source, right = BROKEN["a wrong name"]
    worse = source.replace("max(words", "min(words")
    head = commit(repo, "Tidy up words", {WORDS: worse})
    async with served(config_for(tmp_path, repo), line(right)) as (service, _):
        assert len((await service.sensors.scan(None)).signals) == 1
        ending = await ended(service.core)
        assert ending.state is OpOutcome.POSTMORTEM, (ending.cause, ending.reason)
        assert f"none turned {TEST} green" in ending.reason
        assert "; tried were " in ending.reason and f" at {WORDS}:" in ending.reason
    assert git(repo, "rev-parse", "HEAD") == head
    assert (repo / WORDS).read_text() == worse


async def test_what_was_repaired_meanwhile_is_no_missing_test(tmp_path: Path) -> None:
    """The op's file has tests of its own by now: that is an end without work, not an unknown test."""
    repo = repo_with(tmp_path / "prose", PROSE)
    source, right = BROKEN["a wrong name"]
    commit(repo, "Tidy up words", {WORDS: source})
    async with served(config_for(tmp_path, repo), line(right)) as (service, _):
        service.core.router.pause()
        await service.sensors.scan(None)
        other = {"tests/test_other.py": "def test_other():\n    assert False\n"}
        commit(repo, "Repair it by hand, and break another", {WORDS: GOOD, **other})
        service.core.router.resume()
        ending = await ended(service.core)
        assert ending.state is OpOutcome.NOOP, (ending.cause, ending.reason)
        told = await service.told(ending.op.id)
        assert "why: the test is green at this commit: nothing to repair" in told
        looks = await service.entries(ending.op.id, "reproduced")
        assert [look.payload["total"] for look in looks] == [2]  # its own tests, not the whole suite
        assert "tests failed" not in told
