"""The whole corpus against the real daemon: nothing gets through that is not known to."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cage.corpus import families
from tests.cage.play import play
from tests.cage.report import escapes, table
from tests.repos import make_places, make_repo
from tests.tools.testing.projects import Backend, held_by

LEAST = 400
FOUNDATIONS = {"path", "call", "file", "asked", "weakened", "change", "again", "shell", "mcp", "order"}


@pytest.mark.parametrize("walls", ["bwrap", pytest.param("landlock", marks=pytest.mark.long)])
async def test_nothing_of_the_corpus_gets_through(tmp_path: Path, walls: Backend) -> None:
    await held_by(walls, make_places(tmp_path / "tried", make_repo(tmp_path / "tried" / "repo")))
    report = await play(tmp_path, walls)
    assert escapes(report) == [], "\n".join(escapes(report))
    assert len(report.outcomes) == sum(len(family.input) for family in families()), "every input was played, and once"
    print(table(report.outcomes))


def test_the_corpus_is_large_and_its_families_are_played_in_every_way() -> None:
    assert sum(len(family.input) for family in families()) >= LEAST
    assert {family.drive for family in families()} == FOUNDATIONS
