"""Loads an engine from weights on disk: choose the forms, convert once, check memory, assemble."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from kernel.cancel import CancelToken
from kernel.engine.cache.batch import CacheFormat
from kernel.engine.compiled.team import set_code_cache
from kernel.engine.decoding.tokenizer import Vocabulary
from kernel.engine.engine import BatchLimits, Engine
from kernel.engine.forms import Arithmetic, FormPlan, machine_trials, plan_forms
from kernel.engine.model.assemble import Make, assemble, pair_makers, product_maker, read_config, read_tensors
from kernel.engine.model.config import LoopConfig
from kernel.engine.model.exits import ExitRule
from kernel.engine.runtime import available_mb, load_torch_libraries, memory_shortage, reuse_freed_memory, thread_count
from kernel.engine.settings import LocalSettings
from kernel.weights import store
from kernel.weights.convert import convert_weights
from kernel.weights.convert_child import open_checkpoint
from kernel.weights.registry import Weights
from ledger.errors import ConfigError, OuroError, ProviderError, ProviderUnavailable

if TYPE_CHECKING:
    import torch

NAME = "local"
MEGABYTE = 1 << 20
RUNTIME_MB = 512  # libraries, activations of a pass, some keys and values
# Memory of the weights relative to the size of a four-bit file, to choose before anything is converted.
MEMORY_BY_FOUR_BITS: dict[Arithmetic, float] = {"fp32": 6.4, "bf16": 3.2, "int8": 1.8, "int4": 1.2}


@dataclass(frozen=True, slots=True)
class WeightsLocation:
    """Weights by name, and the models folder that holds them."""

    name: str
    weights: Weights
    models_dir: Path


def form_of(arithmetic: Arithmetic, quantise: str) -> store.Form:
    """The stored form for an arithmetic: float32 is computed from bf16, unless the owner chose fp32."""
    return "bf16" if arithmetic == "fp32" and quantise != "fp32" else arithmetic


def load_engine(
    source: WeightsLocation, settings: LocalSettings, log: Callable[[str], None], cancel: CancelToken
) -> Engine:
    """Blocking; for the worker thread. Raises ``ProviderUnavailable`` with the cause and a remedy."""
    load_torch_libraries()
    import torch
    from safetensors import SafetensorError

    torch.set_num_threads(thread_count(settings.threads))
    reuse_freed_memory()
    set_code_cache(source.models_dir / "compiled")
    cancel.check()
    try:
        device = choose_device(settings)
        chosen = choose_gpu_forms(settings) if device == "cuda" else choose_forms(source, settings, log)
    except ConfigError as error:
        raise _unavailable_weights(error) from error
    cancel.check()
    folders = {a: convert_with_log(source, form_of(a, settings.quantise), log, cancel) for a in chosen.arithmetics}
    if device == "cpu":
        check_memory(chosen, folders, settings)
    try:
        return _build_engine(chosen, folders, settings, device)
    except ConfigError as error:
        raise _unavailable_weights(error) from error
    except (OSError, ValueError, SafetensorError, OuroError) as error:
        raise ProviderUnavailable(
            f"The converted weights of {source.name} cannot be loaded: {error}",
            provider=NAME,
            kind="weights",
            remedy=f"Delete {folders[chosen.wide]}: the folder is rebuilt at the next load.",
        ) from error


def choose_device(settings: LocalSettings) -> str:
    """``cuda`` or ``cpu``. Raises ``ConfigError`` when the settings demand a GPU and torch finds none."""
    import torch

    there = torch.cuda.is_available()
    if settings.device == "cuda" and not there:
        raise ConfigError("There is no GPU that torch can use.", remedy="Set kernel.local.device to auto or cpu.")
    return "cuda" if there and settings.device != "cpu" else "cpu"


def choose_gpu_forms(settings: LocalSettings) -> FormPlan:
    """bf16, or four bits by bitsandbytes. Raises ``ConfigError`` for a form that exists on processors only."""
    if settings.quantise == "int4":
        if find_spec("bitsandbytes") is None:
            raise ConfigError("Four bits on a GPU need bitsandbytes.", remedy="Install it, or set quantise to none.")
        return FormPlan("bf16", None, 0, "nf4 on the GPU: the owner's setting")
    if settings.quantise in ("auto", "none"):
        return FormPlan("bf16", None, 0, "bf16 on the GPU")
    raise ConfigError(f"{settings.quantise} is for processors.", remedy="On a GPU, quantise is auto, none or int4.")


def choose_forms(source: WeightsLocation, settings: LocalSettings, log: Callable[[str], None]) -> FormPlan:
    """Forms by the owner's setting, or by this machine's trial."""
    if settings.quantise in ("fp32", "int8", "int4"):
        return plan_forms(settings.quantise, {}, fits=lambda _: True)
    columns, rows = _large_matrix(source)
    trials = machine_trials(source.models_dir, columns, rows, thread_count(settings.threads), log)
    ceiling, free = settings.memory_ceiling_mb, available_mb()
    room = min(ceiling or 1 << 30, free if free is not None else 1 << 30) - RUNTIME_MB

    def fits(forms: tuple[Arithmetic, ...]) -> bool:
        return sum(MEMORY_BY_FOUR_BITS[f] for f in forms) * source.weights.bytes / MEGABYTE <= room

    return plan_forms(settings.quantise, trials, fits=fits)


def _large_matrix(source: WeightsLocation) -> tuple[int, int]:
    """Columns and rows of the model's largest matrix, from a converted folder or from the published weights."""
    folders = store.converted_folders(source.models_dir, source.name, source.weights)
    if folders:
        config = read_config(folders[0])
    else:
        place = store.published_path(source.models_dir, source.weights)
        try:
            config = open_checkpoint(place, tied_head=source.weights.tied_head).config
        except (OuroError, OSError) as error:
            raise _unavailable_weights(error) from error
    return config.width, config.inner


