"""Conversion of floats to bfloat16 and int8, and back. numpy only, on slices of rows, so that memory stays small.

numpy has no bfloat16: it is the upper half of a float32, stored as a 16-bit word.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]
    Words = NDArray[np.uint16]


def to_bf16(values: Floats) -> Words:
    """The upper half of each float32, rounded to nearest even; the shape is kept."""
    import numpy as np

    bits = np.ascontiguousarray(values).view(np.uint32)
    rounded = bits + (((bits >> 16) & 1) + np.uint32(0x7FFF))
    return (rounded >> 16).astype(np.uint16)


def from_bf16(words: Words) -> Floats:
    """Exact; the shape is kept."""
    import numpy as np

    return (words.astype(np.uint32) << 16).view(np.float32)


def to_int8(values: Floats) -> tuple[NDArray[np.int8], Floats]:
    """Rows (n, columns) as integers with one scale (n) each, symmetric: ``values ~ integers * scale``."""
    import numpy as np

    peak = np.abs(values).max(axis=1)
    scale = np.where(peak > 0, peak / 127, 1).astype(np.float32)
    return np.rint(values / scale[:, None]).astype(np.int8), scale
