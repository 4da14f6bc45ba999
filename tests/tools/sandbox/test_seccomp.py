"""The filters, run on a small model of the kernel's interpreter."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tools.sandbox.calls import NEWEST, NUMBERS, number
from tools.sandbox.seccomp import NAMESPACED, NETWORKED, SHARED, SHARED_NETWORKED, Has, Rule, Test, program

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
        elif kind == 0x54:
            value &= k
        elif kind == 0x05:
            at += k
        else:
            hit = {0x15: value == k, 0x25: value > k, 0x35: value >= k, 0x45: bool(value & k)}[kind]
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
    assert refused(inside, machine, "socket", 1, 1) is None and refused(inside, machine, "ptrace") is None
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
    allowed = {family for family in range(64) if refused(code, machine, "socket", family, 1) is None}
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


def holds(test: Test, arguments: tuple[int, ...]) -> bool:
    value = arguments[test.argument] & 0xFFFFFFFF
    return bool(value & test.bits) if isinstance(test, Has) else ((value & test.mask) in test.among) is test.wanted


def judged(rules: tuple[Rule, ...], call: str, arguments: tuple[int, ...]) -> int | None:
    """What the rules say, read as they are written: the error, or None."""
    for rule in rules:
        if call in rule.calls:
            met = any(all(holds(test, arguments) for test in tests) for tests in rule.when or rule.unless)
            if met if rule.when else not met:
                return rule.error
    return None


def mentioned(rules: tuple[Rule, ...]) -> tuple[int, ...]:
    """The numbers that any rule looks for, so that examples meet them."""
    tests = [test for rule in rules for tests in (*rule.when, *rule.unless) for test in tests]
    return tuple({number for test in tests for number in ((test.bits,) if isinstance(test, Has) else test.among)})


ARGUMENT = st.one_of(
    st.sampled_from(mentioned(SHARED) + mentioned(NAMESPACED)), st.integers(0, 4), st.integers(0, 2**64 - 1)
)
EVERY_SET = pytest.mark.parametrize(
    "rules", [NAMESPACED, NETWORKED, SHARED, SHARED_NETWORKED], ids=["bwrap", "bwrap-net", "landlock", "landlock-net"]
)


@EVERY_SET
@settings(deadline=None, max_examples=400)
@given(st.sampled_from(MACHINES), st.sampled_from(sorted(NUMBERS)), st.tuples(ARGUMENT, ARGUMENT, ARGUMENT))
def test_the_program_does_what_the_rules_say(
    rules: tuple[Rule, ...], machine: str, call: str, arguments: tuple[int, int, int]
) -> None:
    code = program(rules, machine)
    if code and number(call, machine) is not None:
        assert refused(code, machine, call, *arguments) == judged(rules, call, arguments)


@EVERY_SET
@settings(deadline=None, max_examples=200)
@given(st.sampled_from(MACHINES), st.integers(0, 1200), st.integers(0, 2**64 - 1))
def test_a_call_without_a_rule_is_allowed_when_it_is_known(
    rules: tuple[Rule, ...], machine: str, nr: int, argument: int
) -> None:
    code = program(rules, machine)
    named = {number(call, machine) for rule in rules for call in rule.calls}
    assert code
    if nr not in named:
        assert answer(code, ARCH[machine], nr, argument) == (ALLOW if nr <= NEWEST else 0x00050000 | errno.ENOSYS)


@pytest.mark.parametrize("machine", MACHINES)
def test_socket_families_are_a_list_of_what_is_allowed(machine: str) -> None:
    inside, shared = program(NAMESPACED, machine), program(SHARED, machine)
    assert inside and shared
    stream, datagram, raw, packets = 1, 2, 3, 5
    allowed = {family for family in range(64) if refused(inside, machine, "socket", family, stream) is None}
    assert allowed == {1, 2, 10, 16}  # unix, IPv4, IPv6, netlink
    assert all(refused(shared, machine, "socket", family, stream) for family in range(64))
    cloexec = 0x80000 | 0x800
    assert refused(inside, machine, "socket", 2, datagram | cloexec, 17) is None
    assert refused(inside, machine, "socket", 2, raw | cloexec) == errno.EAFNOSUPPORT
    assert refused(inside, machine, "socket", 2, packets, 132) == errno.EAFNOSUPPORT  # SCTP
    assert refused(inside, machine, "socket", 16, raw, 2) == errno.EAFNOSUPPORT  # netlink between programs
    assert refused(inside, machine, "socketpair", 1, datagram) is None
    assert refused(shared, machine, "socketpair", 1, stream | cloexec) is None
    for kind in (datagram, raw):  # either can be connected again, to a socket of somebody else
        assert refused(shared, machine, "socketpair", 1, kind | cloexec) == errno.EAFNOSUPPORT
    assert refused(inside, machine, "socketpair", 30, stream) == errno.EAFNOSUPPORT  # TIPC


@pytest.mark.parametrize("machine", MACHINES)
def test_processes_files_and_terminals_that_are_not_ours(machine: str) -> None:
    inside, shared = program(NAMESPACED, machine), program(SHARED, machine)
    assert inside and shared
    for call in ("sched_setscheduler", "sched_setparam", "sched_setattr", "sched_setaffinity", "move_pages"):
        assert refused(shared, machine, call, 0) is None and refused(shared, machine, call, 4711) == errno.EPERM
        assert refused(inside, machine, call, 4711) is None and refused(inside, machine, call, 1) == errno.EPERM
    assert refused(shared, machine, "setpriority", 2, 0) == errno.EPERM  # all processes of the user
    assert refused(shared, machine, "ioprio_set", 3, 0) == errno.EPERM
    assert refused(shared, machine, "ioprio_set", 1, 0) is None
    assert (
        refused(inside, machine, "ptrace", 16, 1) == errno.EPERM and refused(inside, machine, "ptrace", 16, 2) is None
    )
    for code in (inside, shared):
        for command in (0x40086602, 0x40046602, 0x401C5820, 0x5412, 0x541C):
            assert refused(code, machine, "ioctl", 3, command), hex(command)
            assert refused(code, machine, "ioctl", 3, command | 1 << 32), hex(command)  # the kernel reads 32 bits
        assert refused(code, machine, "ioctl", 3, 0x5401) is None
        assert refused(code, machine, "fcntl", 3, 1024) == refused(code, machine, "fcntl", 3, 1026) == errno.EINVAL
        assert refused(code, machine, "fcntl", 3, 1030) is None
    assert refused(shared, machine, "ioctl", 3, 0x5000940E) == errno.ENOTTY  # btrfs: make a folder
    assert refused(inside, machine, "ioctl", 3, 0x5414) is None  # a terminal of its own gets a size


def test_every_number_is_used_once() -> None:
    for column in (0, 1):
        numbers = [pair[column] for pair in NUMBERS.values() if pair[column] is not None]
        assert len(numbers) == len(set(numbers))
    assert {call for rule in (*SHARED, *NAMESPACED) for call in rule.calls} == set(NUMBERS)
