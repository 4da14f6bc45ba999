"""Inner loop of a matrix product with four-bit weights: four rows of weights by one, two or four tokens.

Weights are stored in blocks of 4 rows by 64 columns (``kernel.weights.four_bits``): four-bit codes, with a scale and a
zero point for each group of 32 columns. A token's activations are int8 numbers, with a scale for each such group. Both
are multiplied as integers, 64 columns (a pair of groups) at once, and the sums are scaled to floats per group.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from kernel.engine.compiled.intrinsics import F32, I8, I16, I32, I64, Vectors
from kernel.weights.four_bits import BLOCK, MIDDLE
from kernel.weights.four_bits import BLOCK_CODES as CODES
from kernel.weights.four_bits import BLOCK_COLUMNS as PAIR
from kernel.weights.four_bits import BLOCK_ROWS as ROWS

AHEAD = 10 * BLOCK  # bytes to prefetch ahead; measured: less arrives too late, more is evicted before use

Dot = Callable[[Vectors, Any, Any], Any]  # 64 codes and 64 numbers to 16 sums of 4 products each, int32


def dot_vnni(v: Vectors, codes: Any, numbers: Any) -> Any:
    """One instruction of processors with AVX-512 VNNI."""
    lanes = ir.VectorType(I32, 16)
    dot = v.llvm_function("llvm.x86.avx512.vpdpbusd.512", lanes, lanes, codes.type, numbers.type)
    return v.b.call(dot, [v.same(I32, 16, 0), codes, numbers])


def dot_avx2(v: Vectors, codes: Any, numbers: Any) -> Any:
    """Adds pairs of products in 16 bits, which four-bit codes cannot overflow, then pairs of those sums."""
    half, words, sums = ir.VectorType(I8, 32), ir.VectorType(I16, 16), ir.VectorType(I32, 8)
    pairs = v.llvm_function("llvm.x86.avx2.pmadd.ub.sw", words, half, half)
    fours = v.llvm_function("llvm.x86.avx2.pmadd.wd", sums, words, words)
    found = []
    for first in (0, 32):
        picked = range(first, first + 32)
        paired = v.b.call(pairs, [v.lanes(codes, picked), v.lanes(numbers, picked)])
        found.append(v.b.call(fours, [paired, v.same(I16, 16, 1)]))
    return v.lanes(found[0], range(16), found[1])


def dot_portable(v: Vectors, codes: Any, numbers: Any) -> Any:
    """The same in instructions of every processor."""
    wide = ir.VectorType(I16, 64)
    products = v.b.mul(v.b.zext(codes, wide), v.b.sext(numbers, wide))
    for count in (32, 16):
        products = v.b.add(v.lanes(products, range(0, 2 * count, 2)), v.lanes(products, range(1, 2 * count, 2)))
    return v.b.sext(products, ir.VectorType(I32, 16))


def best_dot() -> Dot:
    """The fastest variant for this processor."""
    has = binding.get_host_cpu_features()
    if has.get("avx512vnni"):
        return dot_vnni
    return dot_avx2 if has.get("avx2") else dot_portable


def make_tile(tokens: int, dot: Dot) -> Any:
    """A numba intrinsic: ``(weights, pairs, numbers, scales, out, wide, bias)``.

    All arguments except ``pairs`` (columns / 64) and ``wide`` (rows of the whole matrix) are addresses: ``weights`` of
    four rows of blocks; ``numbers`` (tokens, columns) int8; ``scales`` (tokens, pairs, 4) float32, the scales and the
    sums of both groups; ``out`` (tokens, wide) float32 at the first of the four rows; ``bias`` of that row, or 0.
    """

    @intrinsic
    def multiply_tile(
        _: Any, weights: Any, pairs: Any, numbers: Any, scales: Any, out: Any, wide: Any, bias: Any
    ) -> Any:
        def make(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
            _emit_tile(Vectors(b), dot, tokens, *arguments)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7), make

    return multiply_tile


def _emit_tile(
    v: Vectors,
    dot: Dot,
    tokens: int,
    weights: Any,
    pairs: Any,
    numbers: Any,
    scales: Any,
    out: Any,
    wide: Any,
    bias: Any,
) -> None:
    """Emits the loop over blocks and the final sums."""
    b = v.b
    before, loop, end = b.block, b.append_basic_block("pair"), b.append_basic_block("end")
    columns = b.mul(pairs, I64(PAIR))
    b.branch(loop)

    b.position_at_end(loop)
    at = b.phi(I64)
    sums = [[b.phi(ir.VectorType(F32, 16)) for _ in range(ROWS)] for _ in range(tokens)]
    zeros = [b.phi(ir.VectorType(F32, 2 * ROWS)) for _ in range(tokens)]
    block = b.add(weights, b.mul(at, I64(BLOCK)))
    for line in range(0, BLOCK, 64):
        v.prefetch(block, AHEAD + line)
    codes = [_load_codes(v, block, row) for row in range(ROWS)]
    scale = v.bf16(block, CODES, 2 * ROWS)
    # code 8 stands for weight 0: fold -8 * scale into the zero points
    zero = v.multiply_add(scale, v.same(F32, 2 * ROWS, -float(MIDDLE)), v.bf16(block, CODES + 4 * ROWS, 2 * ROWS))
    new_sums, new_zeros = [], []
    for token in range(tokens):
        place = b.add(numbers, b.add(b.mul(columns, I64(token)), b.mul(at, I64(PAIR))))
        taken = v.load(place, 0, I8, PAIR)
        place = b.add(scales, b.mul(b.add(b.mul(pairs, I64(token)), at), I64(16)))
        own = v.load(place, 0, F32, 4)
        both = b.fmul(scale, v.lanes(own, [0, 1] * ROWS))
        new_zeros.append(v.multiply_add(zero, v.lanes(own, [2, 3] * ROWS), zeros[token]))
        row_sums = []
        for row in range(ROWS):
            product = b.sitofp(dot(v, codes[row], taken), ir.VectorType(F32, 16))
            step = v.lanes(both, [2 * row] * 8 + [2 * row + 1] * 8)
            row_sums.append(v.multiply_add(product, step, sums[token][row]))
        new_sums.append(row_sums)
    following = b.add(at, I64(1))
    at.add_incoming(I64(0), before)
    at.add_incoming(following, loop)
    for token in range(tokens):
        zeros[token].add_incoming(v.same(F32, 2 * ROWS, 0.0), before)
        zeros[token].add_incoming(new_zeros[token], loop)
        for row in range(ROWS):
            sums[token][row].add_incoming(v.same(F32, 16, 0.0), before)
            sums[token][row].add_incoming(new_sums[token][row], loop)
    b.cbranch(b.icmp_signed("<", following, pairs), loop, end)

    b.position_at_end(end)
    added = _load_bias(v, bias)
    for token in range(tokens):
        result = added
        for row in range(ROWS):
            of_zeros = v.lanes(new_zeros[token], [2 * row, 2 * row + 1])
            number = b.fadd(v.total(new_sums[token][row]), v.total(of_zeros))
            result = b.insert_element(result, b.fadd(b.extract_element(added, I32(row)), number), I32(row))
        v.store(result, b.add(out, b.mul(wide, I64(4 * token))), 0)


def _load_codes(v: Vectors, block: Any, row: int) -> Any:
    """64 codes of a row: the first group is in the lower halves of 32 bytes, the second group in the upper ones."""
    bytes_ = v.load(block, row * PAIR // 2, I8, PAIR // 2)
    lower = v.b.and_(bytes_, v.same(I8, PAIR // 2, 15))
    upper = v.b.lshr(bytes_, v.same(I8, PAIR // 2, 4))
    return v.lanes(lower, range(PAIR), upper)


def _load_bias(v: Vectors, bias: Any) -> Any:
    """The bias of the four rows; zeros without one."""
    b = v.b
    there = b.icmp_signed("!=", bias, I64(0))
    nothing = v.same(F32, ROWS, 0.0)
    with b.if_else(there) as (then, otherwise):
        with then:
            found, block_then = v.load(bias, 0, F32, ROWS), b.block
        with otherwise:
            block_else = b.block
    chosen = b.phi(ir.VectorType(F32, ROWS))
    chosen.add_incoming(found, block_then)
    chosen.add_incoming(nothing, block_else)
    return chosen
