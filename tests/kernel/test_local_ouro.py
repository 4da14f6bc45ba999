"""A published Ouro folder as the owner's own weights: loaded by its path, looped, left early, told in the report."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kernel.engine.settings import LocalSettings
from kernel.provider import InfillRequest, InfillSpan, Limits, Report
from kernel.providers.local.provider import LocalProvider
from ledger.errors import ConfigError, ProviderBadOutput, ProviderUnavailable
from tests.kernel.local_scene import said
from tests.kernel.tiny import CONTROL, vocabulary
from tests.kernel.tiny_ouro import STEPS, TinyOuro, ouro_config, random_numbers, write_published

TOKENS = 24


@pytest.fixture
def ouro(kernel_extra: None, tmp_path: Path) -> TinyOuro:
    folder = tmp_path / "tiny-ouro"
    folder.mkdir()
    config = ouro_config()
    numbers = random_numbers(config, seed=11)
    numbers["lm_head.weight"][vocabulary()[0].index(CONTROL[0]) :] = 0  # an answer goes on until its limit
    return write_published(folder, config, numbers, kind="bf16", shards=1)


def opened(ouro: TinyOuro, tmp_path: Path, **fields: Any) -> LocalProvider:
    settings = LocalSettings.model_validate({"quantise": "fp32", "threads": 1, "canary": "observe", **fields})
    models = tmp_path / "models"
    models.mkdir(exist_ok=True)
    return LocalProvider(model=str(ouro.folder), settings=settings, models_dir=models)


async def asked(local: LocalProvider) -> tuple[str, Report]:
    pieces, done = await said(local, Limits(max_tokens=TOKENS))
    await local.aclose()
    assert done.report is not None
    return "".join(pieces), done.report


async def test_a_looped_model_answers_and_tells_its_depth(ouro: TinyOuro, tmp_path: Path) -> None:
    local = opened(ouro, tmp_path)
    assert (await local.health()).ready and local.model.startswith("tiny-ouro@")
    assert not local.capabilities.infill
    text, report = await asked(local)
    assert text and (report.depth_milli, report.exit) == (1000 * STEPS, "depth")
    assert report.contraction_milli is not None


@pytest.mark.parametrize(
    "fields",
    [
        {"exit": "qexit", "q": 1.0},
        {"speculate": "off"},
        {"exit": "converge", "eps": 1e-9},
        {"exit": "accel", "eps": 1e-9},
        {"floor": STEPS, "exit": "qexit", "q": 0.0},
        {"prefill_tokens": 64},
    ],
    ids=str,
)
async def test_what_always_ends_at_full_depth_says_the_same(
    ouro: TinyOuro, tmp_path: Path, fields: dict[str, Any]
) -> None:
    plain, _ = await asked(opened(ouro, tmp_path))
    text, report = await asked(opened(ouro, tmp_path, **fields))
    assert text == plain and report.depth_milli == 1000 * STEPS


async def test_behind_a_collapse_it_thinks_deeper(ouro: TinyOuro, tmp_path: Path) -> None:
    """The same prompt, as the attempt behind a collapse asks it: told in the report, and so in the record."""
    local = opened(ouro, tmp_path, exit="qexit", q=0.2)
    depths = []
    for milli in (0, 900, 1_000):
        _, done = await said(local, Limits(max_tokens=TOKENS, caution_milli=milli))
        assert done.report is not None
        depths.append(done.report.depth_milli)
    await local.aclose()
    assert depths[0] < depths[1] <= depths[2] == 1000 * STEPS


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"exit": "qexit", "q": 0.2}, "gate"),
        ({"exit": "converge", "eps": 5.0}, "converged"),
        ({"exit": "accel", "eps": 2.0, "patience": 1}, "settled"),
        ({"exit": "qexit", "q": 0.2, "holes": "last_step_reuse"}, "gate"),
        ({"exit": "qexit", "q": 0.2, "kv_int8": True}, "gate"),
    ],
)
async def test_leaving_early_is_told(ouro: TinyOuro, tmp_path: Path, fields: dict[str, Any], reason: str) -> None:
    _, report = await asked(opened(ouro, tmp_path, **fields))
    assert report.exit == reason and 1000 <= report.depth_milli < 1000 * STEPS


async def test_the_core_of_a_looped_model_is_its_own(ouro: TinyOuro, tmp_path: Path) -> None:
    local = opened(ouro, tmp_path, core="1-2", steps=2)
    with pytest.raises(ProviderUnavailable, match="loops by itself"):
        await asked(local)
    await local.aclose()


async def test_fewer_and_more_steps_than_trained_can_be_set(ouro: TinyOuro, tmp_path: Path) -> None:
    texts = {}
    for steps in (1, 2, 6):
        texts[steps], report = await asked(opened(ouro, tmp_path, steps=steps))
        assert report.depth_milli == 1000 * steps
    assert len(set(texts.values())) > 1


@pytest.mark.parametrize("quantise", ["int8", "int4", "none"])
async def test_every_form_loads_a_looped_model(ouro: TinyOuro, tmp_path: Path, quantise: str) -> None:
    text, report = await asked(opened(ouro, tmp_path, quantise=quantise))
    assert text and report.depth_milli == 1000 * STEPS


async def test_holes_are_not_filled_by_a_model_that_cannot(ouro: TinyOuro, tmp_path: Path) -> None:
    local = opened(ouro, tmp_path)
    with pytest.raises(ProviderBadOutput, match="was not trained to fill holes"):
        await local.infill(InfillRequest(spans=(InfillSpan(prefix="a", suffix="b"),)))
    with pytest.raises(ConfigError, match="'gpt' is not known"):
        opened(ouro, tmp_path, family="gpt")
    named = opened(ouro, tmp_path, family="qwen2.5-coder")
    assert named.capabilities.infill
    answer = await named.infill(InfillRequest(spans=(InfillSpan(prefix="a", suffix="b", max_tokens=4),)))
    assert answer.infills[0].report is not None and answer.infills[0].report.depth_milli == 1000 * STEPS
    await named.aclose()


async def test_a_gate_is_needed_to_leave_by_it(ouro: TinyOuro, tmp_path: Path) -> None:
    config = json.loads((ouro.folder / "config.json").read_text())
    assert config["total_ut_steps"] == STEPS
    local = opened(ouro, tmp_path, context=40)
    with pytest.raises(ProviderBadOutput, match="40 is what the model takes"):
        await said(local, Limits(max_tokens=64))
    await local.aclose()


async def test_weights_that_change_under_it_are_said_so(ouro: TinyOuro, tmp_path: Path) -> None:
    local = opened(ouro, tmp_path)
    (ouro.folder / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0notjson!")
    with pytest.raises(ProviderUnavailable) as caught:
        await said(local, Limits(max_tokens=4))
    await local.aclose()
    assert caught.value.kind == "weights" and caught.value.remedy
