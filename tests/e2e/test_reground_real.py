"""A real small model collapses inside a real op: stopped, grounded anew, and the op lands. The prompts are our own.

Writing a long, repetitive table anew with greedy decoding does it: the model goes round in it without end. The mistake
itself is elsewhere, and the search finds it behind the second try.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from daemon.record.replay import replay
from kernel.engine.settings import LocalSettings
from kernel.providers.local.provider import LocalProvider
from ledger.vocabulary import OpOutcome
from sensors.requests.manual import manual_signal
from tests.e2e.serving import served
from tests.e2e.world import config_for, ended, repo_with
from tests.repos import commit, git

pytestmark = [pytest.mark.long, pytest.mark.weights]

MODEL = "qwen2.5-coder-0.5b"
PLAN, FAILING = "shop/plan.py", "tests/test_plan.py::test_bill_of_a_tuesday"
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
ROWS = "".join(f'        ("{DAYS[n % 7]}", {n % 7 < 5}),\n' for n in range(140))  # constants: run as one line
CODE = (
    f'''"""When the shop is open, and what an hour of it costs."""


def calendar():
    """The days of the first twenty weeks, a row each, beginning with Monday."""
    return [
{ROWS}    ]
'''
    '''

def weekday(number):
    """The name of a day by its number, from 1."""
    row = calendar()[number - 1]
    name = row[0]
    return name


def bill(hours, rate):
    """What so many hours cost at this rate."""
    return hours + rate


def bill_of(number, hours):
    """The day, and what its hours cost."""
    return weekday(number), bill(hours, 20)
'''
)
FILES = {
    "shop/__init__.py": "",
    PLAN: CODE,
    "tests/test_plan.py": (
        "from shop.plan import bill_of, calendar, weekday\n\n\ndef test_bill_of_a_tuesday():\n"
        '    assert calendar()[1][1]\n    assert weekday(2) == "Tuesday"\n'
        '    assert bill_of(2, 3) == ("Tuesday", 60)\n'
    ),
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
}


@pytest.fixture
async def model() -> AsyncIterator[LocalProvider]:
    folder = os.environ.get("OURO_TEST_MODELS")
    if not folder:
        pytest.skip("OURO_TEST_MODELS does not name a folder with weights")
    made = LocalProvider(model=MODEL, settings=LocalSettings(), models_dir=Path(folder))
    health = await made.health()
    if not health.ready:
        pytest.skip(health.detail)
    yield made
    await made.aclose()


async def test_a_real_model_collapses_and_the_op_lands(tmp_path: Path, model: LocalProvider) -> None:
    repo = repo_with(tmp_path / "shop", FILES)
    head = commit(repo, "Say what this is", {"README": "When a shop is open.\n"})  # no hint at the mistake
    narrow = {"moves": False, "sampled": False, "branches": 0, "first_places": 1, "search_s": 1_500}
    config = config_for(tmp_path, repo, repair=narrow, clocks={"op_local_s": 3_000, "turn_local_s": 1_200})
    async with served(config, model) as (service, _):
        signal = manual_signal(
            "The bill of a day is wrong", files=[PLAN], closed_when=[FAILING], base=head, clock=service.clock
        )
        await service.core.router.submit(signal)
        async with asyncio.timeout(3_000):
            ending = await ended(service.core, within_s=3_000)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        entries = await service.core.ledger.entries(op_id=ending.op.id)
        told = await service.told(ending.op.id)
        assert (await replay(service.core.ledger, op_id=ending.op.id)).differences == ()
    by_event = {name: [e.payload for e in entries if e.payload.get("event") == name] for name in WATCHED}
    first, *_ = by_event["regrounded"]
    assert first["proximity_milli"] >= 880 and first["signal"] in ("loop", "copy", "repeat")
    assert f"file:{PLAN}" in first["before"] and len(first["after"]) >= 2 and "history" in first["after"]
    asked = [(p["purpose"], p["problem"]) for p in by_event["call.ended"] if p["purpose"] == "infill: functions"]
    assert ("infill: functions", "collapsed") in asked and asked[-1] == ("infill: functions", ""), asked
    assert by_event["grounding.decided"][0]["asked"]["act"] is False
    assert "collapsed: it is discarded" in told and "reground: 1 of 2" in told
    assert git(repo, "rev-parse", "HEAD^") == head and (repo / PLAN).read_text() != CODE


WATCHED = ("regrounded", "call.ended", "grounding.decided")
