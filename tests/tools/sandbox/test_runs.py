"""What every back end does with a job, beside its walls."""

from __future__ import annotations

import asyncio
import os
import py_compile
import signal
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from ledger.errors import SandboxError
from ledger.places import Places
from tests.tools.sandbox.boxes import Box, deep, running, shell, soon_gone
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.choice import left_behind
from tools.sandbox.landlock import Landlock
from tools.sandbox.launch import launcher
from tools.sandbox.launcher import held, remove, remove_unless_in_use
from tools.sandbox.plain import Plain
from tools.sandbox.probe import interpreter
from tools.sandbox.settings import SandboxSettings
from tools.sandbox.types import Job, Mount, Wall
from tools.streams import Talk

ESCAPE = "(setsid sh -c '(sleep {token} &) ; sleep {token}' >/dev/null 2>&1 &) ; sleep 0.3; "


TIMERS = """
import ctypes, signal, struct
libc, made = ctypes.CDLL(None, use_errno=True), 0
event = struct.pack("QiI48x", 0, signal.SIGRTMIN, 0)
while made < 10_000 and libc.timer_create(1, event, ctypes.byref(ctypes.c_void_p())) == 0:
    made += 1
print(made)
"""


def number() -> str:
    """A length of sleep that no other process of this machine has."""
    return f"{900 + int.from_bytes(os.urandom(2), 'big')}.{os.getpid()}"


async def test_code_output_input_environment_and_report(box: Box, work: Path) -> None:
    (work / "in").write_text("file")
    script = 'cat in -; echo "$ADDED $HOME $LANG $PYTHONDONTWRITEBYTECODE"; echo r >/proc/self/fd/$REPORT; exit 5'
    done = await box.run(shell(work, script, stdin=b" stdin\n", env={"ADDED": "yes"}, report_env="REPORT"))
    first, second = done.output.decode().splitlines()
    assert done.code == 5 and done.report == b"r\n" and first == "file stdin"
    assert second.startswith("yes /") and second.endswith("C.UTF-8 1")


async def test_no_descriptor_leads_to_a_file_of_the_host(box: Box, work: Path) -> None:
    """Who owns a file, a device among them, can change its rights for all by a descriptor that only reads."""
    done = await box.run(shell(work, "for n in 0 1 2; do readlink /proc/self/fd/$n; done; cat"))
    assert [line.partition(":")[0] for line in done.output.decode().split()] == ["pipe"] * 3, done.output


async def test_nobody_inside_changes_a_device_of_the_host(bwrap: Bwrap, work: Path) -> None:
    before = Path("/dev/zero").stat().st_ctime_ns
    done = await bwrap.run(shell(work, "chmod 666 /dev/zero; echo x >/dev/null && echo written"))
    assert done.output.endswith(b"written\n") and Path("/dev/zero").stat().st_ctime_ns == before, done.output


async def test_home_and_tmp_are_writable_and_thrown_away(box: Box, work: Path) -> None:
    script = 'test -w "$HOME" && echo x > "$HOME/kept" && mkdir -p "$TMPDIR/a/b" && echo $HOME'
    first = await box.run(shell(work, script))
    second = await box.run(shell(work, 'cat "$HOME/kept"'))
    assert first.code == 0 and second.code != 0
    if isinstance(box, Landlock):
        assert not list(box.runs.parent.glob(f"{box.runs.name}-*"))


