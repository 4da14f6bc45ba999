"""What the tests of the converter share: convert by the real child process, and look at what came out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kernel.cancel import CancelToken
from kernel.loop.config import LoopConfig
from kernel.weights import store
from kernel.weights.convert import convert
from kernel.weights.own import weights_at
from tests.kernel.tiny import Tiny

Progress = Callable[[int, int, str], None]


def run(
    model: Tiny, form: store.Form = "bf16", *, progress: Progress | None = None, cancel: CancelToken | None = None
) -> Path:
    """Of a file that a registry describes."""
    return convert(
        "tiny", model.weights, form=form, models_dir=model.folder, capability=capability() if form == "int4" else "",
        progress=progress or quiet, cancel=cancel or CancelToken(),
    )  # fmt: skip


def run_own(place: Path, models_dir: Path, form: store.Form = "bf16") -> Path:
    """Of a file or folder of the owner's."""
    name, weights = weights_at(place)
    return convert(
        name, weights, form=form, models_dir=models_dir, capability=capability() if form == "int4" else "",
        progress=quiet, cancel=CancelToken(),
    )  # fmt: skip


def quiet(done: int, total: int, what: str) -> None:
    """Progress that nobody looks at."""


def capability() -> str:
    import torch

    return str(torch.backends.cpu.get_cpu_capability())


def made(models_dir: Path) -> list[str]:
    """What lies in the folder of converted weights."""
    folder = models_dir / "converted"
    return sorted(p.name for p in folder.iterdir() if p.name != ".lock") if folder.exists() else []


def tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def config_in(folder: Path) -> LoopConfig:
    return LoopConfig.model_validate_json((folder / "config.json").read_text())


def unpacked(found: dict[str, Any], name: str) -> Any:
    """What the processor's own four-bit product takes the stored bytes for: (rows, columns) float32.

    Multiplying the unit matrix gives each weight alone, rounded to bf16 on the way out.
    """
    import torch

    scales = found[f"{name}.scales"]
    unit = torch.eye(scales.shape[0] * 32, dtype=torch.bfloat16)
    product = torch.ops.aten._weight_int4pack_mm_for_cpu(unit, found[f"{name}.int4"], 32, scales)
    return product.float().t()
