"""The program that the sandbox probe runs inside a sandbox: one attack on each wall.

Run as ``python -I -S -c <this text> TARGET`` with TARGET in JSON (:class:`AttackTarget`). Standard library only. Writes
``{"answers": {wall: [broken, what happened]}, "made": {wall: path}}`` to the report pipe. An unforeseen failure of an
attack ends the program, and then no wall counts as proven. Damage to the host is assessed outside (``bait.py``).
"""

# The attacks make system calls on paths as text; pathlib would only hide them.
# ruff: noqa: PTH101, PTH109, PTH118, PTH123, PTH208
from __future__ import annotations

import ctypes
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tools.sandbox.bait import AttackTarget

CLONE_NEWUSER = 0x10000000
PROCESS_KEYRING = -2
PTRACE_SEIZE, PTRACE_DETACH = 0x4206, 17
NETLINK_USERSOCK = 2
MAP_NORESERVE = 0x4000
USER_MODE_ONLY = 1
SCHED_IDLE, IOPRIO_WHO_PROCESS, IDLE_CLASS = 5, 1, 3 << 13
FS_IOC_SETFLAGS, NODUMP, F_NOTIFY, DN_ACCESS = 0x40086602, 0x40, 1026, 1
FAN_REPORT_FID = 0x200
# socket families that no namespace covers: name and number of AF_VSOCK, AF_ALG, AF_PACKET ...
FAMILIES = {"vsock": 40, "crypto": 38, "packets": 17, "bluetooth": 31, "xdp": 44, "tipc": 30, "qrtr": 42}
CONNECT_S = 1.0
SURVIVES_S = 3.0  # how long the process that outlives its run sleeps


Answer = tuple[bool, str]  # whether the wall is broken, and what happened
MADE: dict[str, str] = {}  # path by wall; if the file exists on the host, the wall is broken


def network(target: AttackTarget) -> Answer:
    """Reach a listener of the host by TCP over IPv4 and IPv6, by UDP and by netlink."""
    reached: list[str] = []
    why: str | None = None
    for way, port in target["ports"].items():
        try:
            if port and _reach(way, port, target["token"].encode()):
                reached.append(way)
        except OSError as error:
            why = error.strerror
    if reached:
        return True, f"A listener on the host's loopback was reached by {', '.join(reached)}."
    return False, f"No listener of the host can be reached: IPv4, IPv6, netlink ({why})."


def _reach(way: str, port: int, data: bytes) -> bool:
    """Whether a listener was certainly reached. Datagrams are not proof: their arrival is checked outside."""
    if way == "netlink":
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_USERSOCK) as speaker:
            speaker.sendto(data, (port, 0))
        return True
    family, address = (socket.AF_INET6, "::1") if way.endswith("6") else (socket.AF_INET, "127.0.0.1")
    kind = socket.SOCK_DGRAM if way.startswith("udp") else socket.SOCK_STREAM
    with socket.socket(family, kind) as client:
        client.settimeout(CONNECT_S)
        client.connect((address, port))
        client.send(data)
    return kind == socket.SOCK_STREAM


def socket_families(target: AttackTarget) -> Answer:
    """Make sockets of kinds that no namespace covers, and netlink sockets of protocols other than routing."""
    ways = [(name, family, 0) for name, family in FAMILIES.items()]
    ways += [(f"netlink {protocol}", socket.AF_NETLINK, protocol) for protocol in (NETLINK_USERSOCK, 15, 16)]
    made: dict[str, None] = {}
    for name, family, protocol in ways:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW):
            try:
                socket.socket(family, kind, protocol).close()
                made[name] = None
            except OSError:
                continue
    if made:
        return True, f"Sockets of other kinds can be made: {', '.join(made)}."
    return False, f"None of {len(ways)} other kinds of sockets can be made."


def unix_sockets(target: AttackTarget) -> Answer:
    """Reach a unix socket of the host by its path (relative, so that its length does not matter)."""
    here, answer = os.getcwd(), (False, "")
    for folder in (target["socket_folder"], target["served"]):
        try:
            os.chdir(folder)
            answer = _connect("s", "d", "its path")
        except OSError as error:
            answer = False, f"A unix socket of the host cannot be reached by its path ({error.strerror})."
        finally:
            os.chdir(here)
        if answer[0]:
            break
    return answer


def abstract_sockets(target: AttackTarget) -> Answer:
    """Reach an abstract unix socket of the host, whose name is in no file system."""
    return _connect("\0" + target["abstract"], "\0" + target["abstract"] + "d", "an abstract name")


