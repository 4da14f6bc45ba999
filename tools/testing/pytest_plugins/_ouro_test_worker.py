"""The warm process that forks for every run. PYTEST_DONT_REWRITE

Standard library and pytest only, Python 3.9 syntax: like the reporter (``_ouro_pytest_plugin.py``) this file is read as
text by the runner and executed inside the sandbox, by the repository's own interpreter. This process imports pytest and
no line of the repository; each order (one JSON line on standard input) is run by a child that it forks, so that nothing
in memory passes from one run to the next. After a run every process that it left is killed and every file outside the
copy removed; what cannot be cleaned up makes this process end itself, and the next order gets a new one.

The first run reports which modules outside the repository it has imported. Before the second one a forked heir of this
process imports them, so that no later run has to; if that starts a thread or imports code of the repository, the heir
is dropped and nothing is imported beforehand.

It answers through the report pipe in frames: a letter, the length of the payload as eight hexadecimal digits, the
payload. ``R`` is a piece of the child's report; ``X``, JSON, is how the run ended and comes last.
"""
# ruff: noqa: PTH101, PTH106, PTH108, PTH109, PTH112, PTH117, PTH123, PTH208

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import gc
import importlib
import importlib.util
import json
import os
import re
import resource
import select
import signal
import stat
import sys
import time
import traceback
import types
from collections.abc import Iterator
from typing import Any, NoReturn

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_CHILD_SUBREAPER = 1, 4, 36
CHUNK = 64 * 1024
DUMP_S = 0.3  # for the stack of a hanging test
IMPORT_S = 8  # for an heir to import what the first run did; an answer that comes ten seconds late is given up
MODULES, NAMES_BYTES = 5_000, 1 << 20
WHOLE: tuple[list[str], list[Any]] = (sys.path[:], sys.meta_path[:])  # the runner puts the whole ones there
WHERE = signal.SIGRTMIN + 9  # asks a child for its stack; nothing else is likely to use it
_FRAME = re.compile(r'^  File "(.*)", line (\d+) in (.*)$')


