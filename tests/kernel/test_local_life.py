"""The life of the local provider: loaded late, cancelled soon, dropped when idle, closed twice, and what is missing."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from pydantic import ValidationError

from kernel.cancel import Cancelled, CancelToken
from kernel.engine.cache.packing import Row
from kernel.engine.decoding.sampling import SamplingOptions
from kernel.engine.engine import DecodeOptions, DecodeRequest, Engine
from kernel.engine.loading import WeightsLocation, load_engine
from kernel.engine.settings import LocalSettings
from kernel.provider import Infiller, InfillSpan, Limits, Price
from kernel.providers.local.provider import LocalProvider
from kernel.weights import store
from ledger.errors import ConfigError, ProviderUnavailable
from tests.kernel.local_scene import ENDLESS, SPANS, LagMeter, provider, request, said, worker_of
from tests.kernel.tiny import NAME, Tiny

FOREVER = InfillSpan(prefix="x = ", suffix="\n", max_tokens=ENDLESS, stop=())


async def until_idle(local: LocalProvider) -> float:
    """Seconds until the worker thread has nothing to do."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    await asyncio.wrap_future(worker_of(local).submit(int))
    return loop.time() - began


async def test_what_it_says_of_itself(tiny: Tiny) -> None:
    local = provider(tiny)
    assert (local.name, local.model) == ("local", f"{NAME}@{tiny.weights.files[0].sha256[:8]}")
    assert local.price == Price(input=0, output=0)
    can = local.capabilities
    assert (can.infill, can.local, can.logprobs, can.tools) == (True, True, True, False)
    assert isinstance(local, Infiller)
    assert (await local.health()).ready and not local.loaded


async def test_counts_are_an_estimate_before_and_exact_after(local: LocalProvider) -> None:
    text = "def f():\n    return total"
    assert local.count_tokens(text) == round(len(text) / 3.6)
    await local.infill(request())
    assert local.loaded
    assert local.count_tokens(text) == 14


async def test_a_cancelled_call_returns_within_a_second_and_the_worker_is_idle(local: LocalProvider) -> None:
    await local.infill(request())
    loop = asyncio.get_running_loop()
    for call in (
        local.infill(request(FOREVER)),
        said(local, Limits(max_tokens=ENDLESS)),
        local.infill(request(*[FOREVER] * 8, temperature=1.0, samples=4)),
    ):
        task = asyncio.create_task(call)
        await asyncio.sleep(0.1)
        began = loop.time()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop.time() - began < 1
        assert await until_idle(local) < 0.1
    assert (await local.infill(request(SPANS[2]))).infills


def loaded(tiny: Tiny) -> Engine:
    settings = provider(tiny)._settings
    return load_engine(WeightsLocation(NAME, tiny.weights, tiny.folder), settings, lambda what: None, CancelToken())


def test_a_pass_is_left_at_the_next_product(tiny: Tiny) -> None:
    """On a busy machine a whole layer of a long prompt takes seconds."""
    engine, cancel = loaded(tiny), CancelToken()
    checks = 0

    def check() -> None:
        nonlocal checks
        checks += 1
        if checks == 3:
            cancel.cancel()
        CancelToken.check(cancel)

    cancel.check = check  # type: ignore[method-assign]  # counts the places where a pass can be left
    with pytest.raises(Cancelled):
        engine.answer(
            DecodeRequest([], [Row(0, (1, 2, 3), 0, 4)], [()], DecodeOptions(SamplingOptions()), cancel=cancel)
        )
    assert checks == 3 and engine.model.passes == 0


async def test_a_call_that_waits_for_its_turn_can_be_cancelled(local: LocalProvider) -> None:
    await local.infill(request())
    first = asyncio.create_task(local.infill(request(FOREVER)))
    second = asyncio.create_task(local.infill(request()))
    await asyncio.sleep(0.05)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    assert not first.done()
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first


async def test_the_deadline_is_kept(local: LocalProvider) -> None:
    await local.infill(request())
    with pytest.raises(ProviderUnavailable, match=r"within 0\.2 s") as caught:
        await local.infill(request(FOREVER, timeout_s=0.2))
    assert caught.value.kind == "total"
    with pytest.raises(ProviderUnavailable, match=r"within 0\.2 s"):
        await said(local, Limits(max_tokens=ENDLESS, timeout_s=0.2))
    assert await until_idle(local) < 0.1


async def test_calls_take_turns(local: LocalProvider) -> None:
    answers = await asyncio.gather(*(local.infill(request(span)) for span in SPANS))
    together = await local.infill(request())
    assert [answer.infills[0].text for answer in answers] == [found.text for found in together.infills]


