"""Every wall of bubblewrap twice: it stops its attack, and without it alone the same attack succeeds."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest

from ledger.places import Places
from tests.tools.sandbox.filters import without
from tools.process import Command
from tools.sandbox.bwrap import TMP, Bwrap
from tools.sandbox.probe import prove
from tools.sandbox.seccomp import NAMESPACED
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.tree import HOME
from tools.sandbox.types import Job, Wall

SHM, LASTING = Path("/dev/shm"), Path("/var/tmp")
COMPAT_LACKS = {Wall.SCRATCH_LIMIT}
ROOT_LACKS = {Wall.PROCESS_LIMIT} if os.geteuid() == 0 else set()


class WithoutNetwork(Bwrap):
    def flags(self) -> tuple[str, ...]:
        return tuple(flag for flag in super().flags() if flag != "--unshare-net")


class WithSocketFolder(Bwrap):
    """The folder of the daemon's socket is shown; sockets by path are a matter of files alone."""

    def tree(self, job: Job) -> tuple[str, ...]:
        return (*super().tree(job), "--bind", str(self.hidden[2]), str(self.hidden[2]))


class WithSocketsInMounts(Bwrap):
    def unix_sockets(self, job: Job) -> bool:
        return True


class WithSocketFamilies(Bwrap):
    def filter(self) -> bytes | None:
        return without(NAMESPACED, "socket")


class WithFileMarks(Bwrap):
    def filter(self) -> bytes | None:
        return without(NAMESPACED, "fcntl")


class WithItsMonitor(Bwrap):
    def proc_steps(self) -> tuple[str, ...]:
        return ("--proc", "/proc", "--remount-ro", "/proc")

    def filter(self) -> bytes | None:
        return without(NAMESPACED, "ptrace", "process_vm_readv", "sched_setscheduler")


class WithWritableRoot(Bwrap):
    def tree(self, job: Job) -> tuple[str, ...]:
        own = [word for folder in (*self.hidden, HOME) for word in ("--tmpfs", str(folder))]
        for m in job.mounts:
            own += ["--bind" if m.writable else "--ro-bind", str(m.source), str(m.target)]
        return ("--bind", "/", "/", *self.proc_steps(), "--dev", "/dev", *own)


class WithWritableKernel(Bwrap):
    def proc_steps(self) -> tuple[str, ...]:
        return ("--proc", "/proc")


class WithConfiguration(Bwrap):
    def tree(self, job: Job) -> tuple[str, ...]:
        return (*super().tree(job), "--ro-bind", "/etc", "/etc")


class WithState(Bwrap):
    def tree(self, job: Job) -> tuple[str, ...]:
        return (*super().tree(job), "--ro-bind", str(self.hidden[0]), str(self.hidden[0]))


class WithNestedNamespaces(Bwrap):
    def flags(self) -> tuple[str, ...]:
        return tuple(flag for flag in super().flags() if flag != "--disable-userns")

    def filter(self) -> bytes | None:
        return without(NAMESPACED, "unshare")


class WithoutProcessNamespace(Bwrap):
    def flags(self) -> tuple[str, ...]:
        return tuple(flag for flag in super().flags() if flag != "--unshare-pid")


class WithProcessesOfTheHost(Bwrap):
    """Without a user namespace the processes of the host are not only seen: root's need root's privilege."""

    def flags(self) -> tuple[str, ...]:
        kept = (f for f in super().flags() if f not in ("--unshare-pid", "--unshare-user", "--disable-userns"))
        return (*kept, "--cap-add", "CAP_SYS_PTRACE")


class WithInheritedEnvironment(Bwrap):
    def environment(self, job: Job) -> tuple[str, ...]:
        return tuple(word for word in super().environment(job) if word != "--clearenv")

    def command(self, job: Job, *, status_fd: int, filter_fd: int | None) -> Command:
        return replace(super().command(job, status_fd=status_fd, filter_fd=filter_fd), env={"API_TOKEN": "t0ken"})


class WithSharedTmp(Bwrap):
    """The host's /tmp, but for what the test itself has there."""

    def scratch_steps(self, folder: Path) -> tuple[str, ...]:
        if folder != TMP:
            return super().scratch_steps(folder)
        return ("--bind", str(TMP), str(TMP), "--tmpfs", str(self.hidden[0].parent))


class WithSharedMemory(Bwrap):
    def scratch_steps(self, folder: Path) -> tuple[str, ...]:
        return ("--bind", str(SHM), str(SHM)) if folder == SHM else super().scratch_steps(folder)