def convert_with_log(
    source: WeightsLocation, form: store.Form, log: Callable[[str], None], cancel: CancelToken
) -> Path:
    """The converted folder; conversion progress goes to ``log`` in steps of 10 %."""
    logged = -1

    def progress(done: int, total: int, what: str) -> None:
        nonlocal logged
        tenth = 10 * done // max(total, 1)
        if tenth > logged:
            logged = tenth
            log(f"{what} to {form}: {10 * tenth} %")

    try:
        return convert_weights(
            source.name, source.weights, form=form, models_dir=source.models_dir, progress=progress, cancel=cancel
        )
    except ProviderError:
        raise
    except (OuroError, OSError) as error:
        raise _unavailable_weights(error) from error


def _unavailable_weights(error: OuroError | OSError) -> ProviderUnavailable:
    problem, remedy = (error.message, error.remedy) if isinstance(error, OuroError) else (f"{error}.", "")
    return ProviderUnavailable(problem, provider=NAME, kind="weights", remedy=remedy)


def check_memory(chosen: FormPlan, folders: dict[Arithmetic, Path], settings: LocalSettings) -> None:
    """Raises ``ProviderUnavailable`` (kind ``memory``) when the weights do not fit."""
    needed = RUNTIME_MB
    for arithmetic, folder in folders.items():
        size = (folder / "model.safetensors").stat().st_size // MEGABYTE
        needed += size * 2 if arithmetic == "fp32" and settings.quantise != "fp32" else size
    problem = memory_shortage(needed, ceiling_mb=settings.memory_ceiling_mb, available=available_mb())
    if problem:
        raise ProviderUnavailable(
            problem,
            provider=NAME,
            kind="memory",
            remedy='Choose a smaller model, or kernel.local.quantise = "int4".',
        )


def _build_engine(chosen: FormPlan, folders: dict[Arithmetic, Path], settings: LocalSettings, device: str) -> Engine:
    import torch

    folder = folders[chosen.wide]
    config, tensors = with_core(read_config(folder), settings), read_tensors(folder)
    nf4 = device == "cuda" and settings.quantise == "int4"
    make: Make = product_maker(tensors, device, whole=chosen.wide == "fp32", nf4=nf4, mapped=True)
    if chosen.narrow is not None:
        make = pair_makers(product_maker(read_tensors(folders[chosen.narrow])), make, chosen.few)
    model = assemble(config, tensors, make, device)
    rule = exit_rule(config, settings)
    return Engine(
        model=model,
        vocabulary=Vocabulary.load(folder, config.stops, config.start),
        memory=cache_format(config, settings, rule, torch.float32 if device == "cpu" else torch.bfloat16),
        rule=rule,
        bounds=BatchLimits(
            prefill_tokens=settings.prefill_tokens,
            cache_tokens=settings.cache_tokens,
            rows=settings.rows,
            kept_tokens=settings.kept_tokens,
        ),
        why=chosen.why,
    )


def with_core(config: LoopConfig, settings: LocalSettings) -> LoopConfig:
    """``config`` with the looped layers of the settings. Raises ``ConfigError`` when the model has no such layers."""
    if not settings.core:
        return config
    if config.norm_each_step:
        raise ConfigError(
            "This model loops by itself, so kernel.local.core cannot choose its layers.",
            remedy="Leave core empty; steps sets the number of loops.",
        )
    first, end = settings.looped_layers
    if end > config.layers:
        raise ConfigError(
            f"kernel.local.core names the layers {settings.core}; the model has {config.layers}.",
            remedy="Name the first and the last one, counted from 1.",
        )
    return config.with_core(first, end, config.steps)


def exit_rule(config: LoopConfig, settings: LocalSettings) -> ExitRule:
    """Raises ``ConfigError`` for a rule that the model does not support."""
    steps = settings.steps or config.steps
    rule = ExitRule(
        settings.exit, steps, q=settings.q, eps=settings.eps, patience=settings.patience, floor=settings.floor
    )
    rule.check(gate=config.gate, steps=steps)
    return rule


def cache_format(config: LoopConfig, settings: LocalSettings, rule: ExitRule, dtype: torch.dtype) -> CacheFormat:
    """With ``adapt`` a token may exceed the rule's steps, up to those the model was trained with."""
    steps = max(rule.steps, config.steps) if settings.adapt else rule.steps
    return CacheFormat(dtype, steps, 1 if settings.holes == "last_step_reuse" else steps, settings.kv_int8)
