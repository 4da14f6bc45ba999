"""bubblewrap: own user, process, network, IPC and mount namespaces, and a file tree made of an allow-list.

``bwrap`` is the full command line. ``bwrap-compat`` leaves out what older versions and some containers refuse
(``--disable-userns``, a cgroup namespace, a bounded /tmp); the system-call filter then closes nested namespaces alone.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ledger.errors import SandboxError
from ledger.parsers.json import read_json
from tools.process import REPORT_FD, Command, Finished, run, wait_gone
from tools.sandbox.channel import Status, memory_file, status_pipe
from tools.sandbox.devices import over_kept_devices
from tools.sandbox.limits import MIB, limits
from tools.sandbox.room import within_room
from tools.sandbox.seccomp import FIRST_PROCESS, NAMESPACED, NETWORKED, program, without_unix_sockets
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.sockets import unix_sockets_for
from tools.sandbox.tree import HOME, Placed, TreeStep, base_environment, extra_mounts, mount_steps, system_steps
from tools.sandbox.types import PRIVATE_ENV, Job, Wall

ROOT = Path("/")
TMP = Path("/tmp")
FIRST = f"/proc/{FIRST_PROCESS}"
GO_FIRST = ("/bin/sh", "-c", '{ echo 1000 >/proc/self/oom_score_adj; } 2>/dev/null; exec "$@"', "sh")
"""When memory runs out the kernel ends the run before any other process. Set before the walls are up, because nothing
in /proc can be written from inside."""
SCRATCH = (TMP, Path("/run"), HOME, Path("/dev/shm"))


@dataclass(frozen=True, kw_only=True)
class Bwrap:
    """``hidden`` folders never become visible unless a mount names them or something in them."""

    program: Path
    prlimit: Path
    settings: SandboxSettings
    hidden: tuple[Path, ...]
    compat: bool = False
    walls: frozenset[Wall] = frozenset()
    maps_paths: bool = True

    @property
    def name(self) -> str:
        return "bwrap-compat" if self.compat else "bwrap"

    @property
    def missing(self) -> frozenset[Wall]:
        return frozenset(Wall) - self.walls

    def proven(self, walls: frozenset[Wall]) -> Bwrap:
        """The same back end, with the walls that its probe found to hold."""
        return replace(self, walls=walls)

    async def run(self, job: Job) -> Finished:
        """Run ``job``; see :class:`tools.sandbox.types.Sandbox`."""
        return await within_room(self._run(job), job, self.settings)

    async def _run(self, job: Job) -> Finished:
        with contextlib.ExitStack() as stack:
            status = stack.enter_context(status_pipe())
            filter_code = await asyncio.to_thread(self.filter_for, job)
            await asyncio.to_thread(over_kept_devices)  # the first time it starts a child
            filter_fd = stack.enter_context(memory_file(filter_code)) if filter_code else None
            command = self.command(job, status_fd=status.write_fd, filter_fd=filter_fd)
            if job.secrets:
                command = _with_secrets(command, stack.enter_context(memory_file(_set_variables(job.secrets))))
            watch = _Watch(status)
            try:
                finished = await run(command)
            finally:
                await watch.until_gone(self.settings.gone_s)
        if not watch.started() and not (finished.timed_out or finished.flooded):
            raise _not_built(finished)
        return finished

    def command(self, job: Job, *, status_fd: int, filter_fd: int | None) -> Command:
        """The exact command line; the probe attacks the same one."""
        settings = self.settings
        fds = (status_fd,) if filter_fd is None else (status_fd, filter_fd)
        flags = (flag for flag in self.flags() if not (job.network and flag == "--unshare-net"))
        argv = [*over_kept_devices(), *GO_FIRST, str(self.program), *flags, "--json-status-fd", str(status_fd)]
        if filter_fd is not None:
            argv += ["--seccomp", str(filter_fd)]
        argv += [*self.tree(job), "--chdir", str(job.cwd), *self.environment(job)]
        return Command(
            argv=(*argv, "--", *self.limiter(), *job.argv),
            cwd=ROOT,
            env={},
            timeout_s=job.timeout_s,
            grace_s=settings.grace_s,
            stdin=job.stdin,
            talk=job.talk,
            spool=job.spool,
            cap_bytes=settings.output_kb * 1024,
            flood_bytes=settings.flood_mb * MIB,
            pass_fds=fds,
            report=job.report_env is not None,
            speaks=job.speaks,
            report_cap_bytes=settings.report_mb * MIB,
        )

    def flags(self) -> tuple[str, ...]:
        """Namespaces and privileges."""
        newer = () if self.compat else ("--disable-userns", "--unshare-cgroup-try")
        return (
            *("--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", *newer),
            *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        )

    def tree(self, job: Job) -> tuple[str, ...]:
        """The file tree: system, private folders, mounts by depth; the root is sealed last."""
        mounts = (*extra_mounts(self.settings.read_only), *job.mounts)
        words = [word for placed in system_steps() for word in _words(placed)]
        words += [*self.proc_steps(), "--dev", "/dev"]
        for folder in SCRATCH:
            words += self.scratch_steps(folder)
        shown = mount_steps(mounts, self.hidden)
        words += [word for placed in shown for word in _words(placed)]
        return (*words, "--remount-ro", "/dev", "--remount-ro", "/")

    def proc_steps(self) -> tuple[str, ...]:
        """/proc of its own, and nothing of it can be written: settings of the kernel belong to the host, and the
        kernel asks who writes them for no privilege but to be root, which root's user namespace does not change.

        The first process is bubblewrap itself, of the same user as what runs inside: it is not shown.
        """
        return ("--proc", "/proc", "--tmpfs", FIRST, "--remount-ro", FIRST, "--remount-ro", "/proc")

    def scratch_steps(self, folder: Path) -> tuple[str, ...]:
        """An empty folder of its own, bounded in size."""
        size = () if self.compat else ("--size", str(self.settings.scratch_mb * MIB))
        return (*size, "--tmpfs", str(folder))

    def environment(self, job: Job) -> tuple[str, ...]:
        """Everything is cleared, then set."""
        variables = {**base_environment(home=HOME, tmp=TMP), **job.env}
        if job.report_env is not None:
            variables[job.report_env] = REPORT_FD
        if job.talk is not None:
            variables[PRIVATE_ENV] = ":".join(map(str, SCRATCH))
        return ("--clearenv", *(word for pair in variables.items() for word in ("--setenv", *pair)))

    def limiter(self) -> tuple[str, ...]:
        """Set inside: process counts are kept per user namespace, and outside they would hit bwrap itself."""
        return (str(self.prlimit), *(f"--{limit.option}={limit.value}" for limit in limits(self.settings)), "--")

    def filter(self) -> bytes | None:
        """The system-call filter, where the architecture has a table."""
        return program(NAMESPACED)

    def filter_for(self, job: Job) -> bytes | None:
        """The filter of one job (blocking)."""
        if job.network:
            return program(NETWORKED)
        code = self.filter()
        return code if code is None or self.unix_sockets(job) else without_unix_sockets(code)

    def unix_sockets(self, job: Job) -> bool:
        """Whether code inside gets unix sockets, of which the host's may be in its sight (blocking)."""
        return unix_sockets_for((*extra_mounts(self.settings.read_only), *job.mounts))