class WithLastingHome(Bwrap):
    def scratch_steps(self, folder: Path) -> tuple[str, ...]:
        return ("--bind", str(LASTING), str(LASTING)) if folder == HOME else super().scratch_steps(folder)

    def environment(self, job: Job) -> tuple[str, ...]:
        return (*super().environment(job), "--setenv", "HOME", str(LASTING))


class WithDevices(Bwrap):
    def tree(self, job: Job) -> tuple[str, ...]:
        size = ("--size", "1048576", "--tmpfs", "/dev/shm")
        return (*super().tree(job), "--dev-bind", "/dev", "/dev", "--tmpfs", "/dev/pts", *size)


class WithTerminals(Bwrap):
    def tree(self, job: Job) -> tuple[str, ...]:
        return (*super().tree(job), "--dev-bind", "/dev/pts", "/dev/pts")


class WithPrivileges(Bwrap):
    """In the namespace that owns the others: what switches nested ones off makes one more, whose root owns nothing."""

    def flags(self) -> tuple[str, ...]:
        return (*(f for f in super().flags() if f != "--disable-userns"), "--cap-add", "CAP_SYS_ADMIN")

    def filter(self) -> bytes | None:
        return without(NAMESPACED, "sethostname")


class WithKeyRings(Bwrap):
    def filter(self) -> bytes | None:
        return without(NAMESPACED, "add_key")


class WithSystemCalls(Bwrap):
    def filter(self) -> bytes | None:
        return without(NAMESPACED, "io_uring_setup", "userfaultfd")


class WithoutLimit(Bwrap):
    option = ""

    def limiter(self) -> tuple[str, ...]:
        return tuple(word for word in super().limiter() if not word.startswith(f"--{self.option}="))


class WithoutCpuLimit(WithoutLimit):
    option = "cpu"


class WithoutMemoryLimit(WithoutLimit):
    option = "data"


class WithoutFileSizeLimit(WithoutLimit):
    option = "fsize"


class WithoutOpenFilesLimit(WithoutLimit):
    option = "nofile"


class WithoutProcessLimit(WithoutLimit):
    option = "nproc"


class WithoutScratchLimit(Bwrap):
    def scratch_steps(self, folder: Path) -> tuple[str, ...]:
        return ("--tmpfs", str(folder))


@dataclass(frozen=True)
class Breach:
    """A wall that is taken away; what it also carries falls with it, and nothing else."""

    wall: Wall
    box: type[Bwrap]
    also: frozenset[Wall] = frozenset()


HOST_TREE = frozenset({Wall.READ_OUTSIDE, Wall.PRIVATE_TMP, Wall.SCRATCH_LIMIT})
# Without a process namespace there are processes outside, and the monitor is one of them.
WATCHED = frozenset({Wall.SIGNALS, Wall.KILLED_AS_ONE, Wall.SCHEDULING, Wall.MONITOR})
BREACHES = (
    Breach(Wall.NETWORK, WithoutNetwork, frozenset({Wall.ABSTRACT_SOCKETS})),
    Breach(Wall.SOCKET_FAMILIES, WithSocketFamilies),
    Breach(Wall.UNIX_SOCKETS, WithSocketFolder, frozenset({Wall.DAEMON_STATE})),
    Breach(Wall.UNIX_SOCKETS, WithSocketsInMounts),
    Breach(Wall.FILE_MARKS, WithFileMarks),
    Breach(Wall.MONITOR, WithItsMonitor),
    Breach(Wall.WRITE_OUTSIDE, WithWritableRoot, HOST_TREE),
    Breach(Wall.READ_OUTSIDE, WithConfiguration),
    Breach(Wall.DAEMON_STATE, WithState),
    Breach(Wall.PRIVATE_TMP, WithSharedTmp, frozenset({Wall.SCRATCH_LIMIT})),
    Breach(Wall.PRIVATE_HOME, WithLastingHome, frozenset({Wall.SCRATCH_LIMIT, Wall.WRITE_OUTSIDE})),
    Breach(Wall.PRIVATE_DEVICES, WithSharedMemory, frozenset({Wall.SCRATCH_LIMIT})),
    Breach(Wall.PRIVATE_DEVICES, WithDevices),
    Breach(Wall.TERMINAL, WithTerminals),
    Breach(Wall.ENVIRONMENT, WithInheritedEnvironment),
    Breach(Wall.PROCESS_NAMESPACE, WithoutProcessNamespace, WATCHED),
    Breach(Wall.NESTED_NAMESPACES, WithNestedNamespaces),
    Breach(Wall.KEY_RINGS, WithKeyRings),
    Breach(Wall.SYSTEM_CALLS, WithSystemCalls),
    Breach(Wall.CPU_LIMIT, WithoutCpuLimit),
    Breach(Wall.MEMORY_LIMIT, WithoutMemoryLimit),
    Breach(Wall.FILE_SIZE_LIMIT, WithoutFileSizeLimit),
    Breach(Wall.OPEN_FILES_LIMIT, WithoutOpenFilesLimit),
    Breach(Wall.PROCESS_LIMIT, WithoutProcessLimit),
    Breach(Wall.SCRATCH_LIMIT, WithoutScratchLimit),
)
# For anybody else bubblewrap itself makes the user namespace that these two walls are made of: nothing takes it away.
OF_ROOT = (
    Breach(
        Wall.TRACING,
        WithProcessesOfTheHost,
        WATCHED | {Wall.PROCESS_NAMESPACE, Wall.ENVIRONMENT},
    ),
    Breach(Wall.NEW_PRIVILEGES, WithPrivileges),
)
assert {wall for breach in (*BREACHES, *OF_ROOT) for wall in (breach.wall, *breach.also)} == set(Wall)
BREACHES = (*BREACHES, *(OF_ROOT if os.geteuid() == 0 else ()))


