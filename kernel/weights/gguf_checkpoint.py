"""Reads the weights of a GGUF file (architectures qwen2 and llama)."""

from __future__ import annotations

from functools import cached_property
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING

from kernel.engine.model.config import LoopConfig
from kernel.weights.checkpoint import EMBEDDING, HEAD
from kernel.weights.gguf_config import architecture_of, config_of
from kernel.weights.gguf_file import GgufHead, TensorInfo, read_head
from kernel.weights.gguf_tensors import ROPE_FACTORS, check_kind, dequantise, published_name, row_bytes, unpack_codes
from kernel.weights.tokenizer_file import write_tokenizer
from ledger.errors import OuroError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kernel.weights.four_bits import FourBitCodes
    from kernel.weights.rounding import Floats


class GgufCheckpoint:
    """Implements ``Checkpoint``."""

    def __init__(self, path: Path, *, tied_head: bool = False) -> None:
        """``tied_head``: one matrix is embedding and head of the model; if the file has two, the head's is used.

        Raises ``OuroError`` for a file that is not GGUF, of another architecture, or truncated.
        """
        import numpy as np

        self._head = read_head(path)
        architecture_of(self._head)  # first: for another architecture, later errors would mislead
        self._raw = np.memmap(path, dtype=np.uint8, mode="r")
        _check_tensors(path, self._head, len(self._raw))
        stored = dict(self._head.tensors)
        factors = stored.pop(ROPE_FACTORS, None)
        self._tensors = {published_name(name): info for name, info in stored.items()}
        tied = tied_head or HEAD not in self._tensors
        if tied and HEAD in self._tensors:
            self._tensors[EMBEDDING] = self._tensors.pop(HEAD)
        self.config: LoopConfig = config_of(self._head, self._vector(factors) if factors else [], tied=tied)

    @cached_property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: info.shape for name, info in self._tensors.items()}

    def rows(self, name: str, first: int, count: int) -> Floats:
        info = self._tensors[name]
        return dequantise(self._stored_rows(name, first, count), info.kind, info.shape[-1])

    def codes(self, name: str, first: int, count: int) -> FourBitCodes | None:
        info = self._tensors[name]
        return unpack_codes(self._stored_rows(name, first, count), info.kind, info.shape[-1])

    def write_tokenizer(self, folder: Path) -> None:
        write_tokenizer(self._head, folder)

    def _stored_rows(self, name: str, first: int, count: int) -> NDArray[np.uint8]:
        """The stored bytes of some rows, as an array (count, bytes per row)."""
        info = self._tensors[name]
        rows, width = 1 if len(info.shape) == 1 else info.shape[0], row_bytes(info.shape[-1], info.kind)
        table = self._raw[info.offset : info.offset + rows * width].reshape(rows, width)
        if self.config.family == "llama" and name.endswith(("q_proj.weight", "k_proj.weight")):
            return table[_interleaved_rows(first, count, self.config.head_size)]
        return table[first : first + count]

    def _vector(self, info: TensorInfo) -> list[float]:
        width = row_bytes(info.shape[0], info.kind)
        raw = self._raw[info.offset : info.offset + width]
        return [float(value) for value in dequantise(raw[None, :], info.kind, info.shape[0])[0]]


def _interleaved_rows(first: int, count: int, head_size: int) -> NDArray[np.intp]:
    """Row numbers in a llama GGUF file for rows of the published query and key weights.

    Rotary embedding rotates pairs of rows: adjacent rows in GGUF files, rows half a head apart in published weights.
    """
    import numpy as np

    rows = np.arange(first, first + count)
    head, place = rows - rows % head_size, rows % head_size
    return head + place % (head_size // 2) * 2 + place // (head_size // 2)


def _check_tensors(path: Path, head: GgufHead, size: int) -> None:
    """Raises ``OuroError`` for a tensor of an unsupported quantisation or shape, or a truncated file."""
    for kind in {info.kind for info in head.tensors.values()}:
        row_bytes(0, kind)
        check_kind(kind)
    for info in head.tensors.values():
        if not 1 <= len(info.shape) <= 2 or not all(info.shape):
            raise OuroError(f"The tensor {info.name} has the shape {list(info.shape)}, which no supported decoder has.")
        missing = info.offset + prod(info.shape[:-1]) * row_bytes(info.shape[-1], info.kind) - size
        if missing > 0:
            raise OuroError(f"{path.name} is cut off: {missing} bytes are missing.", remedy="Fetch it again.")