class HeadAndTail:
    """The first and the last half of ``cap`` bytes."""

    def __init__(self, cap: int) -> None:
        self._half, self.total = max(1, cap // 2), 0
        self._head, self._tail = bytearray(), bytearray()

    def add(self, data: bytes) -> None:
        self.total += len(data)
        room = max(0, self._half - len(self._head))
        self._head += data[:room]
        self._tail += data[room:]
        if len(self._tail) > 2 * self._half:
            del self._tail[: -self._half]

    def kept(self) -> tuple[bytes, bytes]:
        return bytes(self._head), bytes(self._tail[-self._half :])


class Worker:
    """One warm process. ``out`` is the report pipe, ``private`` the folders that no run may leave anything in."""

    def __init__(self, plugin: Any, out: int, private: list[str]) -> None:
        self._plugin, self._out = plugin, out
        self._private = [folder for folder in private if os.path.isdir(folder)]
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._shared = shared_objects()
        self._bounds = bounds()
        self._brought: int | None = os.memfd_create("ouro-modules")
        self.learned: list[tuple[str, bool]] = []
        self._adopt()

    def _adopt(self) -> None:
        self._libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # orphans of a run become our children
        # No other process of ours opens our descriptors, reads our environment or traces us: a run would speak for us.
        self._libc.prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)

    def say(self, kind: bytes, payload: bytes) -> None:
        data = kind + b"%08x" % len(payload) + payload
        while data:
            data = data[os.write(self._out, data) :]

    def serve(self, order: dict[str, Any]) -> bool:
        """One run. False when this process should not be used again."""
        self._project = self._plugin.Project(os.getcwd(), order["orders"]["foreign"])
        for one in order["orders"]["others"]:
            self._plugin.load_factory(one["name"], one["text"])
        end = Run(self, self._project, order).watch()
        if self._brought is not None:
            self.learned = told_names(os.pread(self._brought, NAMES_BYTES, 0))
            os.close(self._brought)
            self._brought = None
        end["spent"] = self._leftovers()
        self.say(b"X", json.dumps(end).encode("ascii"))
        return not end["spent"]

    def fork(self, order: dict[str, Any], report: int, output: int, dump: int) -> int:
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            self._become(parent, order["orders"], report, output, dump)
        return pid

    def _become(self, parent: int, orders: dict[str, Any], report: int, output: int, dump: int) -> NoReturn:
        """The child: run the tests, be gone. What an interpreter's end waits for (threads, hooks) is not waited for."""
        code = 1
        try:
            os.setsid()
            self._libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # tests look at themselves in /proc
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() != parent:
                os._exit(code)
            os.dup2(output, 1)
            os.dup2(output, 2)
            for fd in (output, self._out):
                os.close(fd)
            os.environ["OURO_REPORT_FD"] = str(report)
            faulthandler.register(WHERE, file=dump, all_threads=False)
            import_anything()
            customised()
            before, environ = set(sys.modules), settled_environment()
            code = self._plugin.main(orders)
            # What an import finds in a changed environment is not what it finds without.
            if self._brought is not None and settled_environment() == environ:
                names = self._foreign(before, tuple(f"{folder}/" for folder in orders["foreign"]))
                os.pwrite(self._brought, json.dumps(names).encode("ascii"), 0)
        except SystemExit as left:
            code = left.code if isinstance(left.code, int) else 1
        except BaseException:  # noqa: BLE001  (said on the child's own output; the exit status tells the rest)
            traceback.print_exc()
            code = 1
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code)

    def _foreign(self, before: set[str], environment: tuple[str, ...]) -> list[tuple[str, bool]]:
        """Modules that the run has imported and that are not the repository's: name, and whether pytest rewrote it."""
        found = []
        for name, module in list(sys.modules.items()):
            origin = getattr(getattr(module, "__spec__", None), "origin", None)
            if name in before or not isinstance(origin, str) or not os.path.isabs(origin):
                continue
            stays = origin.startswith(environment) or not origin.startswith(tuple(self._private))
            if stays and self._project.relative(origin) is None:
                rewritten = type(getattr(module, "__loader__", None)).__name__ == "AssertionRewritingHook"
                found.append((name, rewritten))
        return found

    def hand_over(self) -> int | None:
        """Fork an heir that imports the learned modules and serves in our place; returns its exit status.

        None in the heir itself, and when there is no heir: the process with None continues to serve.
        """
        names, self.learned = self.learned, []
        parent, (ready, say) = os.getpid(), os.pipe()
        heir = os.fork()
        if not heir:
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            self._adopt()
            os.close(ready)
            left, environ = self._lying_around(), settled_environment()
            imported([row for row in names if self._lies_outside(row[0].partition(".")[0])])
            alone = len(os.listdir("/proc/self/task")) == 1
            if (left, environ) != (self._lying_around(), settled_environment()):
                os._exit(1)  # a folder of its own, for one: the next run's end would take it away
            if os.getppid() != parent or not alone or any(map(self._own, list(sys.modules.values()))):
                os._exit(1)
            gc.collect()
            gc.freeze()
            os.write(say, b"1")
            os.close(say)
            return None
        os.close(say)
        poll = select.poll()
        poll.register(ready, select.POLLIN)
        served = bool(poll.poll(IMPORT_S * 1000)) and os.read(ready, 1) == b"1"
        os.close(ready)
        if not served:
            self.end_all()
            return None
        status = os.waitpid(heir, 0)[1]
        return os.WEXITSTATUS(status) if os.WIFEXITED(status) else 1

    def _lying_around(self) -> list[list[str]]:
        return [sorted(os.listdir(folder)) for folder in self._private]

    def _lies_outside(self, top: str) -> bool:
        """Whether a package is found, without importing it, and nowhere in the repository: a run may have lied."""
        try:
            spec = importlib.util.find_spec(top)
        except (ImportError, ValueError):
            return False
        if spec is None:
            return False
        places = [*(spec.submodule_search_locations or ()), *([spec.origin] if spec.origin else [])]
        return not any(os.path.isabs(place) and self._project.relative(f"{place}/x.py") is not None for place in places)

    def _own(self, module: Any) -> bool:
        origin = getattr(getattr(module, "__spec__", None), "origin", None)
        return isinstance(origin, str) and os.path.isabs(origin) and self._project.relative(origin) is not None

    def end_all(self) -> None:
        """Kill all processes that a run has left. Children of dead ones become ours, so that the loop ends."""
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid:
                continue
            for orphan in children(os.getpid()):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(orphan, signal.SIGKILL)
            with contextlib.suppress(ChildProcessError):
                os.waitpid(-1, 0)

    def _leftovers(self) -> str:
        """Clean up; returns what could not be removed."""
        for folder in self._private:
            left = wiped(folder)
            if left:
                return f"the run left {left}, which cannot be removed"
        if shared_objects() != self._shared:
            return "the run left shared memory, semaphores or message queues"
        if bounds() != self._bounds:
            return "the run changed what this process may use"
        return ""


