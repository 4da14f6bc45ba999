"""Every wall of bubblewrap twice: it stops its attack, and without it alone the same attack succeeds."""

from __future__ import annotations

import os
from dataclasses import dataclass, fields, replace

import pytest

from ledger.places import Places
from tools.process import Command
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.probe import prove
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Job, Wall


class WithoutNetwork(Bwrap):
    def flags(self) -> tuple[str, ...]:
        return tuple(flag for flag in super().flags() if flag != "--unshare-net")


class WholeRootWritable(Bwrap):
    def tree(self, job: Job) -> tuple[str, ...]:
        return ("--bind", "/", "/", "--proc", "/proc", "--dev", "/dev")


class WholeRootReadable(Bwrap):
    def tree(self, job: Job) -> tuple[str, ...]:
        own = [word for m in job.mounts if m.writable for word in ("--bind", str(m.source), str(m.target))]
        return ("--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", *own)


class WithNestedNamespaces(Bwrap):
    def flags(self) -> tuple[str, ...]:
        return tuple(flag for flag in super().flags() if flag != "--disable-userns")

    def filter(self) -> bytes | None:
        return None


class WithoutProcessNamespace(Bwrap):
    def flags(self) -> tuple[str, ...]:
        return tuple(flag for flag in super().flags() if flag != "--unshare-pid")


class WithInheritedEnvironment(Bwrap):
    def environment(self, job: Job) -> tuple[str, ...]:
        return tuple(word for word in super().environment(job) if word != "--clearenv")

    def command(self, job: Job, *, status_fd: int, filter_fd: int | None) -> Command:
        return replace(super().command(job, status_fd=status_fd, filter_fd=filter_fd), env={"API_TOKEN": "t0ken"})


class WithSharedTmp(Bwrap):
    def tmp_steps(self) -> tuple[str, ...]:
        return ("--bind", "/tmp", "/tmp")


class WithoutLimits(Bwrap):
    def limiter(self) -> tuple[str, ...]:
        return ()


class WithoutFilter(Bwrap):
    def filter(self) -> bytes | None:
        return None


@dataclass(frozen=True)
class Breach:
    wall: Wall
    box: type[Bwrap]


BREACHES = (
    Breach(Wall.NETWORK, WithoutNetwork),
    Breach(Wall.WRITE_OUTSIDE, WholeRootWritable),
    Breach(Wall.DAEMON_STATE, WholeRootReadable),
    Breach(Wall.UNIX_SOCKETS, WholeRootReadable),
    Breach(Wall.NESTED_NAMESPACES, WithNestedNamespaces),
    Breach(Wall.PROCESS_NAMESPACE, WithoutProcessNamespace),
    Breach(Wall.ENVIRONMENT, WithInheritedEnvironment),
    Breach(Wall.PRIVATE_TMP, WithSharedTmp),
    Breach(Wall.RESOURCE_LIMITS, WithoutLimits),
    Breach(Wall.SYSTEM_CALLS, WithoutFilter),
)


def rebuilt(box: Bwrap, kind: type[Bwrap], **changes: object) -> Bwrap:
    values = {field.name: getattr(box, field.name) for field in fields(box)}
    return kind(**{**values, **changes})


@pytest.mark.parametrize("compat", [False, True], ids=["full", "compat"])
async def test_every_wall_stands(bwrap: Bwrap, places: Places, limits: SandboxSettings, compat: bool) -> None:
    proofs = await prove(rebuilt(bwrap, Bwrap, compat=compat), limits, places)
    broken = {proof.wall: proof.detail for proof in proofs if not proof.held}
    assert set(broken) == ({Wall.PROCESS_LIMIT} if os.geteuid() == 0 else set()), broken
    assert {proof.wall for proof in proofs} == set(Wall) and all(proof.detail for proof in proofs)


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: breach.wall)
async def test_without_the_wall_the_attack_succeeds(
    bwrap: Bwrap, places: Places, limits: SandboxSettings, breach: Breach
) -> None:
    proofs = {p.wall: p for p in await prove(rebuilt(bwrap, breach.box), limits, places)}
    assert not proofs[breach.wall].held, proofs[breach.wall].detail


async def test_the_probe_leaves_nothing(bwrap: Bwrap, places: Places, limits: SandboxSettings) -> None:
    await prove(rebuilt(bwrap, WholeRootWritable), limits, places)
    for folder in (places.state, places.cache, places.runtime, places.home, places.common_dir):
        assert not list(folder.glob(".ouro-probe*"))
