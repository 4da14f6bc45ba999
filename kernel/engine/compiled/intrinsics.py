"""LLVM instructions that numba lacks: integer addresses, atomic tickets, float bits, and short vectors.

Addresses are 64-bit integers and are not checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

I8, I16, I32, I64, F32 = ir.IntType(8), ir.IntType(16), ir.IntType(32), ir.IntType(64), ir.FloatType()


@intrinsic
def pointer(_: Any, address: Any) -> Any:
    """An address as a pointer for ``numba.carray``."""

    def make(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return b.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), make


@intrinsic
def next_ticket(_: Any, address: Any) -> Any:
    """Atomic fetch-and-add of 1 on the 64-bit counter at ``address``.

    Earlier writes of a thread are visible to threads that read the raised counter (acquire-release).
    """

    def make(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return b.atomic_rmw("add", b.inttoptr(arguments[0], I64.as_pointer()), I64(1), "acq_rel")

    return types.int64(types.int64), make


@intrinsic
def read_counter(_: Any, address: Any) -> Any:
    """Atomic load (acquire) of the 64-bit counter at ``address``."""

    def make(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return b.load_atomic(b.inttoptr(arguments[0], I64.as_pointer()), "acquire", 8)

    return types.int64(types.int64), make


@intrinsic
def spin_hint(_: Any) -> Any:
    """The processor's hint for a spin loop, where it has one."""

    def make(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        if binding.get_process_triple().startswith("x86_64"):
            b.call(Vectors(b).llvm_function("llvm.x86.sse2.pause", ir.VoidType()), [])
        return context.get_dummy_value()

    return types.void(), make


# Yields the core to another thread: the awaited one may need it.
yield_core = types.ExternalFunction("sched_yield", types.int32())


@intrinsic
def float_of_bits(_: Any, bits: Any) -> Any:
    """The float32 with these 32 bits."""

    def make(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return b.bitcast(arguments[0], F32)

    return types.float32(types.int32), make


class Vectors:
    """Builds instructions on short vectors in the function of ``builder``."""

    def __init__(self, builder: Any) -> None:
        self.b = builder

    def load(self, address: Any, offset: int, kind: Any, lanes: int) -> Any:
        """``lanes`` numbers at ``offset`` bytes after ``address``, unaligned."""
        at = self.b.add(address, I64(offset))
        return self.b.load(self.b.inttoptr(at, ir.VectorType(kind, lanes).as_pointer()), align=1)

    def store(self, number: Any, address: Any, offset: int) -> None:
        """Unaligned store of a vector."""
        at = self.b.add(address, I64(offset))
        self.b.store(number, self.b.inttoptr(at, number.type.as_pointer()), align=1)

    def same(self, kind: Any, lanes: int, number: float) -> Any:
        """A constant vector with equal lanes."""
        return ir.Constant(ir.VectorType(kind, lanes), [number] * lanes)

    def lanes(self, vector: Any, picked: Sequence[int], other: Any = None) -> Any:
        """The picked lanes of ``vector``, or of ``vector`` followed by ``other``."""
        order = ir.Constant(ir.VectorType(I32, len(picked)), list(picked))
        return self.b.shuffle_vector(vector, vector if other is None else other, order)

    def bf16(self, address: Any, offset: int, lanes: int) -> Any:
        """bfloat16 numbers as float32."""
        words = self.b.zext(self.load(address, offset, I16, lanes), ir.VectorType(I32, lanes))
        return self.b.bitcast(self.b.shl(words, self.same(I32, lanes, 16)), ir.VectorType(F32, lanes))

    def multiply_add(self, x: Any, y: Any, z: Any) -> Any:
        """``x * y + z``, in one instruction where the processor has one."""
        return self.b.fadd(self.b.fmul(x, y, flags=("contract",)), z, flags=("contract",))

    def total(self, vector: Any) -> Any:
        """The sum of float32 lanes, in any order."""
        lanes = vector.type.count
        sums = self.llvm_function(f"llvm.vector.reduce.fadd.v{lanes}f32", F32, F32, vector.type)
        return self.b.call(sums, [F32(0.0), vector], fastmath=("reassoc",))

    def prefetch(self, address: Any, offset: int) -> None:
        """Prefetches a cache line."""
        ask = self.llvm_function("llvm.prefetch.p0", ir.VoidType(), I8.as_pointer(), I32, I32, I32)
        at = self.b.inttoptr(self.b.add(address, I64(offset)), I8.as_pointer())
        self.b.call(ask, [at, I32(0), I32(3), I32(1)])

    def llvm_function(self, name: str, result: Any, *arguments: Any) -> Any:
        """The LLVM intrinsic of this name."""
        found = self.b.module.globals.get(name)
        return found or ir.Function(self.b.module, ir.FunctionType(result, arguments), name)
