"""Every wall of the Landlock launcher twice: it stops its attack, and without it alone the same attack succeeds."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest

from ledger.places import Places
from tests.tools.sandbox.boxes import shell
from tools.process import Command
from tools.sandbox.landlock import Landlock
from tools.sandbox.launcher import EXECUTE, WRITE
from tools.sandbox.plan import Plan
from tools.sandbox.probe import interpreter, prove
from tools.sandbox.seccomp import SHARED, program
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Job, Mount, Wall

NOT_OFFERED = {Wall.PROCESS_NAMESPACE, Wall.PROCESS_LIMIT}


def filter_without(*calls: str) -> str:
    rules = (replace(rule, calls=tuple(c for c in rule.calls if c not in calls)) for rule in SHARED)
    code = program(tuple(rules))
    assert code is not None
    return code.hex()


class Changed(Landlock):
    """The production plan with ``change`` applied."""

    def plan(self, job: Job, *, own: Path, env: dict[str, str], status_fd: int) -> Plan:
        plan = super().plan(job, own=own, env=env, status_fd=status_fd)
        self.change(plan)
        return plan

    def change(self, plan: Plan) -> None:
        raise NotImplementedError


class WithSockets(Changed):
    def change(self, plan: Plan) -> None:
        plan["filter"] = filter_without("socket")
        plan["scoped"] = False


class WholeRootWritable(Changed):
    def change(self, plan: Plan) -> None:
        plan["grants"].append(("/", WRITE))


class WholeRootReadable(Changed):
    def change(self, plan: Plan) -> None:
        plan["grants"].append(("/", EXECUTE))


class WithNamespaces(Changed):
    def change(self, plan: Plan) -> None:
        plan["filter"] = filter_without("unshare")


class WithKeyRings(Changed):
    def change(self, plan: Plan) -> None:
        plan["filter"] = filter_without("add_key")


class WithMetadata(Changed):
    def change(self, plan: Plan) -> None:
        plan["filter"] = filter_without("chmod", "fchmodat", "fchmodat2")


class WithoutLimits(Changed):
    def change(self, plan: Plan) -> None:
        plan["limits"] = []


class WithMoreVariables(Changed):
    def change(self, plan: Plan) -> None:
        plan["env"]["API_TOKEN"] = "t0ken"


@dataclass(frozen=True)
class Breach:
    wall: Wall
    box: type[Landlock]


BREACHES = (
    Breach(Wall.NETWORK, WithSockets),
    Breach(Wall.UNIX_SOCKETS, WithSockets),
    Breach(Wall.WRITE_OUTSIDE, WholeRootWritable),
    Breach(Wall.WRITE_OUTSIDE, WithMetadata),
    Breach(Wall.PRIVATE_TMP, WholeRootWritable),
    Breach(Wall.DAEMON_STATE, WholeRootReadable),
    Breach(Wall.NESTED_NAMESPACES, WithNamespaces),
    Breach(Wall.SYSTEM_CALLS, WithKeyRings),
    Breach(Wall.RESOURCE_LIMITS, WithoutLimits),
    Breach(Wall.ENVIRONMENT, WithMoreVariables),
)


def rebuilt(box: Landlock, kind: type[Landlock]) -> Landlock:
    return kind(**{field.name: getattr(box, field.name) for field in fields(box)})


async def test_every_offered_wall_stands(landlock: Landlock, places: Places, limits: SandboxSettings) -> None:
    proofs = await prove(landlock, limits, places)
    broken = {proof.wall: proof.detail for proof in proofs if not proof.held and proof.wall not in NOT_OFFERED}
    assert not broken


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: f"{breach.wall}-{breach.box.__name__}")
async def test_without_the_wall_the_attack_succeeds(
    landlock: Landlock, places: Places, limits: SandboxSettings, breach: Breach
) -> None:
    proofs = {p.wall: p for p in await prove(rebuilt(landlock, breach.box), limits, places)}
    assert not proofs[breach.wall].held, proofs[breach.wall].detail


async def test_a_foreign_environment_of_the_launcher_is_not_handed_on(landlock: Landlock, work: Path) -> None:
    class Loud(Landlock):
        def command(self, job: Job, *, status_fd: int) -> Command:
            return replace(super().command(job, status_fd=status_fd), env={"API_TOKEN": "t0ken"})

    done = await rebuilt(landlock, Loud).run(shell(work, "env"))
    assert b"HOME=" in done.output and b"t0ken" not in done.output


async def test_host_processes_cannot_be_signalled_or_limited(landlock: Landlock, work: Path) -> None:
    """A real attack on a process of the same user, which seccomp and the kernel's scopes stop."""
    script = "kill -0 $PPID 2>/dev/null && echo signalled; prlimit --pid $PPID --nofile=9 2>/dev/null && echo limited"
    done = await landlock.run(shell(work, script + "; echo end"))
    assert done.output == b"end\n"


async def test_pretended_changes_of_mode_do_not_break_a_copy(landlock: Landlock, work: Path) -> None:
    done = await landlock.run(shell(work, "echo one > a; cp -p a b; chmod 700 b; cat b"))
    assert (done.code, done.output) == (0, b"one\n")


async def test_to_touch_a_new_file_makes_it_and_a_copy_with_times_works(landlock: Landlock, work: Path) -> None:
    """A call that only pretends to set the times must not make ``Path.touch`` believe that the file is there."""
    program, mounts = interpreter()
    code = "import pathlib, shutil; new = pathlib.Path('new'); new.touch(); new.touch(); shutil.copy2('new', 'copy')"
    own = Mount(source=work, target=work, writable=True)
    job = Job(argv=(str(program), "-I", "-c", code), cwd=work, mounts=(own, *mounts), timeout_s=20)
    done = await landlock.run(job)
    assert (done.code, done.output) == (0, b"") and (work / "new").exists() and (work / "copy").exists()
