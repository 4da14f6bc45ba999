"""The published models themselves, from the folder that OURO_TEST_MODELS names."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kernel.engine.settings import LocalSettings
from kernel.policy import load_policy
from kernel.provider import InfillRequest, InfillSpan, Limits
from kernel.providers.local.provider import LocalProvider
from tests.kernel.local_scene import said, worker_of

pytestmark = [pytest.mark.long, pytest.mark.weights]
HOLE = InfillSpan(
    prefix='def average(numbers):\n    """The arithmetic mean of a list of numbers."""\n    return ',
    suffix="\n\n\nassert average([1, 2, 3]) == 2\n",
    max_tokens=24,
)
RIGHT = "sum(numbers) / len(numbers)"


@pytest.fixture(params=sorted(load_policy().models))
async def real(request: pytest.FixtureRequest, kernel_extra: None) -> AsyncIterator[LocalProvider]:
    folder = os.environ.get("OURO_TEST_MODELS")
    if not folder:
        pytest.skip("OURO_TEST_MODELS does not name a folder with weights")
    made = LocalProvider(model=request.param, settings=LocalSettings(), models_dir=Path(folder))
    health = await made.health()
    if not health.ready:
        pytest.skip(health.detail)
    yield made
    await made.aclose()


async def test_an_obvious_hole_is_filled_right_and_a_call_is_cancelled_soon(real: LocalProvider) -> None:
    answer = await real.infill(InfillRequest(spans=(HOLE,), timeout_s=300))
    (found,) = answer.infills
    assert found.text.startswith(RIGHT) and found.finish == "stop"  # the smaller one adds a comment
    assert -1000 < found.logprob_milli < 0

    pieces, done = await said(real, Limits(max_tokens=24, timeout_s=300))
    assert "".join(pieces).strip() and done.usage.tokens_in > 10

    long = HOLE.model_copy(update={"prefix": HOLE.prefix.replace("return ", ""), "max_tokens": 400, "stop": ()})
    for what, spans in (("decoding", (long,) * 4), ("prompt", (long.model_copy(update={"prefix": HOLE.prefix * 60}),))):
        task = asyncio.create_task(real.infill(InfillRequest(spans=spans, timeout_s=300)))
        await asyncio.sleep(1.5)
        assert not task.done()
        began = asyncio.get_running_loop().time()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.wrap_future(worker_of(real).submit(int))
        assert asyncio.get_running_loop().time() - began < 2, what
