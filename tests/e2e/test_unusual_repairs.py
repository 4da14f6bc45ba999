"""Breaks of everyday work that no line of the program shows: a name that moved, an example in a docstring, a table."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.pipeline.ending import Ending
from ledger.vocabulary import OpOutcome, Phase, RootCause
from sensors.requests.manual import manual_signal
from tests.e2e.serving import served
from tests.e2e.world import Infilling, config_for, ended, repo_with
from tests.repos import commit, git

CORE, MAIN = (
    "def load(path):\n    return path.upper()\n",
    "from core import load\n\n\ndef main(path):\n    return load(path)\n",
)
USED = {
    "core.py": CORE,
    "app.py": MAIN,
    "test_app.py": "from app import main\n\n\ndef test_main():\n    assert main('a') == 'A'\n",
}
DOC = '''def slug(text):
    """A slug.

    >>> slug("Hello World")
    'hello-world'
    """
    return "-".join(text.lower().split())
'''
STEPS = """STEPS = {
    'new': {'start': 'running', 'stop': 'stopped'},
    'running': {'finish': 'done', 'stop': 'stopped'},
    'done': {},
}


def step(state, event):
    return STEPS[state][event]


def events(state):
    return sorted(STEPS[state])


def states():
    return sorted(STEPS)


def is_end(state):
    return not STEPS[state]
"""
TABLE = {
    "steps.py": STEPS,
    "test_steps.py": """from steps import step


def test_start():
    assert step('new', 'start') == 'running'


def test_stop():
    assert step('running', 'stop') == 'stopped'
""",
}


Files = dict[str, str | bytes]


async def broken(
    tmp_path: Path, files: Files, change: Files, test: str, *lines: str, in_place_of: str = ""
) -> tuple[Ending, str]:
    """How the repair of a change ended, and why it was shown; the model says ``lines`` (in the hole that
    ``in_place_of`` stood in, where it is given)."""

    def answers(prefix: str, suffix: str) -> tuple[str, ...]:
        is_there = in_place_of not in prefix + suffix and suffix.strip().startswith("def")
        return lines if not in_place_of or is_there else ()

    repo = repo_with(tmp_path / "shop", {p: t for p, t in files.items() if isinstance(t, str)})
    for content in (files, change):
        raw = {path: data for path, data in content.items() if isinstance(data, bytes)}
        for path, data in raw.items():
            (repo / path).write_bytes(data)
            git(repo, "add", path)
        commit(repo, "Work", {p: t for p, t in content.items() if isinstance(t, str)} | {"note.txt": f"{raw}"})
    async with served(config_for(tmp_path, repo), Infilling(answers)) as (service, _):
        base = git(repo, "rev-parse", "HEAD")
        signal = manual_signal("Mend it", closed_when=[test], base=base, clock=service.clock)
        await service.core.router.submit(signal)
        ending = await ended(service.core)
        assigned = await service.entries(ending.op.id, "tier.assigned")
    return ending, str([entry.payload["reasons"] for entry in assigned])


async def test_the_use_of_what_was_renamed_is_mended_and_the_new_name_stays(tmp_path: Path) -> None:
    renamed = CORE.replace("load", "load_file")
    ending, why = await broken(tmp_path, {**USED}, {"core.py": renamed}, "test_app.py")
    assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason, why)
    assert (tmp_path / "shop/app.py").read_text() == MAIN.replace("load\n", "load_file as load\n", 1)
    assert (tmp_path / "shop/core.py").read_text() == renamed


async def test_a_doctest_is_repaired_in_its_own_file(tmp_path: Path) -> None:
    files = {"slugs.py": DOC, "pytest.ini": "[pytest]\naddopts = --doctest-modules\n"}
    change = {"slugs.py": DOC.replace("text.lower()", "text")}
    line = 'return "-".join(text.lower().split())'
    ending, why = await broken(tmp_path, {**files}, {**change}, "slugs.py::slugs.slug", line)
    assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason, why)
    assert (tmp_path / "shop/slugs.py").read_text() == DOC


async def test_a_table_that_loses_entries_waits_and_says_which(tmp_path: Path) -> None:
    change = {"steps.py": STEPS.replace("{'finish': 'done', 'stop': 'stopped'}", "{'finish': 'done'}")}
    short = "STEPS = {'new': {'start': 'running'}, 'running': {'stop': 'stopped'}}"
    ending, why = await broken(
        tmp_path, {**TABLE}, {**change}, "test_steps.py::test_stop", short, in_place_of="STEPS ="
    )
    assert ending.state is Phase.APPROVE, (ending.cause, ending.reason, why)
    assert "gate20.outside: steps.py: takes" in why and "'finish' out of STEPS" in why


@pytest.mark.parametrize("newline", [b"\n", b"\r"])
async def test_a_file_that_is_left_alone_is_named(tmp_path: Path, newline: bytes) -> None:
    text = "# -*- coding: latin-1 -*-\n# gr\xf6\xdfer\ndef add(a, b):\n    return a + b\n".encode("latin-1")
    test = {"test_sums.py": "from sums import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n"}
    text = text.replace(b"gr\xf6\xdfer", b"a" + newline + b"# b") if newline == b"\r" else text
    ending, _ = await broken(
        tmp_path, {**test, "sums.py": text}, {"sums.py": text.replace(b"a + b", b"a - b")}, "test_sums.py::test_add"
    )
    assert ending.cause is RootCause.NO_CANDIDATE
    assert "left alone: sums.py" in ending.reason
