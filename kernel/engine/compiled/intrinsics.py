"""What numba has no word for, in LLVM's: addresses as numbers, tickets, the bits of a float, and short vectors.

Addresses are 64-bit integers, and are trusted.
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
    """A number as a pointer that ``numba.carray`` takes."""

    def make(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return b.inttoptr(arguments[0], cgutils.voidptr_t)

    return types.voidptr(types.int64), make


@intrinsic
def next_ticket(_: Any, address: Any) -> Any:
    """Reads the 64-bit counter at ``address`` and adds one, as one step for all threads.

    What a thread wrote before is seen by those who find the counter raised.
    """

    def make(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return b.atomic_rmw("add", b.inttoptr(arguments[0], I64.as_pointer()), I64(1), "acq_rel")

    return types.int64(types.int64), make


@intrinsic
def read_counter(_: Any, address: Any) -> Any:
    """The 64-bit counter at ``address`` as other threads have left it."""

    def make(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return b.load_atomic(b.inttoptr(arguments[0], I64.as_pointer()), "acquire", 8)

    return types.int64(types.int64), make


@intrinsic
def spin_hint(_: Any) -> Any:
    """Tells the processor that this is a loop which waits, where it has a word for it."""

    def make(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        if binding.get_process_triple().startswith("x86_64"):
            b.call(Vectors(b).known("llvm.x86.sse2.pause", ir.VoidType()), [])
        return context.get_dummy_value()

    return types.void(), make


# Lets another thread have the core: the one that is waited for may need it.
yield_core = types.ExternalFunction("sched_yield", types.int32())


@intrinsic
def float_of_bits(_: Any, bits: Any) -> Any:
    """The float32 that has these 32 bits."""

    def make(context: Any, b: Any, signature: Any, arguments: Any) -> Any:
        return b.bitcast(arguments[0], F32)

    return types.float32(types.int32), make


class Vectors:
    """Short vectors in the function that ``builder`` writes."""

    def __init__(self, builder: Any) -> None:
        self.b = builder

    def load(self, address: Any, offset: int, kind: Any, lanes: int) -> Any:
        """``lanes`` numbers from ``offset`` bytes behind ``address``, wherever that is."""
        at = self.b.add(address, I64(offset))
        return self.b.load(self.b.inttoptr(at, ir.VectorType(kind, lanes).as_pointer()), align=1)

    def store(self, number: Any, address: Any, offset: int) -> None:
        at = self.b.add(address, I64(offset))
        self.b.store(number, self.b.inttoptr(at, number.type.as_pointer()), align=1)

    def same(self, kind: Any, lanes: int, number: float) -> Any:
        return ir.Constant(ir.VectorType(kind, lanes), [number] * lanes)

    def lanes(self, vector: Any, picked: Sequence[int], other: Any = None) -> Any:
        """The picked lanes of ``vector``, or of ``vector`` and ``other`` behind it."""
        order = ir.Constant(ir.VectorType(I32, len(picked)), list(picked))
        return self.b.shuffle_vector(vector, vector if other is None else other, order)

    def bf16(self, address: Any, offset: int, lanes: int) -> Any:
        """bfloat16 numbers as float32."""
        words = self.b.zext(self.load(address, offset, I16, lanes), ir.VectorType(I32, lanes))
        return self.b.bitcast(self.b.shl(words, self.same(I32, lanes, 16)), ir.VectorType(F32, lanes))

    def multiply_add(self, x: Any, y: Any, z: Any) -> Any:
        """``x * y + z``, in one instruction where there is one."""
        return self.b.fadd(self.b.fmul(x, y, flags=("contract",)), z, flags=("contract",))

    def total(self, vector: Any) -> Any:
        """The sum of float32 lanes, in any order."""
        lanes = vector.type.count
        sums = self.known(f"llvm.vector.reduce.fadd.v{lanes}f32", F32, F32, vector.type)
        return self.b.call(sums, [F32(0.0), vector], fastmath=("reassoc",))

    def prefetch(self, address: Any, offset: int) -> None:
        """Asks for the cache line, to be read once or so."""
        ask = self.known("llvm.prefetch.p0", ir.VoidType(), I8.as_pointer(), I32, I32, I32)
        at = self.b.inttoptr(self.b.add(address, I64(offset)), I8.as_pointer())
        self.b.call(ask, [at, I32(0), I32(3), I32(1)])

    def known(self, name: str, result: Any, *arguments: Any) -> Any:
        """LLVM's own function of this name."""
        found = self.b.module.globals.get(name)
        return found or ir.Function(self.b.module, ir.FunctionType(result, arguments), name)
