"""The filters, run on a small model of the kernel's interpreter."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.sandbox.seccomp import (
    CLONE_NEW_NAMESPACE,
    NAMESPACED,
    NETWORKED,
    NUMBERS,
    SHARED,
    SHARED_NETWORKED,
    Rule,
    number,
    program,
)

ALLOW, KILL = 0x7FFF0000, 0x80000000
ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
MACHINES = tuple(ARCH)


def answer(code: bytes, arch: int, nr: int, *arguments: int) -> int:
    """What the filter returns for one call."""
    data = struct.pack("=iIQ6Q", nr if nr < 1 << 31 else nr - (1 << 32), arch, 0, *(*arguments, *[0] * 6)[:6])
    ops = [struct.unpack_from("=HBBI", code, at) for at in range(0, len(code), 8)]
    at, value = 0, 0
    while True:
        kind, if_true, if_false, k = ops[at]
        at += 1
        if kind == 0x20:
            (value,) = struct.unpack_from("=I", data, k)
        elif kind == 0x06:
            return int(k)
        else:
            hit = {0x15: value == k, 0x35: value >= k, 0x45: bool(value & k)}[kind]
            at += if_true if hit else if_false


def refused(code: bytes, machine: str, call: str, *arguments: int) -> int | None:
    """The error that ``call`` gets; None when it is allowed."""
    nr = number(call, machine)
    assert nr is not None
    got = answer(code, ARCH[machine], nr, *arguments)
    return None if got == ALLOW else got & 0xFFFF


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_refused_and_what_is_not(machine: str) -> None:
    inside, shared = program(NAMESPACED, machine), program(SHARED, machine)
    assert inside and shared
    for call in ("unshare", "setns", "mount", "bpf", "keyctl", "userfaultfd"):
        assert refused(inside, machine, call) == refused(shared, machine, call) == errno.EPERM
    assert refused(inside, machine, "clone3") == refused(inside, machine, "io_uring_setup") == errno.ENOSYS
    assert refused(inside, machine, "socket") is None and refused(inside, machine, "ptrace") is None
    assert refused(shared, machine, "socket") == errno.EAFNOSUPPORT
    for call in ("ptrace", "process_vm_readv", "process_vm_writev"):
        assert refused(shared, machine, call) == errno.EPERM
    assert refused(shared, machine, "fchmodat") == 0 and refused(inside, machine, "fchmodat") is None


@pytest.mark.parametrize("machine", MACHINES)
def test_conditions_on_arguments(machine: str) -> None:
    code = program(SHARED, machine)
    assert code
    assert refused(code, machine, "clone", 0x11) is None  # a plain fork
    assert refused(code, machine, "clone", 0x10000011) == errno.EPERM
    assert refused(code, machine, "prlimit64", 0) is None
    assert refused(code, machine, "prlimit64", 4711) == errno.EPERM
    assert refused(code, machine, "setpriority", 0, 0) is None
    assert refused(code, machine, "setpriority", 0, 4711) == errno.EPERM
    assert refused(code, machine, "utimensat", 3, 4711, 0) == errno.EPERM  # "now": a path that is to be touched
    assert refused(code, machine, "utimensat", 3, 4711, 4712) == 0


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("rules", [NETWORKED, SHARED_NETWORKED], ids=["bwrap", "landlock"])
def test_with_the_network_only_internet_sockets_are_there(machine: str, rules: tuple[Rule, ...]) -> None:
    code = program(rules, machine)
    assert code
    allowed = {family for family in range(64) if refused(code, machine, "socket", family) is None}
    assert allowed == {2, 10, 16}  # IPv4, IPv6, netlink
    assert refused(code, machine, "socket", 1) == errno.EAFNOSUPPORT
    assert refused(code, machine, "unshare") == errno.EPERM and refused(code, machine, "clone", 0x11) is None


@pytest.mark.parametrize("machine", MACHINES)
def test_foreign_tables_are_not_read(machine: str) -> None:
    code = program(NAMESPACED, machine)
    assert code
    assert answer(code, 0x40000003, 1) == KILL  # 32-bit
    assert answer(code, ARCH[machine], 0x40000000 + 272) & 0xFFFF == errno.ENOSYS  # x32
    assert program(NAMESPACED, "riscv64") is None


@settings(deadline=None, max_examples=200)
@given(st.sampled_from(MACHINES), st.integers(0, 600), st.integers(0, 2**64 - 1))
def test_every_call_without_a_rule_is_allowed(machine: str, nr: int, argument: int) -> None:
    code = program(SHARED, machine)
    named = {number(call, machine): call for rule in SHARED for call in rule.calls}
    assert code
    got = answer(code, ARCH[machine], nr, argument)
    if nr not in named:
        assert got == ALLOW
    elif named[nr] == "clone":
        assert (got == ALLOW) == (argument & CLONE_NEW_NAMESPACE == 0)
    elif named[nr] == "setpriority":
        assert got == ALLOW
    elif named[nr] in ("prlimit64", "sched_setaffinity"):
        assert (got == ALLOW) == (argument & 0xFFFFFFFF == 0)
    else:
        assert got != ALLOW


def test_every_number_is_used_once() -> None:
    for column in (0, 1):
        numbers = [pair[column] for pair in NUMBERS.values() if pair[column] is not None]
        assert len(numbers) == len(set(numbers))
    assert {call for rule in SHARED for call in rule.calls} == set(NUMBERS)
