"""Weights in four bits: a code from 0 to 15 per number, and a scale and a zero per 32 columns of a row.

A weight is ``(code - 8) * scale + zero``. Scale and zero are stored as bfloat16, so they are rounded before the codes
are chosen. Sources that store codes already keep them unchanged.

They are stored in the order in which a product reads them, in blocks of 4 rows by 64 columns, 160 bytes each:

| bytes | what |
|---|---|
| 0 to 127 | codes, 32 bytes a row: the lower halves are its first 32 columns, the upper ones the other 32 |
| 128 to 143 | scales of row 0, both groups, of row 1, ... |
| 144 to 159 | zeros in the same order |
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kernel.weights.rounding import from_bf16, to_bf16

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from kernel.weights.rounding import Floats, Words

GROUP = 32  # columns that share a scale and a zero
MIDDLE = 8  # the code of the zero
BLOCK_ROWS, BLOCK_COLUMNS = 4, 2 * GROUP
BLOCK_CODES = BLOCK_ROWS * BLOCK_COLUMNS // 2  # bytes
BLOCK = BLOCK_CODES + 2 * BLOCK_ROWS * 2 * 2  # bytes, with scale and zero of two groups per row
_STEPS = 15
_SHRUNK = (1.0, 0.9, 0.8)  # ranges tried, as a share of the distance from the middle of a group to either end
_SMALLEST = 1e-36
_REFITS = 2
_CHUNK = 1 << 17  # numbers searched at once: they and their copies fit in the processor's cache


@dataclass(frozen=True, slots=True)
class FourBitCodes:
    """Rows in four bits: ``codes`` (rows, columns) uint8, ``scale`` and ``zero`` (rows, columns / 32) bf16 words."""

    codes: NDArray[np.uint8]
    scale: Words
    zero: Words


def fits_blocks(rows: int, columns: int) -> bool:
    """Whether a matrix of this shape consists of whole blocks."""
    return rows % BLOCK_ROWS == 0 and columns % BLOCK_COLUMNS == 0


def join_codes(pieces: list[FourBitCodes]) -> FourBitCodes:
    """The rows of all pieces, concatenated."""
    import numpy as np

    if len(pieces) == 1:
        return pieces[0]
    return FourBitCodes(
        np.concatenate([piece.codes for piece in pieces]),
        np.concatenate([piece.scale for piece in pieces]),
        np.concatenate([piece.zero for piece in pieces]),
    )


def pack_blocks(of: FourBitCodes) -> NDArray[np.uint8]:
    """Codes in blocks: (rows / 4, columns / 64, 160)."""
    import numpy as np

    rows, columns = of.codes.shape
    blocks, pairs = rows // BLOCK_ROWS, columns // BLOCK_COLUMNS
    halves = of.codes.reshape(blocks, BLOCK_ROWS, pairs, 2, GROUP)
    codes = (halves[..., 0, :] | halves[..., 1, :] << 4).transpose(0, 2, 1, 3)  # (blocks, pairs, rows, 32)
    found = np.empty((blocks, pairs, BLOCK), np.uint8)
    found[..., :BLOCK_CODES] = codes.reshape(blocks, pairs, BLOCK_CODES)
    for words, first in ((of.scale, BLOCK_CODES), (of.zero, BLOCK_CODES + 4 * BLOCK_ROWS)):
        both = np.ascontiguousarray(words.reshape(blocks, BLOCK_ROWS, pairs, 2).transpose(0, 2, 1, 3))
        found[..., first : first + 4 * BLOCK_ROWS] = both.view(np.uint8).reshape(blocks, pairs, 4 * BLOCK_ROWS)
    return found


def quantise_rows(values: Floats) -> FourBitCodes:
    """Codes of rows (n, columns): for each group, the range with the least squared error of those tried."""
    import numpy as np

    rows, columns = values.shape
    step = max(1, _CHUNK // columns)
    pieces = [_search_ranges(values[first : first + step].reshape(-1, GROUP)) for first in range(0, rows, step)]
    shape = (rows, columns // GROUP)
    return FourBitCodes(
        np.concatenate([codes for codes, _, _ in pieces]).reshape(rows, columns),
        to_bf16(np.concatenate([scale for _, scale, _ in pieces]).reshape(shape)),
        to_bf16(np.concatenate([zero for _, _, zero in pieces]).reshape(shape)),
    )


def _search_ranges(x: Floats) -> tuple[NDArray[np.uint8], Floats, Floats]:
    """Groups (n, 32) to codes (n, 32), scale (n, 1) and zero (n, 1); the last two are bf16 values already."""
    import numpy as np

    low, high = x.min(axis=1, keepdims=True), x.max(axis=1, keepdims=True)
    middle, half = (low + high) / 2, (high - low) / 2
    scale, zero, error = np.zeros_like(low), np.zeros_like(low), np.full_like(low, np.inf)

    def consider(new_scale: Floats, new_zero: Floats) -> None:
        """Keeps the candidate for groups where it is better."""
        new_error = _squared_error(x, new_scale, new_zero)
        better = new_error < error
        np.copyto(scale, new_scale, where=better)
        np.copyto(zero, new_zero, where=better)
        np.copyto(error, new_error, where=better)

    for below in _SHRUNK:
        for above in _SHRUNK:
            step = _round_to_bf16(half * (below + above) / _STEPS)
            # Code 0 is the lower end of the range, so the zero (code 8) is 8 steps above it.
            consider(step, _round_to_bf16(middle - half * below + MIDDLE * step))
    for _ in range(_REFITS):
        consider(*_refit(x, _nearest_codes(x, scale, zero)))
    return (_nearest_codes(x, scale, zero) + MIDDLE).astype(np.uint8), scale, zero


def _refit(x: Floats, numbers: Floats) -> tuple[Floats, Floats]:
    """Scale and zero with the least squared error for given codes."""
    import numpy as np

    centre, mean = numbers.mean(axis=1, keepdims=True), x.mean(axis=1, keepdims=True)
    away = numbers - centre
    spread = np.einsum("ij,ij->i", away, away)[:, None]
    slope = np.einsum("ij,ij->i", away, x)[:, None] / np.maximum(spread, 1e-30)
    scale = _round_to_bf16(slope)
    return scale, _round_to_bf16(mean - scale * centre)


def _nearest_codes(x: Floats, scale: Floats, zero: Floats) -> Floats:
    """Codes less 8, as floats."""
    return _round_and_clip(_to_steps(x, scale, zero))


def _squared_error(x: Floats, scale: Floats, zero: Floats) -> Floats:
    """Squared error of each group, (n, 1)."""
    import numpy as np

    steps = _to_steps(x, scale, zero)
    off = _round_and_clip(steps)
    off -= steps
    total: Floats = np.einsum("ij,ij->i", off, off)
    return total[:, None] * scale * scale


def _to_steps(x: Floats, scale: Floats, zero: Floats) -> Floats:
    """Distance of each number from the zero, in steps of the scale.

    A group of equal numbers has the scale 0 and is represented by its zero alone; so is a group whose scale is so small
    that its inverse would overflow.
    """
    import numpy as np

    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > _SMALLEST)
    steps = x * inverse
    steps -= zero * inverse
    return steps


def _round_and_clip(steps: Floats) -> Floats:
    import numpy as np

    numbers = np.rint(steps)
    np.clip(numbers, -MIDDLE, _STEPS - MIDDLE, out=numbers)
    return numbers


def _round_to_bf16(values: Floats) -> Floats:
    return from_bf16(to_bf16(values))
