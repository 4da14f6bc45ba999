"""The walkthrough of the documentation: every function that it names runs when a failing test is repaired."""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ledger.vocabulary import OpOutcome
from tests.e2e.serving import served
from tests.e2e.test_repair import minus
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, repo_with
from tests.repos import commit, git

ROOT = Path(__file__).resolve().parents[2]
ROW = re.compile(r"^\| `(?P<file>[\w/]+\.py)` \| (?P<functions>`[^|]+`) \|", re.MULTILINE)
MOST_MODULES = 80


def steps() -> dict[str, set[str]]:
    """Functions that the page names, by file."""
    named: dict[str, set[str]] = {}
    for row in ROW.finditer((ROOT / "docs/walkthrough.md").read_text(encoding="utf-8")):
        named.setdefault(row["file"], set()).update(re.findall(r"`([\w.]+)`", row["functions"]))
    return named


@contextmanager
def calls_recorded(files: set[str]) -> Iterator[set[tuple[str, str]]]:
    """File and qualified name of every function of ``files`` that is called, in any thread."""
    paths = {str(ROOT / file): file for file in files}
    called: set[tuple[str, str]] = set()

    def note(frame: FrameType, event: str, arg: object) -> None:
        if event == "call" and (file := paths.get(frame.f_code.co_filename)) is not None:
            called.add((file, frame.f_code.co_qualname))

    before = sys.getprofile(), threading.getprofile()
    threading.setprofile(note)
    sys.setprofile(note)
    try:
        yield called
    finally:
        sys.setprofile(before[0])
        threading.setprofile(before[1])  # type: ignore[arg-type]


async def test_every_step_is_taken(tmp_path: Path) -> None:
    named = steps()
    assert 40 < len(named) <= MOST_MODULES, "the main line is meant to be followed by a person"
    repo = repo_with(tmp_path / "shop", SHOP)
    config = config_for(tmp_path, repo)
    with calls_recorded(set(named)) as called:
        async with served(config, Infilling(minus), watch=True) as (service, _):
            broken = await asyncio.to_thread(commit, repo, "Speed up totals", {"shop/cart.py": PLUS})
            ending = await ended(service.core)
            assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
    assert git(repo, "rev-parse", "HEAD^") == broken
    missing = {f"{file} {name}" for file, names in named.items() for name in names if (file, name) not in called}
    assert not missing