def _connect(stream: str, datagrams: str, how: str) -> Answer:
    """Connect a new socket, then one of a socket pair, which a system-call filter may allow."""
    why: str | None = None
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.connect(stream)
        return True, f"A unix socket of the host was reached by {how}."
    except OSError as error:
        why = error.strerror
    try:
        one, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        with one, other:
            one.connect(datagrams)
        return True, f"A unix socket of the host was reached by {how}, with one of a pair."
    except OSError:
        return False, f"A unix socket of the host cannot be reached by {how} ({why})."


def write_outside(target: AttackTarget) -> Answer:
    """Create files outside, change one (contents, length, mode, name), and open files of the kernel for writing.

    Whether files were created is checked outside: inside, a folder of that name may be the sandbox's own.
    """
    for folder in target["outside"]:
        _create(os.path.join(folder, target["token"]))
    victim = target["victim"]
    for change in (_append, _truncate, _make_world_writable, os.unlink):
        try:
            change(victim)
        except OSError:
            continue
    opened = [path for path in target["kernel"] if _opens(path, os.O_WRONLY)]
    if opened:
        return True, f"Files of the kernel were opened for writing: {', '.join(opened)}."
    return False, "No file could be made or changed outside."


def _create(path: str) -> bool:
    return _opens(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)


