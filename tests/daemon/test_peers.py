"""Who may ask: real processes in real namespaces at a real socket."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.control.peers import Namespaces, judge, namespaces_of, own_namespaces, user_of
from tests.daemon.other_user import SOMEBODY, environ_for_somebody, python_for_somebody
from tests.daemon.other_user import theirs as theirs
from tests.daemon.test_control import TOKEN, connected, serving

ROOT = Path(__file__).resolve().parents[2]
AS_ROOT = os.geteuid() == 0
ASKING = """
import json, socket, sys
channel = socket.socket(socket.AF_UNIX)
channel.connect(sys.argv[1])
lines = [("hello", {"protocol": 2, "token": sys.argv[2]}), ("pause", {})]
try:
    for number, (method, params) in enumerate(lines):
        line = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        channel.sendall(json.dumps(line).encode() + b"\\n")
except OSError:
    pass  # refused, and hung up: what was said is still there to be read
told = b""
try:
    while told.count(b"\\n") < len(lines) and (more := channel.recv(65536)):
        told += more
except OSError:
    pass
print(json.dumps([json.loads(line) for line in told.splitlines()]))
"""
HANDING_OVER = """
import socket, sys
channel = socket.socket(socket.AF_UNIX)
channel.connect(sys.argv[1])
socket.send_fds(socket.socket(fileno=int(sys.argv[2])), [b"x"], [channel.fileno()])
"""
UNSHARED = {
    "mount": ("unshare", "-m") if AS_ROOT else ("unshare", "-Urm"),
    "user": ("unshare", "-Ur"),
    "process": ("unshare", "-pf") if AS_ROOT else ("unshare", "-Urpf"),
}
BOX = ("bwrap", "--dev-bind", "/", "/", "--unshare-all", "--proc", "/proc")


async def asked_from(way: tuple[str, ...], path: Path) -> list[dict[str, object]]:
    """What a process that is started in that way is answered, token in hand."""
    if shutil.which((*way, "sh")[0]) is None:
        pytest.skip(f"{way[0]} is not installed")
    if way and await (await asyncio.create_subprocess_exec(*way, "true")).wait():
        pytest.skip(f"{' '.join(way)} is not allowed here")
    process = await asyncio.create_subprocess_exec(
        *way, sys.executable, "-c", ASKING, str(path), TOKEN, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await asyncio.wait_for(process.communicate(), 30)
    found: list[dict[str, object]] = json.loads(out)
    return found


async def test_a_process_of_the_same_namespaces_is_heard(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path):
        told = await asked_from((), path)
    assert [line["id"] for line in told] == [0, 1] and all("result" in line for line in told)


@pytest.mark.parametrize("kind", UNSHARED)
async def test_a_process_of_another_namespace_is_told_so_and_nothing_else(tmp_path: Path, kind: str) -> None:
    async with serving(tmp_path) as (api, path):
        told = await asked_from(UNSHARED[kind], path)
        assert not api.asked
    assert len(told) == 1
    error = told[0]["error"]
    assert isinstance(error, dict) and kind in error["message"] and "Who may ask" in error["data"]["remedy"]
    assert error["data"]["exit"] == 4


async def test_a_process_in_a_box_of_bubblewrap_is_refused(tmp_path: Path) -> None:
    async with serving(tmp_path) as (api, path):
        told = await asked_from(BOX, path)
        assert not api.asked
    assert len(told) == 1 and "error" in told[0]


def handed_over(path: Path, ours: socket.socket, theirs: socket.socket) -> int:
    """A connection of a process that has ended. Blocks, so that a server in this process cannot look meanwhile."""
    argv = [sys.executable, "-c", HANDING_OVER, str(path), str(theirs.fileno())]
    subprocess.run(argv, pass_fds=(theirs.fileno(),), check=True)
    _, handed, _, _ = socket.recv_fds(ours, 1, 1)
    return handed[0]


async def test_a_connection_whose_maker_has_ended_is_refused(tmp_path: Path) -> None:
    """The number of that process may be another's by now, so that nobody can say who asks."""
    async with serving(tmp_path) as (api, path):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            handed = handed_over(path, ours, theirs)
        reader, writer = await asyncio.open_unix_connection(sock=socket.socket(fileno=handed))
        told = json.loads(await asyncio.wait_for(reader.readline(), 10))
        writer.close()
        assert "has ended" in told["error"]["message"] and not api.asked


