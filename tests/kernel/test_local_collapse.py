"""Collapses of the local model: of several holes each ends alone, all together end the call."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from kernel.canary import CollapseDetected
from kernel.provider import DivergeRequest, InfillSpan, Limits
from kernel.providers.local.provider import LocalProvider
from tests.kernel.canary_levels import LEVELS
from tests.kernel.local_scene import ASK, HEAD, provider, request, said
from tests.kernel.tiny import Tiny

LONG = InfillSpan(prefix=HEAD, suffix="\n", max_tokens=60, stop=())
SHORT = InfillSpan(prefix=HEAD + "    return ", suffix="\n", max_tokens=4, stop=())
NERVOUS = LEVELS.model_copy(update={"alarm": 0.01, "patience": 6})
"""Whoever writes six tokens has collapsed."""


@pytest.fixture(params=["stop", "observe"])
async def nervous(request: pytest.FixtureRequest, tiny: Tiny) -> AsyncIterator[LocalProvider]:
    made = provider(tiny, canary=request.param)
    made._levels = NERVOUS
    yield made
    await made.aclose()


@pytest.mark.parametrize("nervous", ["stop"], indirect=True)
async def test_of_several_holes_the_one_that_collapses_ends_alone(nervous: LocalProvider) -> None:
    answer = await nervous.infill(request(LONG, SHORT))
    long, short = answer.infills
    assert (long.finish, short.finish) == ("collapsed", "length")
    assert long.report is not None and long.report.alarm
    assert short.report is not None and not short.report.alarm
    assert answer.usage.tokens_out == 10, "it was broken off"


@pytest.mark.parametrize("nervous", ["stop"], indirect=True)
async def test_where_all_have_collapsed_nothing_comes_back(nervous: LocalProvider) -> None:
    with pytest.raises(CollapseDetected) as caught:
        await nervous.infill(request(LONG, LONG.model_copy(update={"prefix": "x = "})))
    assert (caught.value.provider, caught.value.tokens) == ("local", 12)
    with pytest.raises(CollapseDetected):
        await nervous.diverge(DivergeRequest(spans=(LONG,), texts=("pass",), answers=2))
    with pytest.raises(CollapseDetected):
        await said(nervous, Limits(max_tokens=60))


@pytest.mark.parametrize("nervous", ["observe"], indirect=True)
async def test_a_collapse_that_is_only_observed_is_told(nervous: LocalProvider) -> None:
    (found,) = (await nervous.infill(request(LONG))).infills
    assert found.finish == "length" and found.report is not None and found.report.alarm
    _, done = await said(nervous, Limits(max_tokens=60))
    assert done.report is not None and done.report.alarm


async def test_caution_reaches_the_model(local: LocalProvider) -> None:
    texts = [(await local.infill(request(LONG, caution_milli=milli))).infills[0].text for milli in (0, 950)]
    assert texts[0] != texts[1]
    answers = [await said(local, Limits(max_tokens=60, caution_milli=milli), ASK) for milli in (0, 950)]
    assert answers[0][0] != answers[1][0]