class Run:
    """One child, watched from its fork to its end."""

    def __init__(self, worker: Worker, project: Any, order: dict[str, Any]) -> None:
        self._worker, self._project, self._order = worker, project, order
        self._report_r, report_w = os.pipe()
        self._output_r, output_w = os.pipe()
        self._dump = os.memfd_create("ouro-stack")
        self._began = time.monotonic()
        self._end = self._began + order["limit_s"]
        self._test, self._test_end = "", float("inf")
        self._line = b""
        self._sent = 0
        self._output = HeadAndTail(order["output_bytes"])
        self._timed_out = self._flooded = False
        self._hung = ""
        self._child = worker.fork(order, report_w, output_w, self._dump)
        os.close(report_w)
        os.close(output_w)

    def watch(self) -> dict[str, Any]:
        """Until the child has ended; everything that it started is dead then."""
        pidfd = os.pidfd_open(self._child)
        poll = select.poll()
        for fd in (pidfd, self._report_r, self._output_r):
            poll.register(fd, select.POLLIN)
        killed = False
        while True:
            rest = min(self._end, self._test_end) - time.monotonic()
            ready = {fd for fd, _ in poll.poll(None if killed else max(0, int(rest * 1000) + 1))}
            for fd in ready - {pidfd}:
                if not self._take(fd):
                    poll.unregister(fd)
            if pidfd in ready:
                break
            if not killed and (self._flooded or time.monotonic() >= min(self._end, self._test_end)):
                killed = True
                self._stop()
        os.close(pidfd)
        status = os.waitpid(self._child, 0)[1]
        self._worker.end_all()
        for fd in (self._report_r, self._output_r):  # every writer is dead: what is there is bounded
            while self._take(fd):
                pass
            os.close(fd)
        return self._told(status)

    def _stop(self) -> None:
        if not self._flooded:
            self._timed_out = True
            if time.monotonic() >= self._test_end:
                self._hung = self._test
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._child, WHERE)
                time.sleep(DUMP_S)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._child, signal.SIGKILL)

    def _take(self, fd: int) -> bool:
        data = os.read(fd, CHUNK)
        if fd == self._output_r:
            self._output.add(data)
            self._flooded = self._flooded or self._output.total > self._order["flood_bytes"]
        elif data:
            room = self._order["report_bytes"] - self._sent
            self._sent += len(data)
            if room > 0:
                self._worker.say(b"R", data[:room])
            self._follow(data)
        return bool(data)

    def _follow(self, data: bytes) -> None:
        """Which test runs, by the report's own lines."""
        *lines, self._line = (self._line + data).split(b"\n")
        for line in lines:
            if b'"e":"running"' in line:
                with contextlib.suppress(ValueError, KeyError):
                    self._test = json.loads(line)["id"]
                    limits = self._order["test_limits_s"]
                    self._test_end = time.monotonic() + limits.get(self._test, self._order["test_limit_s"])
            elif b'"e":"result"' in line:
                self._test_end = float("inf")

    def _told(self, status: int) -> dict[str, Any]:
        head, tail = self._output.kept()
        frames = self._frames() if self._hung else []
        os.close(self._dump)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
        return {
            "code": code,
            "signal": os.WTERMSIG(status) if code is None else None,
            "timed_out": self._timed_out,
            "flooded": self._flooded,
            "hung": self._hung,
            "frames": frames,
            "ms": round((time.monotonic() - self._began) * 1000),
            "head": head.decode("latin-1"),
            "tail": tail.decode("latin-1"),
            "bytes": self._output.total,
        }

    def _frames(self) -> list[tuple[str, int, str]]:
        """Where the hanging test is, outermost frame first, as far as it is the repository's code."""
        text = os.pread(self._dump, CHUNK, 0).decode("utf-8", "replace")
        found = []
        for line in text.splitlines():
            match = _FRAME.match(line)
            path = self._project.relative(match[1]) if match else None
            if match and path is not None:
                found.append((path, int(match[2]), match[3]))
        return found[::-1]


def children(parent: int) -> list[int]:
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
                if int(file.read().rpartition(")")[2].split()[1]) == parent:
                    found.append(int(name))
    return found


def shared_objects() -> tuple[int, ...]:
    """How many System V objects there are, by kind; what a process leaves of these outlives it."""
    counts = []
    for kind in ("shm", "sem", "msg"):
        try:
            with open(f"/proc/sysvipc/{kind}", encoding="ascii") as file:
                counts.append(len(file.readlines()))
        except OSError:
            counts.append(0)
    return tuple(counts)


