"""Proves a sandbox on this machine: its production command line runs the attacks, and damage is looked for outside."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import SandboxError
from ledger.places import Places
from tools.sandbox import attacks
from tools.sandbox.limits import limits
from tools.sandbox.seccomp import number
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.tree import HOME, SYSTEM, base_environment
from tools.sandbox.types import Job, Mount, Proof, Sandbox, Wall

REPORT = "OURO_REPORT"
SECRET = "a secret of the daemon"
VICTIM_MODE = 0o600
SET_BY_THE_SYSTEM = ("PWD", "LC_CTYPE")  # by the monitor and by the interpreter


@dataclass(frozen=True, slots=True)
class Bait:
    """What was laid out for the attacks."""

    workspace: Path
    outside: Path
    target: attacks.Target

    @property
    def made(self) -> tuple[Path, ...]:
        """Files that only a broken wall can have made."""
        places = (*self.target["outside"], "/tmp")
        return tuple(p for folder in places if (p := Path(folder, self.target["token"])).exists())

    @property
    def victim_is_whole(self) -> bool:
        victim = Path(self.target["victim"])
        if not victim.is_file():
            return False
        return victim.read_text(encoding="utf-8") == SECRET and victim.stat().st_mode & 0o777 == VICTIM_MODE


def interpreter() -> tuple[Path, tuple[Mount, ...]]:
    """An interpreter that code inside can start, and the read-only mounts that it needs.

    It is the base of the daemon's own (a virtual environment's ``python`` is only a link to it). What lies below the
    system folders is seen anyway.
    """
    program = Path(os.path.realpath(sys.executable))
    needed = dict.fromkeys((Path(os.path.realpath(sys.base_prefix)), Path(os.path.realpath(sys.base_exec_prefix))))
    if not any(prefix in program.parents for prefix in needed):
        needed[program] = None
    system = tuple(Path(name) for name in SYSTEM)
    unseen = (p for p in needed if not any(top == p or top in p.parents for top in system))
    return program, tuple(Mount(source=path, target=path) for path in unseen)


async def prove(sandbox: Sandbox, settings: SandboxSettings, places: Places) -> tuple[Proof, ...]:
    """Attack every wall of ``sandbox``. Raises ``SandboxError`` or ``ChildFailed`` when the attacks cannot be run."""
    program, mounts = interpreter()
    code = Path(attacks.__file__).read_text(encoding="utf-8")
    with _bait(settings, places) as bait:
        job = Job(
            argv=(str(program), "-I", "-S", "-c", code, json.dumps(bait.target)),
            cwd=bait.workspace,
            mounts=(Mount(source=bait.workspace, target=bait.workspace, writable=True), *mounts),
            timeout_s=settings.probe_timeout_s,
            report_env=REPORT,
        )
        finished = await sandbox.run(job)
        try:
            answers = json.loads(finished.report)
        except ValueError:
            said = finished.output.decode("utf-8", errors="replace").strip().splitlines()[-1:]
            why = "they did not end in time" if finished.timed_out else (said or [f"exit code {finished.code}"])[0]
            raise SandboxError(f"The walls of {sandbox.name} could not be tried: {why}.") from None
        return tuple(_judge(wall, answers[wall], bait) for wall in Wall)


def _judge(wall: Wall, answer: tuple[bool, str], bait: Bait) -> Proof:
    broken, detail = answer
    in_tmp = tuple(p for p in bait.made if p.parent == Path("/tmp"))
    if wall is Wall.PRIVATE_TMP and in_tmp:
        return Proof(wall, False, "What is written to /tmp is seen outside.")
    if wall is Wall.WRITE_OUTSIDE:
        made = [str(p.parent) for p in bait.made if p not in in_tmp]
        if made:
            return Proof(wall, False, f"Files were made in {', '.join(made)}.")
        if not bait.victim_is_whole:
            return Proof(wall, False, "A file outside was changed.")
        return Proof(wall, True, "No file could be made or changed outside.")
    return Proof(wall, not broken, detail)


@contextlib.contextmanager
def _bait(settings: SandboxSettings, places: Places) -> Iterator[Bait]:
    token = f".ouro-probe-{os.urandom(6).hex()}"
    with contextlib.ExitStack() as stack:
        workspace = _folder(stack, places.cache / token)
        outside = _folder(stack, places.state / token)
        sockets = _folder(stack, places.runtime / token)
        victim = outside / "victim"
        victim.write_text(SECRET, encoding="utf-8")
        victim.chmod(VICTIM_MODE)
        tcp = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        _listen(stack, sockets, token)
        bait = Bait(
            workspace=workspace,
            outside=outside,
            target=attacks.Target(
                secret=str(victim),
                folders=[str(places.state), str(places.runtime)],
                victim=str(victim),
                outside=[str(outside), str(places.home), str(places.common_dir), "/usr", "/etc", "/"],
                token=token,
                port=tcp.getsockname()[1],
                socket_folder=str(sockets),
                abstract=token,
                pid=os.getpid(),
                started=Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19],
                variables=[*base_environment(home=HOME, tmp=Path("/tmp")), REPORT, *SET_BY_THE_SYSTEM],
                limits=[(x.kind, x.value) for x in limits(settings) if x.option != "nproc"],
                file_limit=next(x.value for x in limits(settings) if x.option == "fsize"),
                add_key=number("add_key", os.uname().machine) or -1,
            ),
        )
        stack.callback(_remove_made, bait)
        yield bait


def _remove_made(bait: Bait) -> None:
    for path in bait.made:
        path.unlink()


def _folder(stack: contextlib.ExitStack, path: Path) -> Path:
    path.mkdir(parents=True, mode=0o700)
    stack.callback(shutil.rmtree, path, ignore_errors=True)
    return path


def _listen(stack: contextlib.ExitStack, folder: Path, abstract: str) -> None:
    """Two listening unix sockets. The folder goes through a descriptor: its path may be too long for an address."""
    fd = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    stack.callback(os.close, fd)
    for address in (f"/proc/self/fd/{fd}/s", "\0" + abstract):
        server = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC))
        server.bind(address)
        server.listen(1)