def _opens(path: str, flags: int) -> bool:
    try:
        os.close(os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _append(path: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(fd, b"changed")
    os.close(fd)


def _truncate(path: str) -> None:
    os.truncate(path, 0)


def _make_world_writable(path: str) -> None:
    os.chmod(path, 0o777)


def file_marks(target: AttackTarget) -> Answer:
    """Set a flag and a lease on a read-only file, and watch its folder for changes."""
    libc, folder = ctypes.CDLL(None, use_errno=True), target["shown"]
    fds = [os.open(path, os.O_RDONLY) for path in (os.path.join(folder, "f"), folder)]
    ways: dict[str, Callable[[], object]] = {
        "a flag": lambda: fcntl.ioctl(fds[0], FS_IOC_SETFLAGS, NODUMP.to_bytes(8, sys.byteorder)),
        "a lease": lambda: fcntl.fcntl(fds[0], fcntl.F_SETLEASE, fcntl.F_RDLCK),
        "a watch": lambda: fcntl.fcntl(fds[1], F_NOTIFY, DN_ACCESS),
    }
    accepted = []
    for name, way in ways.items():
        try:
            way()
            accepted.append(name)
        except OSError:
            continue
    for fd in fds:
        os.close(fd)
    if libc.syscall(target["calls"]["fanotify_init"], FAN_REPORT_FID, 0) >= 0:
        accepted.append("a watch on a file system")
    if accepted:
        return True, f"A read-only file or folder accepted {', '.join(accepted)}."
    return False, "Read-only files accept no flag, no lease and no watch."


def read_outside(target: AttackTarget) -> Answer:
    """Open files and folders of the host that no mount shows: configuration, logs, the owner's home."""
    opened = [path for path in target["unseen"] if _opens(path, os.O_RDONLY)]
    if opened:
        return True, f"The host's {', '.join(opened[:3])} can be read."
    return False, f"None of {len(target['unseen'])} files and folders of the host and its owner can be opened."


def daemon_state(target: AttackTarget) -> Answer:
    """Read the daemon's folders."""
    try:
        with open(target["secret"], encoding="utf-8") as file:
            file.read()
        return True, "A file of the daemon's state was read."
    except OSError as error:
        why = error.strerror
    for folder in target["folders"]:
        try:
            if os.listdir(folder):
                return True, f"{folder!r} was listed."
        except OSError:
            continue
    return False, f"The daemon's folders cannot be read ({why})."


def private_tmp(target: AttackTarget) -> Answer:
    """Write into /tmp; whether the file appears on the host is checked outside."""
    return _write_token("private_tmp", os.path.join("/tmp", target["token"]), "/tmp")


def private_home(target: AttackTarget) -> Answer:
    """Write into HOME; whether the file remains is checked outside."""
    home = os.environ.get("HOME", "")
    if os.path.realpath(home) == os.path.realpath(target["home"]):
        return True, "HOME is the owner's."
    return _write_token("private_home", os.path.join(home, target["token"]), "HOME")


def private_devices(target: AttackTarget) -> Answer:
    """Open the host's devices; write into shared memory (checked outside)."""
    opened = [path for path in target["devices"] if _opens(path, os.O_RDONLY)]
    if opened:
        return True, f"Devices of the host can be opened: {', '.join(opened[:5])}."
    return _write_token("private_devices", os.path.join("/dev/shm", target["token"]), "/dev")


def _write_token(wall: str, path: str, place: str) -> Answer:
    MADE[wall] = path
    if _create(path):
        return False, f"What is written to {place} is not seen outside."
    return False, f"{place} of the host cannot be written."


def terminal(target: AttackTarget) -> Answer:
    """Write to a terminal of the host (arrival is checked outside), or open our controlling terminal."""
    for fd in (0, 1, 2):
        if os.isatty(fd):
            return True, f"Descriptor {fd} is a terminal."
    for path, known in (("/dev/tty", "The daemon's own terminal"), (target["terminal"], "A terminal of the host")):
        try:
            fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
        except OSError:
            continue
        os.write(fd, target["token"].encode()) if path != "/dev/tty" else None
        os.close(fd)
        if path == "/dev/tty":
            return True, f"{known} can be opened."
    return False, "No terminal of the host can be opened, and none controls what runs inside."


def environment(target: AttackTarget) -> Answer:
    """Find a variable from outside in our own environment, that of process 1, or that of a process of the host."""
    leaked = set(os.environ) - set(target["variables"])
    if leaked:
        return True, f"Variables are inherited: {', '.join(sorted(leaked))}."
    if target["token"].encode() in (_read(f"/proc/{target['pid']}/environ") or b""):
        return True, "The environment of a process outside was read."
    first = _read("/proc/1/environ") or b""
    leaked = {pair.split(b"=")[0].decode(errors="replace") for pair in first.split(b"\0") if pair}
    leaked -= set(target["variables"])
    if leaked:
        return True, f"Process 1 shows variables: {', '.join(sorted(leaked))}."
    return False, "Only the sandbox's own variables are seen."


def process_namespace(target: AttackTarget) -> Answer:
    """See a process of the host."""
    if _start_time(target["pid"]) == target["started"]:
        return True, "Processes of the host are seen in /proc."
    return False, "Processes of the host are not seen."


def tracing(target: AttackTarget) -> Answer:
    """Take a process of the host over: trace it, read its memory, open its memory for writing."""
    if _is_pid_inside(target):
        return False, "The sandbox has its own process numbers."
    ways, why = _take_over(target["pid"])
    if ways:
        return True, f"A process of the host can be {', '.join(ways)}."
    return False, f"A process of the host can neither be traced, read nor written ({why})."


def monitor(target: AttackTarget) -> Answer:
    """Take over the monitor: our parent process, which runs as our user."""
    pid = os.getppid()
    ways, why = _take_over(pid)
    if _read(f"/proc/{pid}/environ") is not None:
        ways.append("asked for its environment")
    ways += [f"given another {name}" for name in _change_scheduling(pid)]
    if ways:
        return True, f"The process that watches the run can be {', '.join(ways)}."
    return False, f"The process that watches the run can neither be traced, read nor written ({why})."


def scheduling(target: AttackTarget) -> Answer:
    """Change the scheduler, priority and CPUs of a process of the host, which could starve it."""
    if _is_pid_inside(target):
        return False, "The sandbox has its own process numbers."
    changed = _change_scheduling(target["pid"])
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(target["calls"]["ioprio_set"], IOPRIO_WHO_PROCESS, target["pid"], IDLE_CLASS) == 0:
        changed.append("priority at the disk")
    if changed:
        return True, f"A process of the host was given another {', '.join(changed)}."
    return False, "A process of the host keeps its scheduler, its priorities and its CPUs."


def _change_scheduling(pid: int) -> list[str]:
    """The scheduling properties of a process that could be changed."""
    ways: dict[str, Callable[[], object]] = {
        "scheduler": lambda: os.sched_setscheduler(pid, SCHED_IDLE, os.sched_param(0)),
        "parameter": lambda: os.sched_setparam(pid, os.sched_param(0)),
        "priority": lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),
        "set of CPUs": lambda: os.sched_setaffinity(pid, os.sched_getaffinity(pid)),
    }
    changed = []
    for name, way in ways.items():
        try:
            way()
            changed.append(name)
        except OSError:
            continue
    return changed


def _take_over(pid: int) -> tuple[list[str], str]:
    """The ways in which a process could be taken over, and why tracing failed."""
    libc = ctypes.CDLL(None, use_errno=True)
    ways = []
    if libc.ptrace(PTRACE_SEIZE, pid, None, None) == 0:
        libc.ptrace(PTRACE_DETACH, pid, None, None)
        ways.append("traced")
    why = os.strerror(ctypes.get_errno())
    buffer = ctypes.create_string_buffer(8)
    there = (ctypes.c_size_t * 2)(_first_mapping(pid), len(buffer))
    here = (ctypes.c_size_t * 2)(ctypes.addressof(buffer), len(buffer))
    if libc.process_vm_readv(pid, here, ctypes.c_ulong(1), there, ctypes.c_ulong(1), ctypes.c_ulong(0)) > 0:
        ways.append("read")
    if _opens(f"/proc/{pid}/mem", os.O_RDWR):
        ways.append("opened for writing")
    return ways, why


def _first_mapping(pid: int) -> int:
    """The first mapped address of a process; 0 if its mappings cannot be read."""
    lines = (_read(f"/proc/{pid}/maps") or b"").split(b"\n")
    return int(lines[0].split(b"-")[0], 16) if lines[0] else 0


def signals(target: AttackTarget) -> Answer:
    """Kill a process of the host; whether it is alive is checked outside."""
    if _is_pid_inside(target):
        return False, "The sandbox has its own process numbers."
    try:
        os.kill(target["pid"], signal.SIGKILL)
    except OSError as error:
        return False, f"A process of the host cannot be signalled ({error.strerror})."
    return True, "A process of the host can be signalled."


def _is_pid_inside(target: AttackTarget) -> bool:
    """Whether the host's process number belongs to another process here: we have our own process namespace."""
    return _start_time(target["pid"]) not in (None, target["started"])


def killed_as_one(target: AttackTarget) -> Answer:
    """Start a process that outlives the run, in its own session and with another parent. A lock shows that it lives."""
    ready, done = os.pipe()
    if os.fork():
        os.close(done)
        os.read(ready, 1)
        os.wait()
        return False, "Processes inside end with their run, also those in another session."
    os.setsid()
    if os.fork():
        os._exit(0)
    lock = os.open(target["token"], os.O_RDWR | os.O_CREAT)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.dup2(lock, 0)
    os.dup2(done, 1)
    os.closerange(2, 65536)
    os.close(1)
    time.sleep(SURVIVES_S)
    os._exit(0)


def new_privileges(target: AttackTarget) -> Answer:
    """Use a privilege, or be able to get one by a program with the set-user-id bit."""
    libc = ctypes.CDLL(None, use_errno=True)
    name = os.uname().nodename.encode()
    used = ["the host name"] if libc.sethostname(name, len(name)) == 0 else []
    try:
        os.mknod("device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        used.append("devices")
    except OSError:
        pass
    if used:
        return True, f"Privileges are held: {' and '.join(used)} can be made."
    if b"NoNewPrivs:\t1" not in (_read("/proc/self/status") or b""):
        return True, "A program with the set-user-id bit would get new privileges."
    return False, "No privilege is held, and no program can give one."


def nested_namespaces(target: AttackTarget) -> Answer:
    """Become root in a new user namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    child = os.fork()
    if child == 0:
        os._exit(0 if libc.unshare(CLONE_NEWUSER) == 0 else min(ctypes.get_errno(), 255))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code == 0:
        return True, "A new user namespace was made."
    return False, f"A new user namespace is refused ({os.strerror(abs(code))})."


def key_rings(target: AttackTarget) -> Answer:
    """Use the kernel's key rings, which belong to the user and not to any namespace."""
    libc = ctypes.CDLL(None, use_errno=True)
    number = target["calls"]["add_key"]
    if libc.syscall(number, b"user", b"ouro-probe", b"x", ctypes.c_size_t(1), PROCESS_KEYRING) >= 0:
        return True, "A key was added to a key ring."
    return False, f"Key rings are refused ({os.strerror(ctypes.get_errno())})."


def system_calls(target: AttackTarget) -> Answer:
    """Make system calls that tests do not need and that have been used to escape from sandboxes."""
    libc = ctypes.CDLL(None, use_errno=True)
    calls = target["calls"]
    parameters = ctypes.create_string_buffer(120)
    tried = {
        "io_uring": libc.syscall(calls["io_uring_setup"], 1, parameters),
        "userfaultfd": libc.syscall(calls["userfaultfd"], USER_MODE_ONLY),
    }
    for fd in tried.values():
        if fd >= 0:
            os.close(fd)
    open_ones = [name for name, fd in tried.items() if fd >= 0]
    if open_ones:
        return True, f"Calls that no namespace covers are let through: {', '.join(open_ones)}."
    return False, f"io_uring and userfaultfd are refused ({os.strerror(ctypes.get_errno())})."


def cpu_limit(target: AttackTarget) -> Answer:
    """Raise the limit of CPU seconds."""
    return _raise_limit(target, "cpu") or (False, f"At most {target['limits']['cpu'][1]} CPU seconds per process.")


def memory_limit(target: AttackTarget) -> Answer:
    """Map more memory than the limit, without touching it, so that none is used."""
    raised, size = _raise_limit(target, "data"), target["limits"]["data"][1]
    try:
        mmap.mmap(-1, size + mmap.PAGESIZE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | MAP_NORESERVE).close()
    except OSError as error:
        return raised or (False, f"A process that takes over {size >> 20} MiB is refused ({error.strerror}).")
    return True, f"A process can take over {size >> 20} MiB."


def file_size_limit(target: AttackTarget) -> Answer:
    """Create a file above the size limit."""
    raised, size = _raise_limit(target, "fsize"), target["limits"]["fsize"][1]
    fd = os.open("large", os.O_RDWR | os.O_CREAT)
    try:
        os.ftruncate(fd, size + 1)
        return True, f"A file above {size >> 20} MiB was made."
    except OSError as error:
        return raised or (False, f"A file above {size >> 20} MiB is refused ({error.strerror}).")
    finally:
        os.close(fd)


def open_files_limit(target: AttackTarget) -> Answer:
    """Open more files than the limit."""
    raised, most = _raise_limit(target, "nofile"), target["limits"]["nofile"][1]
    held: list[int] = []
    try:
        while len(held) <= most:
            held.append(os.dup(0))
        return True, f"Over {most} files were open at once."
    except OSError as error:
        return raised or (False, f"File {most + 1} is refused ({error.strerror}).")
    finally:
        for fd in held:
            os.close(fd)


def scratch_limit(target: AttackTarget) -> Answer:
    """Find more space in the private folders than their limit, from the file system's size (nothing is written)."""
    room = 0
    for folder in {os.environ.get("TMPDIR", "/tmp"), os.environ.get("HOME", "/"), "/dev/shm"}:
        try:
            found = os.statvfs(folder)
        except OSError:
            continue
        room = max(room, found.f_blocks * found.f_frsize)
    if room > target["scratch"]:
        return True, f"A private folder has room for {room >> 20} MiB."
    return False, f"No private folder has room for more than {target['scratch'] >> 20} MiB."


def process_limit(target: AttackTarget) -> Answer:
    """Lower our process limit to one and start a process above it."""
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    if not 0 <= hard <= target["most_processes"]:
        return True, "The number of processes is not limited."
    child = os.fork()
    if child == 0:
        resource.setrlimit(resource.RLIMIT_NPROC, (1, hard))
        try:
            if os.fork() == 0:
                os._exit(0)
            os.wait()
            os._exit(1)
        except OSError:
            os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]):
        return True, "The kernel does not bound the number of processes here (it never does for root)."
    return False, "A process above the limit is refused."