async def test_the_loop_goes_on_while_the_model_loads_and_decodes(tiny: Tiny) -> None:
    local, meter = provider(tiny), LagMeter()
    watch = asyncio.create_task(meter.run())
    await local.infill(request(InfillSpan(prefix="x", suffix="", max_tokens=150, stop=())))
    watch.cancel()
    with suppress(asyncio.CancelledError):
        await watch
    await local.aclose()
    assert meter.longest < 0.5  # a generous bound for a busy machine: a blocking load takes longer


async def test_an_idle_model_is_dropped_and_comes_back(tiny: Tiny) -> None:
    local = provider(tiny, idle_unload_s=0.15)
    first = await local.infill(request())
    assert local.loaded
    await asyncio.sleep(0.4)
    assert not local.loaded
    assert await local.infill(request()) == first
    await local.infill(request(InfillSpan(prefix="x", suffix="", max_tokens=300, stop=())))  # longer than the idle time
    assert local.loaded
    await local.aclose()
    assert not local.loaded


async def test_closing_twice_and_before_any_use(tiny: Tiny) -> None:
    unused, used = provider(tiny), provider(tiny)
    await unused.aclose()
    await used.infill(request())
    await used.aclose()
    await used.aclose()
    assert not used.loaded
    with pytest.raises(ProviderUnavailable, match="shut down"):
        await used.infill(request())


async def test_closing_stops_what_runs(local: LocalProvider) -> None:
    await local.infill(request())
    task = asyncio.create_task(local.infill(request(FOREVER)))
    await asyncio.sleep(0.1)
    await asyncio.wait_for(local.aclose(), 1)
    with pytest.raises(ProviderUnavailable, match="shut down"):
        await task
    assert not local.loaded


async def test_missing_weights_name_the_command(tiny: Tiny, empty: Path) -> None:
    local = provider(tiny, folder=empty)
    health = await local.health()
    assert not health.ready and f"`ouro model pull {NAME}`" in health.detail
    for call in (local.infill(request()), said(local, Limits())):
        with pytest.raises(ProviderUnavailable, match="not on this machine") as caught:
            await call
        assert caught.value.kind == "weights" and f"ouro model pull {NAME}" in caught.value.remedy
    await local.aclose()


async def test_weights_are_converted_at_first_use(tiny: Tiny, empty: Path) -> None:
    shutil.copy(tiny.folder / tiny.weights.file, empty)
    local = provider(tiny, folder=empty)
    await local.infill(request())
    await local.aclose()
    assert store.is_converted(store.converted_folder(empty, NAME, tiny.weights, "fp32"))


async def test_a_cancelled_first_use_leaves_no_half_folder(tiny: Tiny, empty: Path) -> None:
    shutil.copy(tiny.folder / tiny.weights.file, empty)
    local = provider(tiny, folder=empty)
    task = asyncio.create_task(local.infill(request()))
    await asyncio.sleep(0.15)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await local.aclose()
    assert [p.name for p in (empty / "converted").iterdir()] == [".lock"]


async def test_weights_that_rotted_are_said_so(tiny: Tiny, empty: Path) -> None:
    raw = bytearray((tiny.folder / tiny.weights.file).read_bytes())
    raw[-1] ^= 1
    (empty / tiny.weights.file).write_bytes(raw)
    local = provider(tiny, folder=empty)
    with pytest.raises(ProviderUnavailable, match="not the file that its publisher released") as caught:
        await local.infill(request())
    await local.aclose()
    assert caught.value.kind == "weights"


async def test_a_converted_folder_that_rotted_is_named(tiny: Tiny, empty: Path) -> None:
    kept = store.converted_folder(tiny.folder, NAME, tiny.weights, "fp32")
    folder = store.converted_folder(empty, NAME, tiny.weights, "fp32")
    shutil.copytree(kept, folder)
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(1000)
    local = provider(tiny, folder=empty)
    with pytest.raises(ProviderUnavailable, match="cannot be loaded") as caught:
        await local.infill(request())
    await local.aclose()
    assert caught.value.kind == "weights" and str(folder) in caught.value.remedy