def rebuilt(box: Bwrap, kind: type[Bwrap], **changes: object) -> Bwrap:
    values = {field.name: getattr(box, field.name) for field in fields(box)}
    return kind(**{**values, **changes})


@pytest.mark.parametrize("compat", [False, True], ids=["full", "compat"])
async def test_every_wall_stands(bwrap: Bwrap, places: Places, limits: SandboxSettings, compat: bool) -> None:
    proofs = await prove(rebuilt(bwrap, Bwrap, compat=compat), limits, places)
    broken = {proof.wall: proof.detail for proof in proofs if not proof.held}
    assert set(broken) == ROOT_LACKS | (COMPAT_LACKS if compat else set()), broken
    assert {proof.wall for proof in proofs} == set(Wall) and all(proof.detail for proof in proofs)


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: f"{breach.wall}-{breach.box.__name__}")
async def test_without_the_wall_the_attack_succeeds(
    bwrap: Bwrap, places: Places, limits: SandboxSettings, breach: Breach
) -> None:
    proofs = {p.wall: p for p in await prove(rebuilt(bwrap, breach.box), limits, places)}
    assert not proofs[breach.wall].held, proofs[breach.wall].detail
    fallen = {wall: proof.detail for wall, proof in proofs.items() if not proof.held}
    assert set(fallen) - ROOT_LACKS == {breach.wall, *breach.also} - ROOT_LACKS, fallen


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may set the kernel's settings at all")
async def test_root_inside_cannot_set_the_kernels_settings(
    bwrap: Bwrap, places: Places, limits: SandboxSettings
) -> None:
    """A user namespace takes root's privileges away, but who writes below /proc/sys is only asked to be root."""
    proofs = {p.wall: p for p in await prove(rebuilt(bwrap, WithWritableKernel), limits, places)}
    assert not proofs[Wall.WRITE_OUTSIDE].held and "core_pattern" in proofs[Wall.WRITE_OUTSIDE].detail


class WithEverySocket(WithoutNetwork):
    """Netlink between programs is kept out by the filter as well."""

    def filter(self) -> bytes | None:
        return without(NAMESPACED, "socket")


async def test_every_way_into_the_network_is_tried(bwrap: Bwrap, places: Places, limits: SandboxSettings) -> None:
    proofs = {p.wall: p for p in await prove(rebuilt(bwrap, WithEverySocket), limits, places)}
    assert all(way in proofs[Wall.NETWORK].detail for way in ("tcp4", "udp4", "netlink"))


async def test_the_probe_leaves_nothing(bwrap: Bwrap, places: Places, limits: SandboxSettings) -> None:
    await prove(rebuilt(bwrap, WithWritableRoot), limits, places)
    folders = (places.state, places.cache, places.runtime, places.home, places.common_dir)
    for folder in (*folders, Path("/tmp"), Path("/var/tmp"), SHM):
        assert not list(folder.glob(".ouro-probe*"))