async def test_only_the_writable_mount_keeps_what_is_written(box: Box, work: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    (data / "file").write_text("data")
    script = f"echo new > made; cat {data}/file; echo x > {data}/more; rm -f {data}/file; echo x >> {data}/file"
    done = await box.run(shell(work, script, Mount(source=data, target=data)))
    assert (work / "made").read_text() == "new\n" and done.output.startswith(b"data")
    assert [p.name for p in data.iterdir()] == ["file"] and (data / "file").read_text() == "data"


async def test_a_time_out_is_told_and_output_is_kept(box: Box, work: Path) -> None:
    done = await box.run(shell(work, "trap '' TERM; echo begun; while :; do sleep 0.05; done", timeout_s=1.0))
    assert done.timed_out and done.output.startswith(b"begun") and done.duration_ms < 6000


async def test_a_flood_is_ended(box: Box, work: Path) -> None:
    done = await box.run(shell(work, "exec yes"))
    assert done.flooded and done.cut_bytes > 0


@pytest.mark.parametrize("ending", ["exit 3", "kill -9 $$", "sleep 30"])
async def test_nobody_outlives_the_run(box: Box, work: Path, ending: str) -> None:
    token = number()
    done = await box.run(shell(work, ESCAPE.format(token=token) + ending, timeout_s=2.0))
    assert running(token) == []
    assert done.timed_out == (ending == "sleep 30")


async def test_a_crowd_is_gone_too_when_the_run_returns(box: Box, work: Path) -> None:
    """So many that their end takes longer than that of the monitor."""
    token = number()
    script = f"i=0; while [ $i -lt 150 ]; do sleep {token} >/dev/null 2>&1 & i=$((i+1)); done"
    done = await box.run(shell(work, script))
    assert running(token) == [] and done.code == 0


async def test_nobody_outlives_a_cancelled_run(box: Box, work: Path) -> None:
    token = number()
    task = asyncio.create_task(box.run(shell(work, ESCAPE.format(token=token) + "sleep 30")))
    async with asyncio.timeout(10):
        while len(running(f"sleep\0{token}")) < 2:  # noqa: ASYNC110  other processes
            await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert running(token) == []


DAEMON = """
import asyncio, sys
from dataclasses import replace
from pathlib import Path
from ledger.places import HostEnv
from tests.repos import make_places
from tests.tools.sandbox.boxes import shell
from tools.sandbox.choice import candidates
from tools.sandbox.settings import SandboxSettings
name, base, work, script = sys.argv[1:]
places = make_places(Path(base), Path(base, "repo"))
boxes = dict(candidates(SandboxSettings(), places, HostEnv(variables={}, path="/usr/bin:/bin")))
asyncio.run(boxes[name].run(shell(Path(work), script)))
"""


def test_nobody_outlives_a_killed_daemon(box: Box, work: Path, tmp_path: Path) -> None:
    token = number()
    script = ESCAPE.format(token=token) + "sleep 30"
    argv = [sys.executable, "-c", DAEMON, box.name, str(tmp_path), str(work), script]
    with subprocess.Popen(argv, cwd=Path(__file__).parents[3]) as daemon:
        deadline = time.monotonic() + 20
        while len(running(f"sleep\0{token}")) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(running(f"sleep\0{token}")) == 2
        daemon.send_signal(signal.SIGKILL)
    assert soon_gone(token)


async def test_what_cannot_be_built_is_an_error_and_not_a_result(box: Box, work: Path) -> None:
    job = Job(argv=("true",), cwd=Path("/nowhere/at/all"), timeout_s=10)
    with pytest.raises(SandboxError, match=r"could not be built: .*nowhere"):
        await box.run(job)


async def test_a_missing_program_is_the_jobs_own_failure(box: Box, work: Path) -> None:
    done = await box.run(Job(argv=("no-such-program",), cwd=Path("/"), timeout_s=10))
    assert done.code == 127 and b"no-such-program" in done.output


async def test_many_at_once(box: Box, work: Path) -> None:
    done = await asyncio.gather(*(box.run(shell(work, f"exit {n}", report_env="R")) for n in range(8)))
    assert [d.code for d in done] == list(range(8))


async def test_an_event_loop_runs_inside(box: Box, work: Path) -> None:
    program, mounts = interpreter()
    code = "import asyncio; asyncio.run(asyncio.sleep(0)); print('slept')"
    own = Mount(source=work, target=work, writable=True)
    done = await box.run(Job(argv=(str(program), "-I", "-c", code), cwd=work, mounts=(own, *mounts), timeout_s=20))
    assert done.output == b"slept\n"


async def test_a_loopback_server_works_in_its_own_network(bwrap: Bwrap, work: Path) -> None:
    code = (
        "import socket; s = socket.create_server(('127.0.0.1', 0));"
        "c = socket.create_connection(s.getsockname()); print('joined')"
    )
    program, mounts = interpreter()
    done = await bwrap.run(Job(argv=(str(program), "-I", "-c", code), cwd=Path("/"), mounts=mounts, timeout_s=20))
    assert done.output == b"joined\n"


async def test_the_number_of_processes_is_bounded_for_an_ordinary_user(bwrap: Bwrap) -> None:
    script = "i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done; echo all"
    limited = Bwrap(
        program=bwrap.program, prlimit=bwrap.prlimit, settings=SandboxSettings(processes=16), hidden=bwrap.hidden
    )
    done = await limited.run(Job(argv=("sh", "-c", script), cwd=Path("/"), timeout_s=20))
    assert (b"all" in done.output) == (os.geteuid() == 0)  # the kernel never bounds root


NEIGHBOURS = """
import os, socket, sys
def reach(family, address):
    try:
        with socket.socket(family, socket.SOCK_STREAM) as mine:
            mine.settimeout(5)
            mine.connect(address)
        return "reached"
    except OSError:
        return "not reached"
port, name, path = sys.argv[1:]
addresses = ((socket.AF_INET, ("127.0.0.1", int(port))), (socket.AF_UNIX, chr(0) + name), (socket.AF_UNIX, path))
print(*(reach(*address) for address in addresses), sep=",")
"""


@pytest.mark.parametrize(
    ("network", "answer"), [(False, "not reached"), (True, "reached")], ids=["no network", "network"]
)
async def test_a_job_reaches_the_network_only_when_it_may_and_never_a_unix_socket(
    box: Box, work: Path, network: bool, answer: str
) -> None:
    """Abstract unix sockets belong to the network: who shares it would reach the owner's session otherwise."""
    program, mounts = interpreter()
    own = Mount(source=work, target=work, writable=True)
    name = f"ouro-{number()}"
    with socket.create_server(("127.0.0.1", 0)) as tcp, socket.socket(socket.AF_UNIX) as abstract:
        abstract.bind("\0" + name)
        abstract.listen(1)
        with socket.socket(socket.AF_UNIX) as named:
            named.bind(str(work / "s"))
            named.listen(1)
            argv = (str(program), "-I", "-S", "-c", NEIGHBOURS, str(tcp.getsockname()[1]), name, str(work / "s"))
            done = await box.run(Job(argv=argv, cwd=work, mounts=(own, *mounts), timeout_s=20, network=network))
    tcp_was, abstract_was, named_was = done.output.decode().strip().split(",")
    assert (tcp_was, abstract_was) == (answer, "not reached")
    assert named_was == "not reached" or not network  # it lies in the job's own folder


async def test_secrets_are_given_and_stand_on_no_command_line(box: Box, work: Path) -> None:
    secret, token = f"secret-{number()}", number()
    task = asyncio.create_task(
        box.run(shell(work, f'echo "$KEY $ADDED"; sleep {token}', env={"ADDED": "a"}, secrets={"KEY": secret}))
    )
    async with asyncio.timeout(10):
        while not running(f"sleep\0{token}"):  # noqa: ASYNC110  another process
            await asyncio.sleep(0.02)
    seen = running(secret)
    for pid in running(f"sleep\0{token}"):
        os.kill(pid, signal.SIGTERM)
    assert (await task).output.decode().splitlines()[0] == f"{secret} a" and not seen


async def test_who_speaks_is_heard_apart_from_what_goes_to_standard_error(box: Box, work: Path) -> None:
    heard = bytearray()
    talk = Talk(heard.extend)
    task = asyncio.create_task(box.run(shell(work, "echo loud >&2; read a; echo $a; read b", talk=talk, speaks=True)))
    talk.say(b"again\n")
    async with asyncio.timeout(10):
        while not heard:  # noqa: ASYNC110  another process
            await asyncio.sleep(0.01)
    talk.finish()
    done = await task
    assert (bytes(heard), done.output, done.code) == (b"again\n", b"loud\n", 1)


async def test_without_walls_nobody_outlives_the_run_either(tmp_path: Path, work: Path) -> None:
    token = number()
    plain = Plain(runs=tmp_path / "run", settings=SandboxSettings())
    await plain.run(shell(work, ESCAPE.format(token=token) + "exit 3"))
    assert running(token) == []


async def test_without_walls_the_contract_is_the_same(tmp_path: Path, work: Path) -> None:
    plain = Plain(runs=tmp_path / "run", settings=SandboxSettings())
    script = "echo $HOME; touch $TMPDIR/left; echo r >/proc/self/fd/$R; exit 2"
    done = await plain.run(shell(work, script, report_env="R"))
    own = Path(done.output.decode().strip())
    assert done.code == 2 and done.report == b"r\n" and plain.missing == frozenset(Wall)
    assert own.parent == tmp_path and not own.exists()


async def test_private_folders_that_grow_too_large_end_the_run(landlock: Landlock, work: Path) -> None:
    """Landlock cannot bound them; the launcher looks."""
    small = replace(landlock, settings=SandboxSettings(scratch_mb=16))
    script = "head -c {size}M /dev/zero > $TMPDIR/large; {then}"
    within = await small.run(shell(work, script.format(size=8, then="sleep 0.7; echo there")))
    assert within.code == 0 and within.output == b"there\n"
    beyond = await small.run(shell(work, script.format(size=40, then="sleep 60")))
    assert beyond.code == 128 + signal.SIGXFSZ and b"more than 16 MiB" in beyond.output and not beyond.timed_out
    assert not list(small.runs.parent.glob(f"{small.runs.name}-*"))


@pytest.mark.parametrize("forbidden", [False, True], ids=["counted", "not to be counted"])
async def test_a_copy_that_grows_too_large_ends_the_run(box: Box, work: Path, forbidden: bool) -> None:
    """What was there before counts for nothing."""
    small = replace(box, settings=SandboxSettings(scratch_mb=16))
    (work / "before").write_bytes(bytes(20 << 20))
    mounts = (Mount(source=work, target=work, writable=True, ours=True, closed=True),)
    script = "umask 444; mkdir d; head -c {size}M /dev/zero > d/large; {then}"
    script = script if forbidden else script.removeprefix("umask 444; ")

    def job(size: int, then: str) -> Job:
        return replace(shell(work, script.format(size=size, then=f"{then}; rm d/large; rmdir d")), mounts=mounts)

    within = await small.run(job(8, "sleep 0.7; echo there"))
    assert within.code == 0 and within.output == b"there\n", within
    beyond = await small.run(job(40, "sleep 60"))
    assert beyond.code == 128 + signal.SIGXFSZ and b"more than 16 MiB" in beyond.output and not beyond.timed_out


async def test_what_is_counted_for_all_programs_of_a_user_is_not_taken_from_them(box: Box, work: Path) -> None:
    """A timer takes one of the signals that wait: who has them all leaves none to anybody."""
    program, needed = interpreter()
    kept = Mount(source=work, target=work, writable=True, closed=True)
    done = await box.run(
        Job(argv=(str(program), "-I", "-S", "-c", TIMERS), cwd=work, mounts=(kept, *needed), timeout_s=20)
    )
    assert done.code == 0 and 0 < int(done.output) <= 4096, done.output


async def test_who_was_left_behind_is_found(landlock: Landlock, places: Places) -> None:
    left = landlock.runs.with_name(f"{landlock.runs.name}-0a")
    left.mkdir(parents=True)
    assert left_behind(places) == (left,)
    remove_unless_in_use(str(left))
    assert left_behind(places) == ()


async def test_whoever_clears_up_leaves_a_run_that_goes_on_alone(
    landlock: Landlock, places: Places, work: Path
) -> None:
    """At a boot the owner's servers run already when left-overs are removed."""
    task = asyncio.create_task(
        landlock.run(shell(work, ": > ready; while [ ! -e go ]; do sleep 0.02; done; ls -d $HOME"))
    )
    async with asyncio.timeout(20):
        while not (work / "ready").exists():  # noqa: ASYNC110  another process
            await asyncio.sleep(0.02)
    (own,) = left_behind(places)
    remove_unless_in_use(str(own))
    assert (own / "home").is_dir()
    (work / "go").touch()
    done = await task
    assert (done.code, done.output) == (0, f"{own}/home\n".encode()) and left_behind(places) == ()


async def test_a_launcher_whose_folder_is_gone_still_ends_all(landlock: Landlock, places: Places, work: Path) -> None:
    token = number()
    script = f"(setsid sleep {token} &); : > ready; while [ ! -e go ]; do sleep 0.02; done; sleep 0.7; exit 3"
    task = asyncio.create_task(landlock.run(shell(work, script)))
    async with asyncio.timeout(20):
        while not (work / "ready").exists():  # noqa: ASYNC110  another process
            await asyncio.sleep(0.02)
    for own in left_behind(places):
        remove(str(own))
    (work / "go").touch()
    assert (await task).code == 3 and running(token) == []


def test_deep_folders_are_counted_and_removed(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    deep(top, 10_000)
    fd = os.open(top, os.O_RDONLY)
    try:
        assert held(fd, 1 << 40) >= 1 << 20  # more than the bound, where it takes too long
    finally:
        os.close(fd)
    remove(str(top))
    assert not top.exists()


def test_who_holds_too_many_files_to_be_counted_holds_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.sandbox.launcher.MOST_ENTRIES", 20)
    (tmp_path / "inner").mkdir()
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        for count in range(30):
            assert (held(fd, 1 << 40) > 1 << 40) == (count + 1 >= 20)
            (tmp_path / "inner" / str(count)).touch()
    finally:
        os.close(fd)


def test_a_link_is_neither_followed_nor_removed_through(tmp_path: Path) -> None:
    other, top = tmp_path / "other", tmp_path / "top"
    other.mkdir()
    top.mkdir()
    (other / "kept").write_bytes(bytes(1 << 20))
    (top / "link").symlink_to(other)
    fd = os.open(top, os.O_RDONLY)
    try:
        assert held(fd, 1 << 40) < 1 << 20
    finally:
        os.close(fd)
    (tmp_path / "itself").symlink_to(other)
    remove(str(tmp_path / "itself"))
    remove(str(top))
    assert not top.exists() and (other / "kept").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to somebody else")
async def test_root_may_write_a_workspace_of_somebody_else_under_landlock(landlock: Landlock, work: Path) -> None:
    os.chown(work, 12345, 12345)
    assert (await landlock.run(shell(work, "echo x > made"))).code == 0


STAMPED = py_compile.PycInvalidationMode.TIMESTAMP


def test_the_launcher_is_run_compiled_only_when_that_is_up_to_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "launcher.py"
    source.write_text("first = 1\n")
    monkeypatch.setattr("tools.sandbox.launch.LAUNCHER", source)

    def taken() -> Path:
        return launcher.__wrapped__()

    assert taken() == source
    compiled = Path(py_compile.compile(str(source), doraise=True, invalidation_mode=STAMPED))
    assert taken() == compiled
    source.write_text("second = 22\n")
    assert taken() == source
    py_compile.compile(str(source), doraise=True, invalidation_mode=STAMPED)
    os.utime(source, (1, 1))
    assert taken() == source


async def test_where_memory_runs_out_the_run_goes_first_and_cannot_change_that(box: Box, work: Path) -> None:
    script = (
        "cat /proc/self/oom_score_adj; (echo 0 >/proc/self/oom_score_adj) 2>/dev/null; cat /proc/self/oom_score_adj"
    )
    done = await box.run(shell(work, script))
    assert done.output.split() == [b"1000", b"1000"]
    assert Path("/proc/self/oom_score_adj").read_text().strip() != "1000", "nobody else does"


async def test_what_is_left_ends_with_a_launcher_that_is_killed_alone(landlock: Landlock, work: Path) -> None:
    """As the kernel does when memory runs out, or an administrator: nothing outlives the run, and its folder goes."""
    token = number()
    task = asyncio.create_task(landlock.run(shell(work, ESCAPE.format(token=token) + "touch $TMPDIR/x; sleep 30")))
    try:
        while len(running(f"sleep\0{token}")) < 2:  # noqa: ASYNC110  other processes
            await asyncio.sleep(0.02)
        (pid,) = (pid for pid in running(str(launcher())) if _parent_of(pid) == os.getpid())
        os.kill(pid, signal.SIGKILL)
    finally:
        done = await task
    assert done.signal == signal.SIGKILL
    assert await asyncio.to_thread(soon_gone, token)
    assert await asyncio.to_thread(soon_empty, landlock)


async def test_a_folder_that_takes_long_to_remove_goes_after_the_launcher_was_killed(
    landlock: Landlock, work: Path
) -> None:
    hasty = replace(landlock, settings=landlock.settings.model_copy(update={"gone_s": 0.01}))
    script = 'mkdir $TMPDIR/a; cd $TMPDIR/a; seq 30000 | xargs touch; touch "$TMPDIR/made"; sleep 30'
    done = await hasty.run(shell(work, script, timeout_s=4.0))
    assert done.timed_out and done.signal == signal.SIGKILL
    assert await asyncio.to_thread(soon_empty, landlock)


def _parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def soon_empty(landlock: Landlock, within_s: float = 10.0) -> bool:
    """Whether no folder of a run is left."""
    deadline = time.monotonic() + within_s
    while list(landlock.runs.parent.glob(f"{landlock.runs.name}-*")):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