def bounds() -> list[Any]:
    """What any process of the same user can set for this one: limits, processors, priority."""
    kinds = sorted(name for name in vars(resource) if name.startswith("RLIMIT_"))
    limits = [resource.getrlimit(getattr(resource, name)) for name in kinds]
    return [*limits, sorted(os.sched_getaffinity(0)), os.getpriority(os.PRIO_PROCESS, 0), os.sched_getscheduler(0)]


def wiped(folder: str) -> str:
    """Remove everything below ``folder`` that lies on its own file system; gives the first path that would not go."""
    device = os.lstat(folder).st_dev
    left = ""
    for entry in os.scandir(folder):
        try:
            info = entry.stat(follow_symlinks=False)
            if info.st_dev != device:
                continue  # something is mounted here: not a run's doing
            if stat.S_ISDIR(info.st_mode):
                os.chmod(entry.path, 0o700)
                left = left or wiped(entry.path)
                with contextlib.suppress(OSError):  # it holds a mount
                    os.rmdir(entry.path)
            else:
                os.unlink(entry.path)
        except OSError:
            left = left or entry.path
    return left


def lines(fd: int) -> Iterator[bytes]:
    """Lines as they come, until the other side closes."""
    rest = b""
    while True:
        *whole, rest = rest.split(b"\n")
        yield from whole
        data = os.read(fd, CHUNK)
        if not data:
            return
        rest += data


def warm_up() -> None:
    """Import what pytest imports at every start. Its plugins of others are left alone: it rewrites those itself."""
    importlib.import_module("pytest")
    for name in getattr(importlib.import_module("_pytest.config"), "default_plugins", ()):
        with contextlib.suppress(ImportError):
            importlib.import_module(f"_pytest.{name}")


def import_anything() -> None:
    """From here on the repository's modules are found as well: the runner has kept what leads to them from us."""
    sys.path[:], sys.meta_path[:] = WHOLE


def customised() -> None:
    """What Python runs at its own start, by name, wherever that is found: the runner keeps it from this process."""
    for name in ("sitecustomize", *(["usercustomize"] if sys.modules["site"].ENABLE_USER_SITE else [])):
        try:
            importlib.import_module(name)
        except ImportError as error:
            if error.name != name:
                traceback.print_exc()
        except Exception:  # noqa: BLE001  (as Python itself: it is said, and the run goes on)
            traceback.print_exc()


def settled_environment() -> dict[str, str]:
    """The environment without variables of pytest and of ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "OURO_"))}


def told_names(data: bytes) -> list[tuple[str, bool]]:
    """Module names reported by the untrusted run: valid identifiers only, at most ``MODULES``."""
    try:
        rows = json.loads(data or b"[]")
        names = [(str(name), bool(rewritten)) for name, rewritten in rows]
    except (ValueError, TypeError):
        return []
    return [row for row in names if all(part.isidentifier() for part in row[0].split("."))][:MODULES]


def imported(names: list[tuple[str, bool]]) -> None:
    """Import by name, those that pytest rewrites through a hook of its kind; what cannot be is left to the runs."""
    hook = None
    with contextlib.suppress(Exception):
        config = importlib.import_module("_pytest.config").get_config()
        hook = importlib.import_module("_pytest.assertion").install_importhook(config)
        hook.mark_rewrite(*(name for name, rewritten in names if rewritten))
    for name, rewritten in names:
        if name not in sys.modules and (hook is not None or not rewritten):
            with contextlib.suppress(BaseException):
                importlib.import_module(name)
    if hook in sys.meta_path:
        sys.meta_path.remove(hook)


def ended(number: int, frame: Any) -> NoReturn:
    raise SystemExit(128 + number)


def main(boot: dict[str, Any]) -> int:
    """Serve orders until standard input ends."""
    out = int(os.environ.pop("OURO_REPORT_FD"))
    os.set_inheritable(out, False)
    try:
        importlib.import_module("pytest")
    except ImportError:  # the repository is pytest's own, or of something that pytest needs
        import_anything()
    plugin = types.ModuleType(boot["name"])
    sys.modules[plugin.__name__] = plugin
    exec(compile(boot["plugin"], f"<{plugin.__name__}>", "exec"), plugin.__dict__)
    private = os.environ.pop("OURO_PRIVATE", "")
    worker = Worker(plugin, out, private.split(":"))
    signal.signal(signal.SIGTERM, ended)
    warm_up()
    gc.collect()
    gc.freeze()
    try:
        for line in lines(0):
            order = json.loads(line)
            if worker.learned and order["heir"]:
                code = worker.hand_over()
                if code is not None:
                    return code
            if not worker.serve(order):
                break
    finally:
        worker.end_all()
    return 0
