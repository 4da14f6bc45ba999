"""A model folder as published: configuration, tokenizer, and tensors in safetensors files."""

from __future__ import annotations

import shutil
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.engine.model.config import LoopConfig, config_from_published
from kernel.weights.checkpoint import HEAD
from kernel.weights.rounding import from_bf16
from kernel.weights.safetensors_file import WIDTHS, read_table
from ledger import parsers
from ledger.errors import OuroError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kernel.weights.rounding import Floats

CONFIG, TOKENIZER, TENSORS, INDEX = "config.json", "tokenizer.json", "model.safetensors", "model.safetensors.index.json"
TEMPLATE = "chat_template.jinja"
EXTRA = ("tokenizer_config.json", TEMPLATE, "generation_config.json")  # optional
_MOST_JSON = 32 * 1024 * 1024
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
_COMPUTED = ".rotary_emb.inv_freq"  # stored by old writers; derived from the configuration


def tensor_files(folder: Path) -> tuple[str, ...]:
    """Names of the safetensors files. Raises ``OuroError`` when there are none, or some are missing."""
    if (folder / INDEX).is_file():
        table = read_json(folder / INDEX).get("weight_map")
        names = sorted({str(name) for name in table.values()}) if isinstance(table, dict) else []
        foreign = [name for name in names if name != Path(name).name or name in (".", "..")]
        if not names or foreign:
            raise OuroError(f"{INDEX} in {folder} does not name files of its folder.", remedy="Fetch it again.")
    elif (folder / TENSORS).is_file():
        names = [TENSORS]
    elif any(path.suffix in PICKLES for path in folder.iterdir()):
        raise OuroError(
            f"{folder} holds its weights as pickle files, which can run arbitrary code when they are loaded.",
            remedy="Use the same weights in safetensors.",
        )
    else:
        raise OuroError(
            f"There is no {TENSORS} in {folder}.", remedy="Name the folder with config.json, or a .gguf file."
        )
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise OuroError(f"{folder} lacks {missing[0]}, which {INDEX} names.", remedy="Fetch the whole folder again.")
    return tuple(names)


def folder_files(folder: Path) -> tuple[str, ...]:
    """Every file that the converter reads. Raises ``OuroError`` when a required one is missing."""
    for name, reason in ((CONFIG, "the model's configuration"), (TOKENIZER, "its tokenizer")):
        if not (folder / name).is_file():
            raise OuroError(
                f"There is no {name} in {folder}, {reason}.", remedy="Fetch all files of the model's repository."
            )
    index = (INDEX,) if (folder / INDEX).is_file() else ()
    return (CONFIG, TOKENIZER, *(name for name in EXTRA if (folder / name).is_file()), *index, *tensor_files(folder))


def read_json(path: Path) -> dict[str, Any]:
    """Raises ``OuroError`` for a file without a JSON object, or larger than any description of a model."""
    with path.open("rb") as file:
        data = file.read(_MOST_JSON + 1)
    if len(data) > _MOST_JSON:
        raise OuroError(f"{path.name} is larger than {_MOST_JSON} bytes.", remedy="Fetch it again.")
    try:
        found = parsers.json.read_json(data)
    except ValueError as error:
        raise OuroError(f"{path.name} cannot be read as JSON: {error}.", remedy="Fetch it again.") from error
    if not isinstance(found, dict):
        raise OuroError(f"{path.name} holds no JSON object.", remedy="Fetch it again.")
    return found


class PublishedFolder:
    """Implements ``Checkpoint``, for tensors in bf16, f16 or f32."""

    def __init__(self, folder: Path) -> None:
        """Raises ``OuroError`` for a folder with inconsistent files."""
        import numpy as np

        self._folder = folder
        raw = read_json(folder / CONFIG)
        if raw.get("hidden_act", "silu") != "silu":
            raise OuroError(f"Weights with the activation {raw['hidden_act']!r} cannot be loaded.")
        config = config_from_published(raw)
        self.config: LoopConfig = config.model_copy(update={"stops": self._stops(config)})
        tables = [read_table(folder / name) for name in tensor_files(folder)]
        self._tensors = {
            name: stored for table in tables for name, stored in table.items() if not name.endswith(_COMPUTED)
        }
        if sum(map(len, tables)) != len({name for table in tables for name in table}):
            raise OuroError(f"Two files in {folder} hold the same tensor.", remedy="Fetch the whole folder again.")
        if config.tied:
            self._tensors.pop(HEAD, None)  # some writers store the shared matrix twice
        paths = {stored.path for stored in self._tensors.values()}
        self._raw = {path: np.memmap(path, dtype=np.uint8, mode="r") for path in paths}

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: stored.shape for name, stored in self._tensors.items()}

    def rows(self, name: str, first: int, count: int) -> Floats:
        import numpy as np

        stored = self._tensors[name]
        columns = stored.shape[-1]
        width = columns * WIDTHS[stored.kind]
        begin = stored.offset + first * width
        raw: NDArray[np.uint8] = np.array(self._raw[stored.path][begin : begin + count * width])
        if stored.kind == "BF16":
            return from_bf16(raw.view(np.uint16)).reshape(count, columns)
        found = raw.view(np.float16 if stored.kind == "F16" else np.float32)
        return found.astype(np.float32, copy=False).reshape(count, columns)

    def codes(self, name: str, first: int, count: int) -> None:
        return None

    def write_tokenizer(self, folder: Path) -> None:
        shutil.copyfile(self._folder / TOKENIZER, folder / TOKENIZER)
        template = self._template()
        if template:
            (folder / TEMPLATE).write_text(template, encoding="utf-8")

    def _template(self) -> str:
        """The chat template from its own file or from the tokenizer's configuration, which may hold several by name."""
        if (self._folder / TEMPLATE).is_file():
            return (self._folder / TEMPLATE).read_text(encoding="utf-8")
        path = self._folder / "tokenizer_config.json"
        found = read_json(path).get("chat_template") if path.is_file() else None
        if isinstance(found, list):
            found = {one.get("name"): one.get("template") for one in found if isinstance(one, dict)}.get("default")
        return found if isinstance(found, str) else ""

    def _stops(self, config: LoopConfig) -> tuple[int, ...]:
        """Stop tokens of the model's configuration and of its generation configuration."""
        path = self._folder / "generation_config.json"
        found = read_json(path).get("eos_token_id") if path.is_file() else None
        more = found if isinstance(found, list) else [found]
        return tuple(dict.fromkeys((*config.stops, *(int(stop) for stop in more if isinstance(stop, int)))))
