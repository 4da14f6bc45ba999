"""The main job: a failing test becomes a signed commit."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from ledger.vocabulary import OpOutcome
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, lived_in, repo_with
from tests.repos import commit, git


def minus(prefix: str, suffix: str) -> list[str]:
    if prefix.endswith("return "):
        return ["subtotal - discount"]
    return ["return subtotal - discount"] if prefix.endswith("    ") else []


async def test_a_failing_test_becomes_a_signed_commit(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    broken = commit(repo, "Speed up totals", {"shop/cart.py": PLUS})
    async with lived_in(config_for(tmp_path, repo), Infilling(minus)) as (core, senses):
        found = await senses.scan(None)
        assert len(found.signals) == 1, found.message
        ending = await ended(core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        report = await core.ledger.verify()
        assert report.ok
    head = git(repo, "rev-parse", "HEAD")
    assert head != broken
    assert git(repo, "rev-parse", "HEAD^") == broken
    assert (repo / "shop/cart.py").read_text() == SHOP["shop/cart.py"]
    assert git(repo, "status", "--porcelain") == ""
    assert ending.op.id in git(repo, "log", "-1", "--format=%(trailers:key=Ouro-Op,valueonly)")


@pytest.mark.parametrize(
    ("sandbox", "said"),
    [
        ({"backend": "landlock"}, r"landlock \(missing: .*process_namespace, scratch_limit\)"),
        pytest.param({"backend": "none", "allow_unsandboxed": True}, "none", marks=pytest.mark.long),
    ],
    ids=["landlock", "none, as the owner allows"],
)
async def test_a_commit_says_which_walls_were_missing(tmp_path: Path, sandbox: dict[str, Any], said: str) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    commit(repo, "Speed up totals", {"shop/cart.py": PLUS})
    async with lived_in(config_for(tmp_path, repo, sandbox=sandbox), Infilling(minus)) as (core, senses):
        await senses.scan(None)
        ending = await ended(core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
    assert re.fullmatch(said, git(repo, "log", "-1", "--format=%(trailers:key=Ouro-Sandbox,valueonly)"))
