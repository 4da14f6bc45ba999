"""Every wall of the Landlock launcher twice: it stops its attack, and without it alone the same attack succeeds."""

from __future__ import annotations

import os
import resource
from dataclasses import dataclass, fields, replace
from pathlib import Path

import pytest

from ledger.places import Places
from tests.tools.sandbox.boxes import shell
from tests.tools.sandbox.filters import without
from tools.process import Command
from tools.sandbox.landlock import Landlock
from tools.sandbox.launch import LAUNCHER
from tools.sandbox.launcher import READ, WRITE
from tools.sandbox.plan import RunPlan
from tools.sandbox.probe import interpreter, prove
from tools.sandbox.seccomp import SHARED
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Job, Mount, Wall

NOT_OFFERED = {Wall.PROCESS_NAMESPACE, Wall.SCRATCH_LIMIT} | ({Wall.PROCESS_LIMIT} if os.geteuid() == 0 else set())
EVERY_CAPABILITY = (1 << 64) - 1
LASTING = Path("/var/tmp")


class Changed(Landlock):
    """The production plan with ``change`` applied."""

    def plan(self, job: Job, *, own: Path, env: dict[str, str], status_fd: int) -> RunPlan:
        plan = super().plan(job, own=own, env=env, status_fd=status_fd)
        self.change(plan)
        return plan

    def change(self, plan: RunPlan) -> None:
        raise NotImplementedError


