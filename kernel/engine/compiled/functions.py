"""Functions compiled by numba for quantising states and for four-bit products.

``rows_by_token``, ``rows_by_group`` and ``four_bit_product`` are run by every thread with the same arguments. They draw
their work from a shared counter (tickets), so that a slow thread does not delay the others. Arguments are 64-bit
integers, most of them addresses; the first is the address of the ticket counter.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import carray, float32, int32, int64, njit, types

from kernel.engine.compiled import GATED, NORMED
from kernel.engine.compiled.intrinsics import float_of_bits, next_ticket, pointer
from kernel.engine.compiled.tile import best_dot, make_tile
from kernel.weights.four_bits import BLOCK, GROUP
from kernel.weights.four_bits import BLOCK_COLUMNS as PAIR
from kernel.weights.four_bits import BLOCK_ROWS as ROWS

SMALLEST = 1e-10  # minimum: avoids a scale of 0 for a row of zeros
CHUNK = 16  # blocks of four rows that a thread takes at once

# By default divisions check for zero and sums keep their order, both of which prevent vectorisation.
JIT_OPTIONS = {"fastmath": True, "error_model": "numpy"}
Signature = types.void(types.CPointer(types.int64))


@njit(**JIT_OPTIONS)
def exponential(x: Any) -> Any:
    """e to the ``x``, float32, within some units in the last place; branch-free, so that it vectorises."""
    x = min(max(x, float32(-87.0)), float32(88.0))
    whole = int32(x * float32(1.44269504) + float32(127.5)) - int32(127)
    rest = x - float32(whole) * float32(0.693359375) + float32(whole) * float32(2.12194440e-4)
    series = float32(1.0 / 720.0)
    for factor in (1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0):
        series = series * rest + float32(factor)
    return series * float_of_bits((whole + int32(127)) << int32(23))


@njit(**JIT_OPTIONS)
def apply_gate(x: Any, other: Any, columns: Any) -> None:
    """``silu(x) * other``, in the memory of ``x``."""
    for i in range(columns):
        x[i] = x[i] / (float32(1) + exponential(-x[i])) * other[i]


@njit(**JIT_OPTIONS)
def norm_factor(x: Any, columns: Any, epsilon: Any) -> Any:
    """Factor that brings the root mean square of a row to 1."""
    squares = float32(0)
    for i in range(columns):
        squares += x[i] * x[i]
    return float32(1) / np.sqrt(squares / float32(columns) + epsilon)


@njit(**JIT_OPTIONS)
def largest(x: Any, columns: Any) -> Any:
    """Largest absolute value of a row."""
    most = float32(SMALLEST)
    for i in range(columns):
        most = max(most, abs(x[i]))
    return most


@njit(**JIT_OPTIONS)
def largest_weighted(x: Any, weight: Any, columns: Any) -> Any:
    """Largest absolute value of the row times ``weight``."""
    most = float32(SMALLEST)
    for i in range(columns):
        most = max(most, abs(x[i] * weight[i]))
    return most


@njit(**JIT_OPTIONS)
def quantise_by_token(
    kind: Any, x: Any, other: Any, columns: Any, epsilon: Any, levels: Any, numbers: Any, step: Any
) -> None:
    """Quantises a row to unsigned bytes, ``levels`` on each side of ``levels + 1``, with one step size for the row."""
    most_level, half = float32(levels), float32(levels) + float32(1.5)
    if kind == NORMED:
        most = largest_weighted(x, other, columns)
        step[0] = most * norm_factor(x, columns, epsilon) / most_level
        scale = most_level / most
        for i in range(columns):
            numbers[i] = np.uint8(int32(x[i] * other[i] * scale + half))
        return
    if kind == GATED:
        apply_gate(x, other, columns)
    most = largest(x, columns)
    step[0] = most / most_level
    scale = most_level / most
    for i in range(columns):
        numbers[i] = np.uint8(int32(x[i] * scale + half))


@njit(**JIT_OPTIONS)
def quantise_by_group(kind: Any, x: Any, other: Any, columns: Any, epsilon: Any, numbers: Any, scales: Any) -> None:
    """Quantises a row to signed bytes, with one step size per 32 columns.

    ``scales`` has the shape (columns / 64, 4): two step sizes, then each times the sum of its group's codes.
    """
    factor = float32(1)
    if kind == NORMED:
        factor = norm_factor(x, columns, epsilon)
    if kind == GATED:
        apply_gate(x, other, columns)
    for group in range(columns // GROUP):
        part = x[group * GROUP : (group + 1) * GROUP]
        codes = numbers[group * GROUP : (group + 1) * GROUP]
        if kind == NORMED:
            weight = other[group * GROUP : (group + 1) * GROUP]
            most = largest_weighted(part, weight, GROUP)
            scale = float32(127) / most
            total = int32(0)
            for i in range(GROUP):
                code = int32(part[i] * weight[i] * scale + float32(128.5)) - int32(128)
                codes[i] = np.int8(code)
                total += code
        else:
            most = largest(part, GROUP)
            scale = float32(127) / most
            total = int32(0)
            for i in range(GROUP):
                code = int32(part[i] * scale + float32(128.5)) - int32(128)
                codes[i] = np.int8(code)
                total += code
        step = most * factor / float32(127)
        scales[group // 2, group % 2] = step
        scales[group // 2, 2 + group % 2] = step * float32(total)


@njit(**JIT_OPTIONS)
def row_and_operand(kind: Any, row: Any, columns: Any, states: Any, norm: Any) -> Any:
    """One row and its operand: the other half of a gated row, or the norm's weight."""
    at = states + row * columns * (8 if kind == GATED else 4)
    other = at + columns * 4 if kind == GATED else norm
    return carray(pointer(at), (columns,), np.float32), carray(pointer(other), (columns,), np.float32)


