"""What the attacks on the control socket share: a real server with an op that waits, and code inside that asks it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from daemon.control.messages import Ack, OpRef
from daemon.control.server import ControlServer
from daemon.control.table import METHODS, STREAMS, needs_token
from daemon.control.token import renew
from daemon.settings.bounds import ControlSettings
from ledger.places import Places
from tests.cage.walls import Unable
from tests.daemon.scripted_api import OP, ScriptedApi
from tests.daemon.test_control import PARAMS
from tests.repos import host_env, make_places, make_repo
from tests.tools.sandbox.filters import without
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.choice import candidates
from tools.sandbox.landlock import Landlock
from tools.sandbox.launcher import WRITE
from tools.sandbox.plan import RunPlan
from tools.sandbox.probe import interpreter
from tools.sandbox.seccomp import SHARED
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Job, Mount

Box = Bwrap | Landlock
GUARDED = tuple(name for name in (*METHODS, *STREAMS) if needs_token(name))
EVERY = (*METHODS, *STREAMS)
LONGEST_S = 120.0

INSIDE = """
import json, os, socket, stat, sys
told = json.load(sys.stdin)
seen = [told["socket"]]
for top in told["tops"]:
    for folder, _, names in os.walk(top):
        seen += [os.path.join(folder, name) for name in names]
try:
    with open("/proc/net/unix") as file:
        seen += [line.split()[7] for line in file.readlines()[1:] if len(line.split()) > 7]
except OSError:
    pass
def is_socket(path):
    try:
        return stat.S_ISSOCK(os.stat(path).st_mode)
    except OSError:
        return False
tops = tuple(os.path.join(top, "") for top in told["tops"])
sockets = sorted({path for path in seen if path.startswith(tops) and is_socket(path)} | {told["socket"]})
tokens = {"": "no token"}
for shown in told["tokens"]:
    tokens[shown] = "a token"
try:
    with open(told["token_file"]) as file:
        tokens[file.read().strip()] = "the token file"
except OSError:
    pass
def asks(path, token, method, params):
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(5)
        channel.connect(path)
        lines = [("hello", {"protocol": 2, "token": token}), (method, params)]
        try:
            for number, (name, given) in enumerate(lines):
                line = {"jsonrpc": "2.0", "id": number, "method": name, "params": given}
                channel.sendall(json.dumps(line).encode() + b"\\n")
        except OSError:
            pass
        with channel.makefile("rb") as answers:
            for line in answers:
                answer = json.loads(line)
                if answer.get("id") == 1:
                    return "result" in answer
    return False
through, why = [], {}
for path in sockets:
    for token, name in tokens.items():
        for method, params in told["verbs"].items():
            try:
                if asks(path, token, method, params):
                    through.append(method + " with " + name)
            except (OSError, ValueError) as error:
                why[type(error).__name__ + ": " + str(error)] = method
print("SAID " + json.dumps({"through": through, "why": why, "sockets": sockets}))
"""


class Waits(ScriptedApi):
    """An op waits for its owner, and whoever approves it has his way."""

    def __init__(self) -> None:
        super().__init__()
        self.approved: list[str] = []
        self.gate.set()

    async def approve(self, request: OpRef) -> Ack:
        self.approved.append(request.op)
        return Ack(message="approved", op=OP)


@dataclass(frozen=True)
class Scene:
    """A server that runs outside, and where its things lie."""

    places: Places
    api: Waits
    token: str
    work: Path


@asynccontextmanager
async def playing(base: Path, kind: type[ControlServer] = ControlServer) -> AsyncIterator[Scene]:
    places = make_places(base, make_repo(base / "repo"))
    work = base / "work"
    work.mkdir()
    token, api = renew(places), Waits()
    server = kind(api=api, path=places.socket, settings=ControlSettings(), token=token)
    await server.start()
    try:
        yield Scene(places=places, api=api, token=token.reveal(), work=work)
    finally:
        await server.close()


def sandbox(scene: Scene, backend: str, *, show: Collection[Path] = (), sockets: bool = False) -> Box:
    """The production back end. ``show``: folders of ours that are not hidden; ``sockets``: unix ones may be made."""
    settings = SandboxSettings(backend=backend)  # type: ignore[arg-type]  # one of its two names
    found = dict(candidates(settings, scene.places, host_env())).get(backend)
    if not isinstance(found, Box):
        raise Unable(f"{backend}: {found}")
    values = {field.name: getattr(found, field.name) for field in fields(found)}
    if isinstance(found, Bwrap):
        return _bwrap(show)(**values)
    return _landlock(show, sockets=sockets)(**values)


def _bwrap(show: Iterable[Path]) -> type[Bwrap]:
    class Shown(Bwrap):
        def tree(self, job: Job) -> tuple[str, ...]:
            return (*super().tree(job), *(word for path in show for word in ("--bind", str(path), str(path))))

        def unix_sockets(self, job: Job) -> bool:
            return True

    return Shown


def _landlock(show: Iterable[Path], *, sockets: bool) -> type[Landlock]:
    class Shown(Landlock):
        def plan(self, job: Job, *, own: Path, env: dict[str, str], status_fd: int) -> RunPlan:
            plan = super().plan(job, own=own, env=env, status_fd=status_fd)
            plan["grants"] += [(str(path), WRITE) for path in show]
            if sockets:
                plan["filter"] = without(SHARED, "socket").hex()
            return plan

    return Shown


async def ask(scene: Scene, box: Box, *, verbs: Collection[str] = EVERY, tokens: Collection[str] = ()) -> list[str]:
    """Code inside tries ``verbs`` on every socket of the daemon's that it can find; what was carried out."""
    program, mounts = interpreter()
    told: dict[str, Any] = {
        "socket": str(scene.places.socket),
        "tops": [str(scene.places.runtime.parent)],
        "token_file": str(scene.places.token),
        "tokens": list(tokens),
        "verbs": {name: PARAMS.get(name, {}) for name in verbs},
    }
    own = Mount(source=scene.work, target=scene.work, writable=True, closed=True)
    done = await box.run(
        Job(
            argv=(str(program), "-I", "-S", "-c", INSIDE),
            cwd=scene.work,
            mounts=(own, *mounts),
            stdin=json.dumps(told).encode(),
            timeout_s=LONGEST_S,
        )
    )
    lines = [line for line in done.output.decode().splitlines() if line.startswith("SAID ")]
    if not lines:
        raise RuntimeError(f"the code inside has not come to its end: {done.output.decode()[-2000:]}")
    through: list[str] = json.loads(lines[-1].removeprefix("SAID "))["through"]
    return through + [f"approved {op}" for op in scene.api.approved]