REUSED = """
import json, os, socket, sys
from daemon.control import peers
listener = socket.socket(socket.AF_UNIX)
listener.bind(sys.argv[1])
listener.listen()
ours, theirs = socket.socketpair()
client = os.fork()
if client == 0:  # connects, hands the connection to us and ends
    channel = socket.socket(socket.AF_UNIX)
    channel.connect(sys.argv[1])
    socket.send_fds(theirs, [b"x"], [channel.fileno()])
    os._exit(0)
socket.recv_fds(ours, 1, 1)
os.waitpid(client, 0)
with open("/proc/sys/kernel/ns_last_pid", "w") as last:
    last.write(str(client - 1))
reading, writing = os.pipe()
innocent = os.fork()
if innocent == 0:
    os.close(writing)
    os.read(reading, 1)
    os._exit(0)
accepted, _ = listener.accept()
by_number = peers._namespaces_below(f"/proc/{innocent}") == peers.own_namespaces()
print(json.dumps({
    "reused": innocent == client, "by number": by_number, "told": peers.namespaces_of(accepted) is not None,
}))
os.close(writing)
os.waitpid(innocent, 0)
"""


@pytest.mark.skipif(not AS_ROOT, reason="only root can choose the number of the next process")
def test_a_process_that_got_the_number_of_who_connected_is_not_taken_for_him(tmp_path: Path) -> None:
    argv = ["unshare", "-pf", "--mount-proc", sys.executable, "-c", REUSED, str(tmp_path / "socket")]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    if "unshare" in done.stderr:
        pytest.skip(f"no process namespace of our own here: {done.stderr}")
    one, other = socket.socketpair()
    with one, other:
        try:
            os.close(struct.unpack("i", one.getsockopt(socket.SOL_SOCKET, 77, 4))[0])
        except OSError:
            pytest.skip("this kernel (before Linux 6.5) gives the number of a peer alone")
    assert json.loads(done.stdout) == {"reused": True, "by number": True, "told": False}, done.stderr


def test_the_kernel_names_both_ends() -> None:
    one, other = socket.socketpair()
    with one, other:
        assert user_of(one) == os.getuid()
        assert namespaces_of(one) == own_namespaces()


def test_what_differs_is_named() -> None:
    home = Namespaces(pid=(4, 1), user=(4, 2), mnt=(4, 3))
    assert judge(home, home) is None
    for kind, name in (("pid", "process"), ("user", "user"), ("mnt", "mount")):
        values = {"pid": home.pid, "user": home.user, "mnt": home.mnt, kind: (4, 9)}
        found = judge(Namespaces(**values), home)
        assert found is not None and f"another {name} namespace " in found.why
    untold = judge(None, home)
    assert untold is not None and untold.remedy


# --- a login that has more rights than the service -------------------------------------------------------------------

SERVING = """
import asyncio, sys
from pathlib import Path
from tests.daemon.other_user import SOMEBODY, environ_for_somebody, python_for_somebody
from tests.daemon.other_user import theirs as theirs
from tests.daemon.test_control import SETTINGS, serving
async def main():
    async with serving(Path(sys.argv[1])) as (api, path):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
asyncio.run(main())
"""
CLIENT = """
import asyncio, sys
from pathlib import Path
from daemon.control import client
from tests.daemon.other_user import SOMEBODY, environ_for_somebody, python_for_somebody
from tests.daemon.other_user import theirs as theirs
from tests.daemon.test_control import connected
if sys.argv[2] == "keeps":
    client.give_up_capabilities = lambda: None
async def main():
    async with await connected(Path(sys.argv[1])) as one:
        print((await one.pause()).message)
try:
    asyncio.run(main())
except client.RemoteError as error:
    print("refused:", error)
"""


@pytest.mark.skipif(not AS_ROOT, reason="only root can give a process of another user capabilities")
@pytest.mark.parametrize(("habit", "told"), [("gives up", "paused"), ("keeps", "refused:")])
def test_a_login_with_more_rights_than_the_service_gives_them_up_to_be_told(
    theirs: Path, habit: str, told: str
) -> None:
    """The kernel hides from a process the namespaces of one that has capabilities which it lacks."""
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv is not installed")
    program = python_for_somebody()
    more = ("setpriv", f"--reuid={SOMEBODY}", f"--regid={SOMEBODY}", "--clear-groups")
    ambient = ("--inh-caps=+wake_alarm", "--ambient-caps=+wake_alarm")
    with subprocess.Popen(
        [*more, program, "-c", SERVING, str(theirs)], env=environ_for_somebody(), cwd=theirs, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as server:  # fmt: skip
        assert server.stdout is not None and server.stdout.readline() == "ready\n"
        asking = [*more, *ambient, program, "-c", CLIENT, str(theirs / "control.sock"), habit]
        done = subprocess.run(
            asking, env=environ_for_somebody(), cwd=theirs, capture_output=True, text=True, check=False
        )
        server.communicate("end\n")
    assert done.stdout.startswith(told), done.stdout + done.stderr


async def test_the_owner_himself_is_heard_by_his_client(tmp_path: Path) -> None:
    async with serving(tmp_path) as (_, path), await connected(path) as client:
        assert (await client.pause()).message == "paused"
