"""A contract that changes in another repository, from its commit there to ours that follows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from daemon.control.messages import OpRef
from daemon.control.service_api import ServiceApi
from governance.pipeline.ending import Ending
from ledger.vocabulary import OpOutcome, RootCause, Source
from tests.e2e.serving import Serving, served
from tests.e2e.talking import InTurn, Talking, after_a_look, swap
from tests.e2e.world import SHOP, config_for, ended, repo_with
from tests.repos import commit, git, make_repo

HERE, THERE = "shop/order.json", "schema/order.json"


def order(**fields: object) -> str:
    return json.dumps({"required": ["id"], **fields}, indent=2) + "\n"


def settings(other: Path) -> dict[str, Any]:
    pair = {"here": HERE, "repository": str(other), "there": THERE}
    drift = {"enabled": True, "debounce_s": 0.1, "pairs": {"order": pair}}
    return {"test_failure": {"debounce_s": 0.1}, "router": {"coalesce_s": 0}, "sensors": {"cross_repo_drift": drift}}


async def approved(service: Serving, api: ServiceApi) -> Ending:
    ending = await ended(service.core)
    while ending.request is not None:
        await api.approve(OpRef(op=ending.op.id))
        ending = await ended(service.core)
    return ending


async def test_a_commit_in_the_other_repository_is_followed(tmp_path: Path) -> None:
    other = make_repo(tmp_path / "other", {THERE: order()})
    repo = repo_with(tmp_path / "shop", {**SHOP, HERE: order()})
    first = git(repo, "rev-parse", "HEAD")
    model = Talking(after_a_look(swap(HERE, '    "id"', '    "id",\n    "total"'), HERE), changes=[HERE])
    async with served(config_for(tmp_path, repo, **settings(other)), model, watch=True) as (service, api):
        await service.until("sides_agree", pair="order")
        commit(other, "Ask for the total", {THERE: order(required=["id", "total"])})
        ending = await approved(service, api)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert (ending.op.origin, ending.op.targets) == (Source("cross_repo_drift"), (HERE,))
        assert ending.dossier.verification is not None
        assert f"{HERE} agrees with {THERE}" in ending.dossier.verification.closure_reason
        tiers = [e.payload["facts"] for e in await service.entries(ending.op.id, "classified") if "facts" in e.payload]
        assert all(facts["from_outside"] for facts in tiers)
        assert (await service.core.ledger.verify()).ok
    assert git(repo, "rev-parse", "HEAD^") == first
    assert json.loads((repo / HERE).read_text()) == {"required": ["id", "total"]}
    assert "/required" in " ".join(m.text for m in model.asked[0])
    assert git(other, "status", "--porcelain") == ""


@pytest.mark.long
async def test_green_tests_do_not_make_two_sides_agree(tmp_path: Path) -> None:
    """Something else in the file, and the right words in another one."""
    other = make_repo(tmp_path / "other", {THERE: order(required=["id", "total"])})
    repo = repo_with(tmp_path / "shop", {**SHOP, HERE: order()})
    first = git(repo, "rev-parse", "HEAD")
    attempts = [
        swap(HERE, '    "id"', '    "id",\n    "sum"'),
        f"Elsewhere.\n\nshop/other.json\n```\n{order(required=['id', 'total'])}```\n",
    ]
    model = InTurn(attempts, HERE)

    async with served(config_for(tmp_path, repo, **settings(other)), Talking(model), watch=True) as (service, api):
        ending = await approved(service, api)
        assert ending.state is OpOutcome.POSTMORTEM, (ending.cause, ending.reason)
        assert ending.cause in (RootCause.CLOSURE_OPEN, RootCause.POLICY_REFUSED), ending.reason
        runs = await service.entries(ending.op.id, "validated")
        assert runs and {run.payload["status"] for run in runs} == {"green"}
    assert "the sides differ: /required/1: here" in model.told[1]
    assert git(repo, "rev-parse", "HEAD") == first
