"""A pin with an advisory, from an OSV API on a real socket to the commit that moves it; and what does not move it."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.control.messages import OpRef
from daemon.record.replay import replay
from ledger.vocabulary import OpOutcome, RootCause, Source, Tier
from sensors.health.sample import Gauges
from tests.e2e.serving import served
from tests.e2e.talking import InTurn, Talking, after_a_look, swap
from tests.e2e.world import SHOP, config_for, ended, repo_with
from tests.repos import git
from tests.sensors.advisories.osv_server import OsvServer, osv_server

PINS, TEXT = "requirements.txt", "glue==1.0\npaper-clips==1.2\n"
FOLDER = Path(__file__).parents[1] / "sensors" / "advisories" / "osv"


@pytest.fixture(autouse=True)
def machine_at_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under pressure nothing of this rank is begun; how busy the machine of the test is must not matter."""
    monkeypatch.setattr("daemon.app.core.gauges_for", lambda places: Gauges(proc=FOLDER, supplies=FOLDER))


def told(server: OsvServer) -> dict[str, object]:
    return {
        "test_failure": {"debounce_s": 600.0, "debounce_most_s": 1_200.0},
        "router": {"coalesce_s": 0},
        "sensors": {"web_intelligence": {"enabled": True, "api": server.url, "debounce_s": 0.1}},
    }


async def test_a_pin_with_an_advisory_is_moved_when_the_owner_allows_it(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", {**SHOP, PINS: TEXT})
    first = git(repo, "rev-parse", "HEAD")
    model = Talking(after_a_look(swap(PINS, "paper-clips==1.2", "paper-clips==1.6.0"), PINS), changes=[PINS])
    async with (
        osv_server(FOLDER) as server,
        served(config_for(tmp_path, repo, **told(server)), model, watch=True) as (service, api),
    ):
        waiting = await ended(service.core)
        assert waiting.request is not None, (waiting.state, waiting.reason)
        assert (waiting.op.origin, waiting.op.targets) == (Source("web_intelligence"), (PINS,))
        assert waiting.dossier.tier is Tier.APPROVAL_REQUIRED
        assert git(repo, "rev-parse", "HEAD") == first
        await api.approve(OpRef(op=waiting.op.id))
        ending = await ended(service.core)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert ending.dossier.verification is not None
        assert "requirements.txt pins paper-clips 1.6.0" in ending.dossier.verification.closure_reason
        made = git(repo, "rev-parse", "HEAD")
        await service.until("sensor_looked", sensor="web_intelligence", commit=made)
        assert await service.core.router.idle()
        assert (await replay(service.core.ledger, op_id=ending.op.id)).differences == ()
    assert (repo / PINS).read_text() == TEXT.replace("1.2", "1.6.0")
    asked = "\n".join(m.text for turn in model.asked for m in turn)
    assert "Clips leave their folder" in asked and "GHSA-aaaa-bbbb-cccc" in asked
    assert "web_intelligence" in git(repo, "log", "-1", "--format=%(trailers:key=Ouro-Signal,valueonly)")


async def test_green_tests_do_not_move_a_pin(tmp_path: Path) -> None:
    """A version that is not far enough, one with another defect, none at all, and a package that is no longer named."""
    repo = repo_with(tmp_path / "shop", {**SHOP, PINS: TEXT})
    first = git(repo, "rev-parse", "HEAD")
    attempts = [
        swap(PINS, "paper-clips==1.2", new)
        for new in ("paper-clips==1.5.1", "paper-clips==2.0.1", "paper-clips", "paper==1.6")
    ]
    model = InTurn(attempts, PINS)

    async with (
        osv_server(FOLDER) as server,
        served(config_for(tmp_path, repo, **told(server)), Talking(model, changes=[PINS]), watch=True) as (service, _),
    ):
        ending = await ended(service.core)
        assert (ending.state, ending.cause) == (OpOutcome.POSTMORTEM, RootCause.CLOSURE_OPEN), ending.reason
        runs = await service.entries(ending.op.id, "validated")
        assert {run.payload["status"] for run in runs} == {"green"}
    assert "pins paper-clips 1.5.1, which is below 1.6.0" in model.told[1]
    assert "pins paper-clips 2.0.1, which has a known defect, too" in model.told[2]
    assert "does not say from where on paper-clips is" in model.told[3]
    assert "does not name paper-clips any more" in ending.reason
    assert git(repo, "rev-parse", "HEAD") == first and (repo / PINS).read_text() == TEXT