@pytest.mark.parametrize(
    ("settings", "problem", "remedy"),
    [
        (
            {"exit": "qexit", "steps": 2},
            "no exit gate, so kernel.local.exit cannot",
            "fixed, converge or accel",
        ),
        ({"device": "cuda"}, "no GPU that torch can use", "kernel.local.device to auto or cpu"),
        ({"core": "2-99", "steps": 2}, r"core names the layers 2-99; the model has \d+", "counted from 1"),
    ],
)
async def test_a_setting_that_the_model_or_machine_cannot_follow(
    tiny: Tiny, settings: dict[str, object], problem: str, remedy: str
) -> None:
    """It is the setting that is named, not the weights."""
    local = provider(tiny, **settings)
    with pytest.raises(ProviderUnavailable, match=problem) as caught:
        await local.infill(request())
    await local.aclose()
    assert remedy in caught.value.remedy and "Delete" not in caught.value.remedy


async def test_some_layers_of_a_plain_model_can_be_looped(tiny: Tiny) -> None:
    """Which is deeper, and says something else than all layers twice; drafts change nothing of it."""
    told = {}
    for core, steps, speculate in (("", 1, "off"), ("", 2, "off"), ("1-1", 2, "off"), ("1-1", 2, "auto")):
        local = provider(tiny, core=core, steps=steps, speculate=speculate)
        pieces, done = await said(local, Limits(max_tokens=24))
        await local.aclose()
        assert done.report is not None and done.report.depth_milli == 1000 * steps
        told[core, steps, speculate] = "".join(pieces)
    once, twice, part, drafted = told.values()
    assert drafted == part and len({once, twice, part}) == 3


@pytest.mark.parametrize(
    ("core", "steps", "problem"), [("9-3", 2, "ends before it begins"), ("9-16", 0, "needs steps"), ("9", 2, "pattern")]
)
def test_a_core_that_loops_nothing_is_refused_at_once(core: str, steps: int, problem: str) -> None:
    with pytest.raises(ValidationError, match=problem):
        LocalSettings(core=core, steps=steps)


async def test_the_memory_ceiling_is_respected(tiny: Tiny) -> None:
    local = provider(tiny, memory_ceiling_mb=100)
    with pytest.raises(ProviderUnavailable, match="the ceiling is 100 MB") as caught:
        await local.infill(request())
    await local.aclose()
    assert caught.value.kind == "memory" and not local.loaded


async def test_more_memory_than_there_is_is_said_so(tiny: Tiny) -> None:
    """The cache of a batch is larger than the address space: torch refuses it, and the model stays usable."""
    local = provider(tiny, cache_tokens=1 << 50, rows=1 << 27)
    with pytest.raises(ProviderUnavailable, match="out of memory") as caught:
        await local.infill(request(FOREVER, samples=1 << 27, temperature=1.0))
    assert caught.value.kind == "memory"
    assert (await local.infill(request(SPANS[2]))).infills
    await local.aclose()


def test_an_unknown_model_lists_the_known_ones(tiny: Tiny) -> None:
    with pytest.raises(ConfigError, match=r"qwen2\.5-coder-0\.5b"):
        LocalProvider(model="gpt", settings=provider(tiny)._settings, models_dir=tiny.folder)


_WITHOUT_TORCH = """
import asyncio, sys
from pathlib import Path
sys.modules["torch"] = sys.modules["tokenizers"] = None
from kernel.engine.settings import LocalSettings
from kernel.provider import InfillRequest, InfillSpan
from kernel.providers.local.provider import LocalProvider
from ledger.errors import ProviderUnavailable
local = LocalProvider(model="qwen2.5-coder-0.5b", settings=LocalSettings(), models_dir=Path(sys.argv[1]))
print(asyncio.run(local.health()))
try:
    asyncio.run(local.infill(InfillRequest(spans=(InfillSpan(prefix="", suffix=""),))))
except ProviderUnavailable as error:
    print(error.kind, error)
"""


def test_missing_libraries_name_the_extra(tmp_path: Path) -> None:
    """In a process whose import system does not find torch."""
    argv = [sys.executable, "-c", _WITHOUT_TORCH, str(tmp_path)]
    done = subprocess.run(argv, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True, timeout=60)
    health, error = done.stdout.splitlines()
    assert "ready=False" in health and "torch, tokenizers" in health
    assert error.startswith("weights The local model needs torch, tokenizers") and ".[kernel]" in error


async def test_a_model_can_be_loaded_before_it_is_asked(tiny: Tiny, tmp_path: Path) -> None:
    local = provider(tiny)
    await local.prepare()
    assert local.loaded
    engine = local._engine
    await local.infill(request(SPANS[0]))
    assert local._engine is engine
    await local.aclose()
    missing = provider(tiny, folder=tmp_path)
    with pytest.raises(ProviderUnavailable, match="not on this machine"):
        await missing.prepare()
    await missing.aclose()