def rows_by_token(arguments: Any) -> None:
    """Arguments: 0 tickets, 1 kind, 2 rows, 3 columns, 4 states, 5 norm, 6 epsilon's bits, 7 numbers, 8 steps, 9
    levels.
    """
    a = carray(arguments, 10)
    kind, columns = a[1], a[3]
    while True:
        row = next_ticket(a[0])
        if row >= a[2]:
            break
        x, other = row_and_operand(kind, row, columns, a[4], a[5])
        numbers = carray(pointer(a[7] + row * columns), (columns,), np.uint8)
        step = carray(pointer(a[8] + row * 4), (1,), np.float32)
        quantise_by_token(kind, x, other, columns, float_of_bits(int32(a[6])), a[9], numbers, step)


def rows_by_group(arguments: Any) -> None:
    """Arguments as in ``rows_by_token``, but 8 are the scales of groups."""
    a = carray(arguments, 9)
    kind, columns = a[1], a[3]
    while True:
        row = next_ticket(a[0])
        if row >= a[2]:
            break
        x, other = row_and_operand(kind, row, columns, a[4], a[5])
        numbers = carray(pointer(a[7] + row * columns), (columns,), np.int8)
        scales = carray(pointer(a[8] + row * columns // PAIR * 16), (columns // PAIR, 4), np.float32)
        quantise_by_group(kind, x, other, columns, float_of_bits(int32(a[6])), numbers, scales)


tile_1, tile_2, tile_4 = (make_tile(tokens, best_dot()) for tokens in (1, 2, 4))


@njit(**JIT_OPTIONS)
def multiply_blocks(
    first: Any,
    last: Any,
    weights: Any,
    blocks: Any,
    pairs: Any,
    tokens: Any,
    numbers: Any,
    scales: Any,
    out: Any,
    bias: Any,
) -> None:
    """Multiplies blocks ``first`` to ``last`` - 1 (four rows each, ``blocks`` in all) with the states of all tokens."""
    row_count = blocks * ROWS
    for block in range(first, last):
        row = weights + block * pairs * BLOCK
        here = out + block * ROWS * 4
        added = bias + block * ROWS * 4 if bias != 0 else int64(0)
        at = int64(0)
        while at < tokens:
            own, own_scales, target = numbers + at * pairs * PAIR, scales + at * pairs * 16, here + at * row_count * 4
            if tokens - at >= 4:
                tile_4(row, pairs, own, own_scales, target, row_count, added)
                at += 4
            elif tokens - at >= 2:
                tile_2(row, pairs, own, own_scales, target, row_count, added)
                at += 2
            else:
                tile_1(row, pairs, own, own_scales, target, row_count, added)
                at += 1


def four_bit_product(arguments: Any) -> None:
    """Arguments: 0 tickets, 1 weights, 2 blocks of four rows, 3 pairs, 4 tokens, 5 numbers, 6 scales, 7 out, 8 bias or
    0.
    """
    a = carray(arguments, 9)
    while True:
        first = next_ticket(a[0]) * CHUNK
        if first >= a[2]:
            break
        multiply_blocks(first, min(first + CHUNK, a[2]), a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8])
