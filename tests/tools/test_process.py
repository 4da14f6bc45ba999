"""The process runner against children that do not behave."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import ChildFailed
from tools.process import REPORT_FD, Command, run, wait_gone
from tools.streams import HeadAndTail

PATH = {"PATH": os.environ["PATH"]}


def shell(script: str, **more: object) -> Command:
    options = {"cwd": Path("/"), "env": PATH, "timeout_s": 20.0, **more}
    return Command(argv=("/bin/sh", "-c", script), **options)  # type: ignore[arg-type]  # a dict of keyword options


def alive(pid: int) -> bool:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


async def appears(path: Path) -> str:
    async with asyncio.timeout(10):
        while not (path.exists() and path.read_text().endswith("\n")):  # noqa: ASYNC110  another process writes it
            await asyncio.sleep(0.005)
    return path.read_text()


async def test_code_output_and_environment() -> None:
    done = await run(shell("echo out; echo err >&2; echo $ONE; pwd; exit 3", env={**PATH, "ONE": "1"}))
    assert (done.code, done.signal, done.output) == (3, None, b"out\nerr\n1\n/\n")
    assert not done.timed_out and not done.flooded and done.cut_bytes == 0


async def test_a_signal_is_told() -> None:
    done = await run(shell("kill -SEGV $$"))
    assert (done.code, done.signal) == (None, signal.SIGSEGV)


async def test_nothing_is_inherited_from_the_environment() -> None:
    done = await run(Command(argv=("/usr/bin/env",), cwd=Path("/"), env={"A": "b"}, timeout_s=10))
    assert done.output == b"A=b\n"


async def test_large_input_to_a_child_that_reads_and_to_one_that_does_not() -> None:
    data = os.urandom(3 * 1024 * 1024)
    done = await run(shell("wc -c", stdin=data))
    assert done.output.split() == [str(len(data)).encode()]
    assert (await run(shell("exit 4", stdin=data))).code == 4


async def test_a_flood_is_cut_and_head_and_tail_are_kept() -> None:
    done = await run(shell("echo first; exec yes", cap_bytes=64 * 1024, flood_bytes=8 * 1024 * 1024))
    assert done.flooded and not done.timed_out and done.signal == signal.SIGTERM
    assert done.output.startswith(b"first\ny\ny\n") and len(done.output) < 65 * 1024
    assert done.cut_bytes > 7 * 1024 * 1024


async def test_a_child_that_ignores_the_polite_signal_is_killed_after_the_grace() -> None:
    begun = time.monotonic()
    done = await run(shell("trap '' TERM; echo up; while :; do sleep 0.05; done", timeout_s=0.4, grace_s=0.2))
    assert done.timed_out and done.signal == signal.SIGKILL and done.output.startswith(b"up")
    assert 0.55 < time.monotonic() - begun < 3


async def test_a_polite_child_ends_at_the_time_out() -> None:
    done = await run(shell("trap 'echo bye; exit 9' TERM; while :; do sleep 0.02; done", timeout_s=0.3, grace_s=5))
    assert done.timed_out and done.code == 9 and done.output.endswith(b"bye\n") and done.duration_ms < 3000


async def test_the_rest_of_the_group_dies_with_its_leader() -> None:
    done = await run(shell("sleep 60 & echo $!"))
    assert done.code == 0 and done.duration_ms < 5000
    assert await wait_gone(int(done.output), within_s=2)


async def test_a_grandchild_in_its_own_session_cannot_hold_the_pipe() -> None:
    begun = time.monotonic()
    done = await run(shell("setsid sh -c 'echo $$; exec sleep 60' & sleep 0.2; echo parent"))
    grandchild = int(done.output.split()[0])
    try:
        assert b"parent" in done.output and time.monotonic() - begun < 5
        assert alive(grandchild)  # a group kill cannot reach it: the sandboxes must
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(grandchild, signal.SIGKILL)


async def test_a_cancelled_task_leaves_no_process(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    script = f"trap '' TERM; (trap '' TERM; sleep 60 & wait) & echo $$ $! > {pids}; while :; do sleep 0.05; done"
    task = asyncio.create_task(run(shell(script, grace_s=0.1)))
    numbers = [int(word) for word in (await appears(pids)).split()]
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()  # a second request does not cut the clean-up short
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not alive(numbers[0])
    assert all([await wait_gone(pid, within_s=2) for pid in numbers])


async def test_the_report_pipe_is_its_own_channel() -> None:
    script = "import os; os.write(int(os.environ['HERE']), b'r' * 300000); print('out')"
    done = await run(
        Command(
            argv=(sys.executable, "-I", "-c", script),
            cwd=Path("/"),
            env={"HERE": REPORT_FD},
            timeout_s=20,
            report=True,
            report_cap_bytes=200_000,
        )
    )
    assert done.output == b"out\n" and done.report == b"r" * 200_000


@pytest.mark.parametrize(
    ("argv", "cwd"),
    [(("/nowhere/tool",), "/"), (("/bin/true",), "/nowhere"), (("/etc/passwd",), "/"), (("/a\0b",), "/")],
)
async def test_what_cannot_start_is_a_clear_error(argv: tuple[str, ...], cwd: str) -> None:
    with pytest.raises(ChildFailed, match="cannot be started"):
        await run(Command(argv=argv, cwd=Path(cwd), env=PATH, timeout_s=5, stdin=b"x", report=True))


async def test_fifty_at_once_without_a_leaked_descriptor() -> None:
    before = len(os.listdir("/proc/self/fd"))
    done = await asyncio.gather(*(run(shell(f"echo {n}; exit {n}", stdin=b"x", report=True)) for n in range(50)))
    assert [d.code for d in done] == list(range(50))
    assert [d.output for d in done] == [f"{n}\n".encode() for n in range(50)]
    assert len(os.listdir("/proc/self/fd")) == before


async def test_a_dead_process_is_gone_and_a_living_one_is_not() -> None:
    done = await run(shell("echo $$"))
    assert await wait_gone(int(done.output), within_s=1)
    assert not await wait_gone(os.getpid(), within_s=0.05)


@settings(deadline=None, max_examples=60)
@given(st.lists(st.binary(max_size=40), max_size=30), st.integers(min_value=2, max_value=60))
def test_head_and_tail_are_what_was_sent(parts: list[bytes], cap: int) -> None:
    kept = HeadAndTail(cap)
    for part in parts:
        kept.add(part)
    whole = b"".join(parts)
    got, cut = kept.result()
    half = cap // 2
    if len(whole) <= 2 * half:
        assert (got, cut) == (whole, 0)
    else:
        assert got.startswith(whole[:half]) and got.endswith(whole[-half:]) and cut == len(whole) - 2 * half
