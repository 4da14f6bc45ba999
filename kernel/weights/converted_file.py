"""Writes ``model.safetensors`` of a converted folder: threads convert slices of rows and write each to its place.

Memory stays small whatever the model's size: a thread holds one slice of a few million numbers.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kernel.weights.checkpoint import Checkpoint
from kernel.weights.four_bits import BLOCK_ROWS, FourBitCodes, join_codes, pack_blocks, quantise_rows
from kernel.weights.layout import LayoutParameter, TensorPlacement, place_parameter
from kernel.weights.rounding import to_bf16, to_int8

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kernel.weights.rounding import Floats

OnProgress = Callable[[int, int], None]  # slices done, slices in total
FilePlan = list[tuple[LayoutParameter, tuple[TensorPlacement, ...]]]
FILE = "model.safetensors"
_SLICE_NUMBERS = 4_000_000  # per slice; limits the memory of one thread to some 150 MB
_SLICE_ROWS = 64  # slices begin at multiples of it, so that they hold whole blocks of four-bit weights
_ALIGNMENT = 64


def plan_file(wanted: Iterator[LayoutParameter]) -> FilePlan:
    """Every parameter with its places in the file."""
    at, plan = 0, FilePlan()
    for parameter in wanted:
        targets = place_parameter(parameter, at)
        plan.append((parameter, targets))
        at = targets[-1].start + targets[-1].size
    return plan


def count_bytes(plan: FilePlan) -> int:
    """Size of all tensors, without the header."""
    last = plan[-1][1][-1]
    return last.start + last.size


def write_tensors(
    checkpoint: Checkpoint, plan: FilePlan, folder: Path, *, workers: int, on_progress: OnProgress
) -> None:
    """Writes the file. Raises ``OSError`` when the disk is full."""
    table = {
        t.name: {"dtype": t.kind, "shape": t.shape, "data_offsets": [t.start, t.start + t.size]}
        for _, targets in plan
        for t in targets
    }
    text = json.dumps(table).encode()
    text += b" " * (-(len(text) + 8) % _ALIGNMENT)  # aligns the first tensor
    with (folder / FILE).open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.flush()
        base, out = 8 + len(text), file.fileno()
        os.ftruncate(out, base + count_bytes(plan))
        with ThreadPoolExecutor(workers) as pool:
            slices = [
                pool.submit(_write_slice, checkpoint, out, base, parameter, targets, first)
                for parameter, targets in plan
                for first in range(0, parameter.rows, _rows_of_slice(parameter))
            ]
            try:
                for done, finished in enumerate(as_completed(slices), 1):
                    finished.result()
                    on_progress(done, len(slices))
            finally:
                pool.shutdown(cancel_futures=True)  # after the first error the rest is useless
        os.fsync(out)


def _rows_of_slice(parameter: LayoutParameter) -> int:
    return max(1, _SLICE_NUMBERS // parameter.columns // _SLICE_ROWS) * _SLICE_ROWS


def _write_slice(
    checkpoint: Checkpoint,
    out: int,
    base: int,
    parameter: LayoutParameter,
    targets: tuple[TensorPlacement, ...],
    first: int,
) -> None:
    """Converts and writes the rows from ``first`` on."""
    count = min(_rows_of_slice(parameter), parameter.rows - first)
    if parameter.coding == "int4":
        found = join_codes(_four_bit_codes(checkpoint, parameter, first, count))
        _write_at(out, pack_blocks(found), base + targets[0].start + first // BLOCK_ROWS * targets[0].row_bytes)
        return
    places = [base + target.start + first * target.row_bytes for target in targets]
    values = _values(checkpoint, parameter, first, count)
    if parameter.coding == "int8":
        integers, scale = to_int8(values)
        _write_at(out, integers, places[0])
        _write_at(out, scale, places[1])
    else:
        _write_at(out, to_bf16(values) if parameter.coding == "BF16" else values, places[0])


def _values(checkpoint: Checkpoint, parameter: LayoutParameter, first: int, count: int) -> Floats:
    """Rows (count, columns); the parts of a vector are concatenated."""
    import numpy as np

    if parameter.vector:
        return np.concatenate([checkpoint.rows(part, 0, 1) for part in parameter.parts], axis=1)
    pieces = [checkpoint.rows(*piece) for piece in _part_rows(checkpoint, parameter, first, count)]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _four_bit_codes(checkpoint: Checkpoint, parameter: LayoutParameter, first: int, count: int) -> list[FourBitCodes]:
    """Codes of each part: stored codes are kept, other numbers are quantised."""
    return [
        checkpoint.codes(*piece) or quantise_rows(checkpoint.rows(*piece))
        for piece in _part_rows(checkpoint, parameter, first, count)
    ]


def _part_rows(
    checkpoint: Checkpoint, parameter: LayoutParameter, first: int, count: int
) -> Iterator[tuple[str, int, int]]:
    """Part, first row in it and number of rows, for rows counted over all parts."""
    for part in parameter.parts:
        rows = checkpoint.shapes[part][0]
        begin, end = max(first, 0), min(first + count, rows)
        if begin < end:
            yield part, begin, end - begin
        first -= rows


def _write_at(out: int, array: NDArray[Any], at: int) -> None:
    import numpy as np

    rest = np.ascontiguousarray(array).reshape(-1).view(np.uint8).data
    while rest:  # a write may be partial, at two gigabytes or when the disk is full
        written = os.pwrite(out, rest, at)
        rest, at = rest[written:], at + written