class WithSockets(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["filter"] = without(SHARED, "socket").hex()


class WithAbstractSockets(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["filter"] = without(SHARED, "socket").hex()
        plan["scoped"] = False


class WithDatagramPairs(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["filter"] = without(SHARED, "socketpair").hex()


class WithFileMarks(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["filter"] = without(SHARED, "ioctl", "fcntl").hex()


class WithScheduling(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["filter"] = without(SHARED, "sched_setscheduler", "ioprio_set").hex()


class WithWritableRoot(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["grants"].append(("/", WRITE))


class WithMetadata(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["filter"] = without(SHARED, "chmod", "fchmodat", "fchmodat2").hex()


class WithWritableKernel(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["grants"].append(("/proc", WRITE))


class WithConfiguration(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["grants"].append(("/etc", READ))


class WithState(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["grants"].append((str(self.hidden[0]), READ))


class WithSharedTmp(Changed):
    """The host's /tmp as a whole is the only way: the test's own folders lie in it and fall with it."""

    def change(self, plan: RunPlan) -> None:
        plan["grants"].append(("/tmp", WRITE))


class WithSharedMemory(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["grants"].append(("/dev/shm", WRITE))


class WithLastingHome(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["grants"].append((str(LASTING), WRITE))
        plan["env"]["HOME"] = str(LASTING)


class WithTerminals(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["grants"].append(("/dev/pts", WRITE))


class WithMoreVariables(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["env"]["API_TOKEN"] = "t0ken"


class WithSignals(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["scoped"] = False


class WithPrivileges(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["keep_capabilities"] = EVERY_CAPABILITY


class WithNamespaces(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["filter"] = without(SHARED, "unshare").hex()


class WithKeyRings(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["filter"] = without(SHARED, "add_key").hex()


class WithSystemCalls(Changed):
    def change(self, plan: RunPlan) -> None:
        plan["filter"] = without(SHARED, "io_uring_setup", "userfaultfd").hex()


class WithoutLimit(Changed):
    kind = -1

    def change(self, plan: RunPlan) -> None:
        plan["limits"] = [limit for limit in plan["limits"] if limit[0] != self.kind]


class WithoutCpuLimit(WithoutLimit):
    kind = resource.RLIMIT_CPU


class WithoutMemoryLimit(WithoutLimit):
    kind = resource.RLIMIT_DATA


class WithoutFileSizeLimit(WithoutLimit):
    kind = resource.RLIMIT_FSIZE


class WithoutOpenFilesLimit(WithoutLimit):
    kind = resource.RLIMIT_NOFILE


class WithoutProcessLimit(WithoutLimit):
    kind = resource.RLIMIT_NPROC


class ByAnotherLauncher(Landlock):
    """The production launcher with one of its steps left out, or with a text that puts something else in its place."""

    step, instead = "", ""

    def command(self, job: Job, *, status_fd: int) -> Command:
        made = super().command(job, status_fd=status_fd)
        text = (
            f"import sys; parts = {{'__name__': 'launcher'}}; exec(open({str(LAUNCHER)!r}).read(), parts)\n"
            f"import os\nif {self.step!r}: parts[{self.step!r}] = lambda *_: None\n"
            f"{self.instead}\nparts['main'](*sys.argv[1:])"
        )
        program, isolated, bare, _, *rest = made.argv
        return replace(made, argv=(program, isolated, bare, "-c", text, *rest))


class WithoutKills(ByAnotherLauncher):
    """Neither the launcher ends what is left, nor who does it where the launcher has not."""

    step = "_end_all"
    instead = "parts['_leave_successor'] = lambda *_: None"


class WithoutLandlock(ByAnotherLauncher):
    """What can be traced is decided by the domain that a process lives in, so that nothing less will do."""

    step = "_landlock"

    def plan(self, job: Job, *, own: Path, env: dict[str, str], status_fd: int) -> RunPlan:
        plan = super().plan(job, own=own, env=env, status_fd=status_fd)
        plan["filter"] = without(SHARED, "ptrace", "process_vm_readv").hex()
        plan["scoped"] = False  # the launcher's own domain would do as well
        plan["keep_capabilities"] = EVERY_CAPABILITY  # of root: else a process of root's may not be traced
        return plan


@dataclass(frozen=True)
class Breach:
    """A wall that is taken away; what it also carries falls with it, and nothing else."""

    wall: Wall
    box: type[Landlock]
    also: frozenset[Wall] = frozenset()


# What lies below /tmp in these tests: the daemon's folders, and the workspace.
OURS = frozenset({Wall.DAEMON_STATE, Wall.WRITE_OUTSIDE})
ROOT_ONLY = frozenset({Wall.NEW_PRIVILEGES}) if os.geteuid() == 0 else frozenset[Wall]()
# Of root's processes only those without privileges: the launcher has some.
SAME_PRIVILEGES = frozenset[Wall]() if os.geteuid() == 0 else frozenset({Wall.MONITOR})
FILES = OURS | {Wall.READ_OUTSIDE, Wall.PRIVATE_TMP, Wall.PRIVATE_DEVICES, Wall.TERMINAL}
BREACHES = (
    Breach(Wall.NETWORK, WithSockets, frozenset({Wall.SOCKET_FAMILIES, Wall.UNIX_SOCKETS})),
    Breach(Wall.SOCKET_FAMILIES, WithSockets, frozenset({Wall.NETWORK, Wall.UNIX_SOCKETS})),
    Breach(
        Wall.ABSTRACT_SOCKETS,
        WithAbstractSockets,
        frozenset({Wall.NETWORK, Wall.SOCKET_FAMILIES, Wall.UNIX_SOCKETS, Wall.SIGNALS}),
    ),
    Breach(Wall.UNIX_SOCKETS, WithDatagramPairs),
    Breach(Wall.FILE_MARKS, WithFileMarks),
    Breach(Wall.SCHEDULING, WithScheduling, SAME_PRIVILEGES),
    Breach(Wall.WRITE_OUTSIDE, WithWritableRoot, FILES),
    Breach(Wall.WRITE_OUTSIDE, WithMetadata),
    Breach(Wall.READ_OUTSIDE, WithConfiguration),
    Breach(Wall.DAEMON_STATE, WithState),
    Breach(Wall.PRIVATE_TMP, WithSharedTmp, OURS),
    Breach(Wall.PRIVATE_HOME, WithLastingHome, frozenset({Wall.WRITE_OUTSIDE})),
    Breach(Wall.PRIVATE_DEVICES, WithSharedMemory),
    Breach(Wall.TERMINAL, WithTerminals),
    Breach(Wall.ENVIRONMENT, WithMoreVariables),
    Breach(Wall.SIGNALS, WithSignals),
    Breach(Wall.TRACING, WithoutLandlock, FILES | {Wall.ENVIRONMENT, Wall.SIGNALS, Wall.MONITOR} | ROOT_ONLY),
    Breach(Wall.KILLED_AS_ONE, WithoutKills),
    Breach(Wall.NESTED_NAMESPACES, WithNamespaces),
    Breach(Wall.KEY_RINGS, WithKeyRings),
    Breach(Wall.SYSTEM_CALLS, WithSystemCalls),
    Breach(Wall.CPU_LIMIT, WithoutCpuLimit),
    Breach(Wall.MEMORY_LIMIT, WithoutMemoryLimit),
    Breach(Wall.FILE_SIZE_LIMIT, WithoutFileSizeLimit),
    Breach(Wall.OPEN_FILES_LIMIT, WithoutOpenFilesLimit),
    Breach(Wall.PROCESS_LIMIT, WithoutProcessLimit),
    # For anybody but root the kernel takes Landlock only together with "no new privileges".
    # One of root's privileges lets it read of every process.
    *(
        (Breach(Wall.NEW_PRIVILEGES, WithPrivileges, frozenset({Wall.ENVIRONMENT, Wall.MONITOR})),)
        if os.geteuid() == 0
        else ()
    ),
)
NEVER_HELD = {Wall.PROCESS_NAMESPACE, Wall.SCRATCH_LIMIT}
FALLEN = {wall for breach in BREACHES for wall in (breach.wall, *breach.also)}
assert FALLEN | NEVER_HELD | {Wall.NEW_PRIVILEGES} == set(Wall)


def rebuilt(box: Landlock, kind: type[Landlock]) -> Landlock:
    return kind(**{field.name: getattr(box, field.name) for field in fields(box)})


async def test_every_offered_wall_stands(landlock: Landlock, places: Places, limits: SandboxSettings) -> None:
    proofs = await prove(landlock, limits, places)
    broken = {proof.wall: proof.detail for proof in proofs if not proof.held}
    assert set(broken) == NOT_OFFERED, broken


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: f"{breach.wall}-{breach.box.__name__}")
async def test_without_the_wall_the_attack_succeeds(
    landlock: Landlock, places: Places, limits: SandboxSettings, breach: Breach
) -> None:
    proofs = {p.wall: p for p in await prove(rebuilt(landlock, breach.box), limits, places)}
    assert not proofs[breach.wall].held, proofs[breach.wall].detail
    fallen = {wall: proof.detail for wall, proof in proofs.items() if not proof.held}
    assert set(fallen) - NOT_OFFERED == {breach.wall, *breach.also} - NOT_OFFERED, fallen


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
