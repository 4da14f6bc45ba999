"""From settings to providers, and what the tables say of one another."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from kernel.catalogue import SPECS, build_provider
from kernel.engine.runtime import thread_count
from kernel.engine.settings import LocalSettings
from kernel.policy import load_policy
from kernel.provider import Infiller, Price, Provider
from kernel.providers.openai import OpenAISettings
from kernel.settings import KernelSettings
from kernel.weights import store
from kernel.weights.registry import HuggingFaceSource, WheelSource, load_registry
from ledger.errors import ConfigError

ROOT = Path(__file__).parents[2]
HEAVY = ("torch", "transformers", "numpy", "gguf", "tokenizers", "httpx", "safetensors", "rich")


def made(name: str, folder: Path, **fields: object) -> Provider:
    settings = KernelSettings.model_validate(fields)
    return build_provider(name, settings, models_dir=folder, api_key=lambda _: None, allow_network=False)


@pytest.mark.parametrize("name", sorted(load_policy().models))
async def test_every_model_of_the_policy_can_be_built(tmp_path: Path, name: str) -> None:
    provider = made("local", tmp_path, model=name)
    assert provider.name == "local" and provider.model.startswith(f"{name}@")
    assert isinstance(provider, Infiller) and provider.price == Price(input=0, output=0)
    await provider.aclose()


async def test_a_script_is_built_from_its_setting(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text("infill = true")
    provider = made("scripted", tmp_path, scripted={"script": str(tmp_path / "s.toml")})
    assert (provider.name, provider.capabilities.infill) == ("scripted", True)


def test_sentences_for_what_cannot_be_built(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no script\. Set kernel\.scripted\.script"):
        made("scripted", tmp_path)
    with pytest.raises(ConfigError, match=r"no provider 'oracle'\. Known providers: local, openai, scripted"):
        made("oracle", tmp_path)
    with pytest.raises(ConfigError, match=r"'gpt' is not known\. Known models: ouro"):
        made("local", tmp_path, model="gpt")


def test_settings_refuse_what_they_do_not_know() -> None:
    for table in ({"provider": "oracle"}, {"speed": 3}, {"local": {"threads": -1}}, {"local": {"quantise": "int2"}}):
        with pytest.raises(ValidationError):
            KernelSettings.model_validate(table)
    assert KernelSettings().model == load_policy().default_model


def test_policy_and_registry_agree() -> None:
    policy, registry = load_policy(), load_registry()
    assert policy.default_model in policy.models
    for model in policy.models.values():
        weights = registry.find(model.weights)
        assert weights.license and model.context >= 8192
        if model.family:
            family = policy.families[model.family]
            assert len({family.fim_prefix, family.fim_suffix, family.fim_middle}) == 3
    assert {model.weights for model in policy.models.values()} == set(registry.weights)
    assert len({weights.file for weights in registry.weights.values()}) == len(registry.weights)


def test_prices_are_free_here_and_unknown_elsewhere_until_they_are_set() -> None:
    assert SPECS["local"].price(LocalSettings()) == Price(input=0, output=0)
    assert SPECS["openai"].price(OpenAISettings(model="any")) is None
    assert SPECS["openai"].price(OpenAISettings(price_input_usd_micro=1)) is None
    known = OpenAISettings(price_input_usd_micro=1, price_output_usd_micro=0)
    assert SPECS["openai"].price(known) == Price(input=1, output=0)


@pytest.mark.parametrize("name", ["qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"])
def test_sources_hold_the_whole_file(name: str) -> None:
    weights = load_registry().find(name)
    assert weights.pinned
    assert [source.kind for source in weights.sources] == ["huggingface", "wheels"]
    for source in weights.sources:
        if isinstance(source, WheelSource):
            last = weights.bytes - (len(source.parts) - 1) * source.part_bytes
            assert 0 < last <= source.part_bytes
            assert len(set(source.parts)) == len(source.parts)
            assert source.member.format(n=1) != source.member.format(n=2)
        elif isinstance(source, HuggingFaceSource):
            assert source.url(weights.file).endswith(f"{source.repo}/resolve/main/{weights.file}")


def test_folders_differ_by_file_and_form(tmp_path: Path) -> None:
    registry = load_registry()
    folders = {
        store.converted_folder(tmp_path, name, weights, form)
        for name, weights in registry.weights.items()
        for form in ("bf16", "int8")
    }
    assert len(folders) == 2 * len(registry.weights)
    assert not any(map(store.is_converted, folders))


@pytest.mark.parametrize(
    "module", ["kernel.catalogue", "kernel.settings", "kernel.providers.local.provider", "kernel.weights.pull"]
)
def test_importing_loads_nothing_heavy(module: str) -> None:
    script = f"import sys, {module}\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    argv = [sys.executable, "-c", script]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.split() == []


def test_thread_settings() -> None:
    assert thread_count(3) == 3
    assert thread_count(0) >= 1
    assert LocalSettings().threads == 0


def test_the_cores_that_the_process_may_use_are_counted() -> None:
    script = "import os; from kernel.engine.runtime import thread_count\n"
    script += "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(thread_count(0))"
    argv = [sys.executable, "-c", script]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "1"