def _raise_limit(target: AttackTarget, option: str) -> Answer | None:
    """Try to raise a limit by one; None if that is refused."""
    kind, value = target["limits"][option]
    hard = resource.getrlimit(kind)[1]
    raised = hard if hard > value or hard < 0 else value + 1
    try:
        resource.setrlimit(kind, (value + 1, raised))
    except (ValueError, OSError):
        return None
    return True, f"The limit ({option}) is not set, or can be raised."


def _read(path: str) -> bytes | None:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return None


def _start_time(pid: int) -> str | None:
    found = _read(f"/proc/{pid}/stat")
    return found.decode(errors="replace").rpartition(")")[2].split()[19] if found else None


_SOCKETS = (network, socket_families, unix_sockets, abstract_sockets)
_FILES = (write_outside, file_marks, read_outside, daemon_state, private_tmp, private_home, private_devices)
_PROCESSES = (terminal, environment, process_namespace, tracing, scheduling, monitor, signals)
_KERNEL = (new_privileges, nested_namespaces, key_rings, system_calls)
_LIMITS = (cpu_limit, memory_limit, file_size_limit, open_files_limit, scratch_limit, process_limit, killed_as_one)
ATTACKS: tuple[Callable[[AttackTarget], Answer], ...] = (*_SOCKETS, *_FILES, *_PROCESSES, *_KERNEL, *_LIMITS)


def main(text: str, report_fd: int, *only: str) -> None:
    """Attack all walls, or those in ``only``, and write the answers."""
    target: AttackTarget = json.loads(text)
    answers = {attack.__name__: attack(target) for attack in ATTACKS if not only or attack.__name__ in only}
    os.write(report_fd, json.dumps({"answers": answers, "made": MADE}).encode())


if __name__ == "__main__":
    main(sys.argv[1], int(os.environ["OURO_REPORT"]), *sys.argv[2:])
