"""What the tests of the converter share: convert by the real child process, and look at what came out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from kernel.cancel import CancelToken
from kernel.engine.model.config import LoopConfig
from kernel.weights import store
from kernel.weights.convert import convert_weights
from kernel.weights.own import describe_weights
from tests.kernel.tiny import Tiny

Progress = Callable[[int, int, str], None]


def run(
    model: Tiny, form: store.Form = "bf16", *, progress: Progress | None = None, cancel: CancelToken | None = None
) -> Path:
    """Of a file that a registry describes."""
    return convert_weights(
        "tiny",
        model.weights,
        form=form,
        models_dir=model.folder,
        progress=progress or quiet,
        cancel=cancel or CancelToken(),
    )


def run_own(place: Path, models_dir: Path, form: store.Form = "bf16") -> Path:
    """Of a file or folder of the owner's."""
    name, weights = describe_weights(place)
    return convert_weights(name, weights, form=form, models_dir=models_dir, progress=quiet, cancel=CancelToken())


def quiet(done: int, total: int, what: str) -> None:
    """Progress that nobody looks at."""


def made(models_dir: Path) -> list[str]:
    """What lies in the folder of converted weights."""
    folder = models_dir / "converted"
    return sorted(p.name for p in folder.iterdir() if p.name != ".lock") if folder.exists() else []


def tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def config_in(folder: Path) -> LoopConfig:
    return LoopConfig.model_validate_json((folder / "config.json").read_text())


def scales_of(found: dict[str, Any], name: str) -> tuple[Any, Any]:
    """Scale and zero of each group, (rows, columns / 32) float32, from the stored blocks."""
    import torch

    blocks = found[f"{name}.int4"]
    rows, pairs = 4 * blocks.shape[0], blocks.shape[1]

    def words(first: int) -> Any:
        both = (
            blocks[..., first : first + 16].contiguous().view(torch.bfloat16).float()
        )  # (blocks, pairs, row and group)
        return both.view(-1, pairs, 4, 2).transpose(1, 2).reshape(rows, 2 * pairs)

    return words(128), words(144)


def unpacked(found: dict[str, Any], name: str) -> Any:
    """What the stored blocks stand for: (rows, columns) float32."""
    import torch

    blocks = found[f"{name}.int4"]
    rows, pairs = 4 * blocks.shape[0], blocks.shape[1]
    codes = blocks[..., :128].view(-1, pairs, 4, 32).transpose(1, 2).reshape(rows, pairs, 32)
    numbers = torch.cat((codes & 15, codes >> 4), dim=-1).view(rows, 2 * pairs, 32).float() - 8
    scale, zero = scales_of(found, name)
    return (numbers * scale[..., None] + zero[..., None]).view(rows, -1)