class _Watch:
    """Reads bwrap's status: the id of the namespace's first process, and that the command was started."""

    def __init__(self, status: Status) -> None:
        self._status = status
        self._said: list[dict[str, int]] = []

    async def until_gone(self, within_s: float) -> None:
        """Wait until the first process of the namespace is dead: the kernel kills and reaps all others before."""
        self._said += [read_json(line) for line in self._status.text().splitlines() if line.strip()]
        for said in self._said:
            if "child-pid" in said:
                await wait_gone(said["child-pid"], within_s=within_s)

    def started(self) -> bool:
        return any("exit-code" in said for said in self._said)


def _set_variables(variables: Mapping[str, str]) -> bytes:
    """Options as ``--args`` reads them from a descriptor."""
    return b"".join(f"--setenv\0{name}\0{value}\0".encode() for name, value in variables.items())


def _with_secrets(command: Command, fd: int) -> Command:
    """``command`` with further options from ``fd``, read where the options end: after the variables are cleared."""
    end = command.argv.index("--")
    argv = (*command.argv[:end], "--args", str(fd), *command.argv[end:])
    return replace(command, argv=argv, pass_fds=(*command.pass_fds, fd))


def _words(placed: Placed) -> tuple[str, ...]:
    if placed.step in (TreeStep.EMPTY, TreeStep.SEAL):
        return (placed.step, str(placed.target))
    return (placed.step, placed.source, str(placed.target))


def _not_built(finished: Finished) -> SandboxError:
    lines = finished.output.decode("utf-8", errors="replace").strip().splitlines()
    said = lines[-1] if lines else f"no message, exit code {finished.code}, signal {finished.signal}"
    return SandboxError(
        f"The sandbox could not be built: {said}.",
        remedy="`ouro doctor` shows which walls hold here. The daemon must be able to read every mounted folder.",
    )
