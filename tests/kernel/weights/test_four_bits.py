"""Numbers in four bits: never worse than the plain way, and exact where four bits are enough."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from kernel.weights.four_bits import BLOCK, GROUP, FourBitCodes, fits_blocks, join_codes, pack_blocks, quantise_rows
from kernel.weights.rounding import from_bf16, to_bf16, to_int8

BF16 = 2.0**-8  # twice the largest relative error of its rounding


def values_of(found: FourBitCodes) -> Any:
    """The weights (rows, columns) that the codes stand for: ``(code - 8) * scale + zero``."""
    import numpy as np

    grouped = found.codes.reshape(*found.scale.shape, GROUP).astype(np.float32) - 8
    values = grouped * from_bf16(found.scale)[..., None] + from_bf16(found.zero)[..., None]
    return values.reshape(found.codes.shape)


def random(rows: int, columns: int, seed: int = 0, *, offset: float = 0.0) -> Any:
    import numpy as np

    return np.random.default_rng(seed).standard_normal((rows, columns), dtype=np.float32) * 0.02 + np.float32(offset)


def by_group(values: Any) -> Any:
    return values.reshape(len(values), -1, GROUP)


def plain_error(values: Any) -> Any:
    """Squared error of the textbook way, by group: sixteen even steps from the least to the largest number."""
    import numpy as np

    groups = by_group(values)
    low, step = groups.min(-1, keepdims=True), np.ptp(groups, axis=-1, keepdims=True) / 15
    step = from_bf16(to_bf16(step))
    zero = from_bf16(to_bf16(low + 8 * step))
    codes = np.clip(np.rint((groups - zero) / np.where(step > 0, step, 1)), -8, 7)
    return ((codes * step + zero - groups) ** 2).sum(-1)


@pytest.mark.parametrize("offset", [0.0, 0.05])
def test_a_group_is_never_worse_than_with_even_steps(offset: float) -> None:
    import numpy as np

    values = random(300, 1536, offset=offset)
    found = quantise_rows(values)
    error = (by_group(values_of(found) - values) ** 2).sum(-1)
    assert (error <= plain_error(values) * 1.0001).all()
    assert error.sum() < 0.9 * plain_error(values).sum()
    assert found.codes.dtype == np.uint8 and found.codes.max() == 15 and found.codes.min() == 0


@settings(deadline=None, max_examples=60)
@example([0.0] * (GROUP - 1) + [1.1754943508222875e-38], 1.0)
@given(
    st.lists(st.floats(-1e3, 1e3, width=32), min_size=GROUP, max_size=GROUP),
    st.sampled_from([1.0, 1e-6, 1e6]),
)
def test_no_number_is_lost(numbers: list[float], size: float) -> None:
    """Within one and a half steps of the whole range, however it is spread; nothing becomes infinite."""
    import numpy as np

    values = np.array([numbers], dtype=np.float32) * np.float32(size)
    error = np.abs(values_of(quantise_rows(values)) - values)
    assert (error <= 0.12 * np.ptp(values) + BF16 * np.abs(values).max() + 1e-30).all()


def test_sixteen_even_values_come_back_exactly() -> None:
    import numpy as np

    codes = np.tile(np.arange(16, dtype=np.float32), 4)[None, :]
    values = (codes - 8) * np.float32(0.25) + np.float32(1.5)
    assert (values_of(quantise_rows(values)) == values).all()


def test_equal_numbers_and_nothing_at_all() -> None:
    import numpy as np

    values = np.zeros((2, 64), dtype=np.float32)
    values[1] = 0.37
    back = values_of(quantise_rows(values))
    assert (back[0] == 0).all()
    assert np.abs(back[1] - 0.37).max() < 0.37 * BF16


def test_rows_are_joined_in_their_order() -> None:
    import numpy as np

    first, second = quantise_rows(random(3, 64, 1)), quantise_rows(random(5, 64, 2))
    both = join_codes([first, second])
    assert isinstance(both, FourBitCodes)
    assert (values_of(both) == np.concatenate([values_of(first), values_of(second)])).all()


@pytest.mark.parametrize(("rows", "columns", "taken"), [(4, 64, True), (6, 64, False), (64, 96, False)])
def test_which_matrices_make_whole_blocks(rows: int, columns: int, taken: bool) -> None:
    assert fits_blocks(rows, columns) == taken


def test_every_code_scale_and_zero_has_its_place_in_a_block() -> None:
    """Read back number by number, as the table in the module says."""
    import numpy as np

    rows, columns = 8, 128
    numbers = np.random.default_rng(3)
    codes = numbers.integers(0, 16, (rows, columns), dtype=np.uint8)
    scale, zero = (numbers.integers(0, 1 << 16, (rows, columns // GROUP), dtype=np.uint16) for _ in range(2))
    blocks = pack_blocks(FourBitCodes(codes, scale, zero))
    assert blocks.shape == (rows // 4, columns // 64, BLOCK)
    for row in range(rows):
        for column in range(columns):
            block, within = blocks[row // 4, column // 64], column % 64
            byte = int(block[row % 4 * 32 + within % 32])
            assert (byte >> 4 if within >= 32 else byte & 15) == codes[row, column]
            word = row % 4 * 2 + within // 32
            assert block[128:144].view(np.uint16)[word] == scale[row, column // 32]
            assert block[144:160].view(np.uint16)[word] == zero[row, column // 32]


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=8))
@settings(deadline=None, max_examples=100)
def test_bf16_is_rounded_as_torch_does(numbers: list[float]) -> None:
    import numpy as np
    import torch

    values = np.array(numbers, dtype=np.float32)
    wanted = torch.from_numpy(values.copy()).bfloat16()
    words = to_bf16(values)
    assert torch.equal(torch.from_numpy(words.view(np.int16)).view(torch.bfloat16), wanted)
    assert np.array_equal(from_bf16(words), wanted.float().numpy())


def test_int8_has_one_scale_a_row() -> None:
    import numpy as np

    values = random(4, 50)
    values[2] = 0
    integers, scale = to_int8(values)
    assert np.abs(integers).max(axis=1).tolist() == [127, 127, 0, 127] and scale[2] == 1
    assert (np.abs(integers * scale[:, None] - values) <= scale[:, None] * 0.5001).all()
