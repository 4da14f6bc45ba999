"""Kills the whole daemon at chosen points, boots it again, and checks what is left. Run as a program.

``kill_rounds.py FOLDER ORDERS``: ORDERS is the JSON of :class:`Orders`; prints a JSON list of results. This process has
no threads: every boot is a fork of it, and it adopts whatever a killed boot leaves running.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import cryptography.hazmat.primitives.asymmetric.ed25519
import cryptography.hazmat.primitives.serialization  # noqa: F401 - imported once here, not once a boot
from pydantic import BaseModel

from daemon.api import EventsRequest, OpRef, RejectRequest
from daemon.facade import Facade
from daemon.service import work_off
from daemon.settings import Config
from ledger.errors import ControlError
from tests.e2e.aftermath import Start, children_of, faults_of_record, faults_of_tree, told_by, tree_of
from tests.e2e.victim import Plan, Victim, folder_of, live, nothing, queued_work
from tests.e2e.world import SHOP, config_for, repo_with
from tests.repos import commit, git, write

SET_CHILD_SUBREAPER = 36
BOOT_S = 60
ORPHAN_S = 10.0
OWNERS = {"notes.txt": "dirty\n", "other.txt": "staged\n", "free.txt": "untracked\n"}


class Boot(BaseModel):
    """One boot of the daemon: what it is for, and where it dies (nowhere by default)."""

    errand: str = "queue"
    when: str = ""
    event: str = ""
    at: int = 1
    after_s: float | None = None  # killed from outside, that long after its start
    quick: bool = True
    shift_s: float = 0


class Round(BaseModel):
    """Boots one after the other; ``ended`` is how the op that settles it ends."""

    name: str
    boots: list[Boot]
    ended: str = "COMPLETE none"


class Orders(BaseModel):
    rounds: list[Round]
    orange: bool = False  # the repair needs a person's yes
    scanned: bool = True  # the signal is in the queue when a round begins


class Ended(BaseModel):
    """What became of one boot."""

    died: bool
    faults: list[str] = []
    writes: int = 0
    effects: int = 0


# --- what a boot is for -----------------------------------------------------------------------------------------------


async def scan(service: Victim) -> None:
    await work_off(service, None)


async def only_look(service: Victim) -> None:
    """Take the signal in, begin no work."""
    assert service.house is not None and service.senses is not None
    service.house.router.pause()
    found = await service.senses.scan(None)
    assert len(found.signals) == 1, found.message


async def until_parked(service: Victim) -> str:
    """The op that waits, once the pool waits for it too."""
    assert service.house is not None
    async for event in Facade(service).events(EventsRequest(after=0)):
        if event.entry is not None and event.entry.payload.get("queue") == "parked" and event.entry.op_id:
            pending = {request.op.id: request for request in await service.house.inbox.pending()}
            if event.entry.op_id in pending:
                return event.entry.op_id
    raise AssertionError("the ledger ended first")


async def park(service: Victim) -> None:
    await until_parked(service)


async def parked_again(service: Victim) -> None:
    """The same request, with its first expiry, shown as waiting."""
    assert service.house is not None
    op_id = await until_parked(service)
    (request,) = await service.house.inbox.pending()
    asked = [e for e in await service.house.ledger.entries(op_id=op_id) if e.payload.get("event") == "approval.requested"]
    view = service.table.resolve(op_id)
    states = [line.state.value for line in service.house.router.snapshot().lines]
    assert len(asked) == 1 and request.op.id == op_id, asked
    assert view.waiting and view.waiting_until == asked[0].payload["expires_at"], view
    assert abs(service.house.inbox.seconds_left(request) - 600) < 300, request
    assert states == ["parked"], states


async def answer(service: Victim, say: Callable[[Facade, str], Awaitable[object]]) -> None:
    assert service.house is not None and service.house.pool is not None
    op_id = await until_parked(service)
    for _ in range(200):
        try:
            await say(Facade(service), op_id)
            break
        except ControlError:  # the pool has not begun to wait yet
            await asyncio.sleep(0.01)
    while (await service.house.pool.ended.get()).request is not None:
        continue
    await queued_work(service)


async def approve(service: Victim) -> None:
    await answer(service, lambda facade, op: facade.approve(OpRef(op=op)))


async def reject(service: Victim) -> None:
    await answer(service, lambda facade, op: facade.reject(RejectRequest(op=op, reason="not like this")))


async def expire(service: Victim) -> None:
    assert service.house is not None and service.house.pool is not None
    await service.house.pool.ended.get()
    await queued_work(service)


ERRANDS: dict[str, Callable[[Victim], Awaitable[None]]] = {
    "queue": queued_work, "scan": scan, "look": only_look, "nothing": nothing, "park": park,
    "parked_again": parked_again, "approve": approve, "reject": reject, "expire": expire,
}  # fmt: skip


# --- one boot ---------------------------------------------------------------------------------------------------------


async def boot_once(config: Config, boot: Boot, start: Start | None) -> Ended:
    plan = Plan(when=boot.when, event=boot.event, at=boot.at)
    faults: list[str] = []

    async def look() -> None:
        if start is not None:
            faults.extend(faults_of_tree(tree_of(config.places, start, running=True), start))

    service = Victim(config, plan=plan, quick=boot.quick, look=look, shift_s=boot.shift_s)
    await live(service, ERRANDS[boot.errand])
    return Ended(died=False, faults=faults, writes=plan.writes, effects=plan.effects)


def forked(work: Callable[[], Awaitable[BaseModel]], *, kill_after_s: float | None = None) -> dict[str, Any] | None:
    """The answer of ``work`` in a child of this process; None when the child was ended by SIGKILL."""
    read, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            os.close(read)
            signal.alarm(BOOT_S)
            answer = asyncio.run(work())  # type: ignore[arg-type]
            with os.fdopen(write_end, "w") as file:
                file.write(answer.model_dump_json())
            code = 0
        except BaseException as error:
            import traceback

            traceback.print_exception(error)
        finally:
            sys.stderr.flush()
            os._exit(code)
    os.close(write_end)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(read) as file:
        text = file.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return None
    if status:
        return {"died": False, "faults": [f"the boot itself failed: {os.waitstatus_to_exitcode(status)}"]}
    return dict(json.loads(text))


def orphans() -> list[str]:
    """Wait for what dead boots left running; whoever does not end by himself is named, and ended."""
    deadline = time.monotonic() + ORPHAN_S
    while time.monotonic() < deadline:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue
        if not children_of(os.getpid()):
            return []
        time.sleep(0.02)
    left = children_of(os.getpid())
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return [f"still running: {line[:200]}" for line in left.values()]


# --- rounds -----------------------------------------------------------------------------------------------------------


class World:
    """The folder of all rounds, and a copy of how it stood at the beginning."""

    def __init__(self, base: Path, orders: Orders) -> None:
        self.base = base
        self.copy = base.with_name("template")
        name = "permission" if orders.orange else "subtotal"
        files = {**SHOP, "shop/cart.py": SHOP["shop/cart.py"].replace("subtotal", name)}
        repo = repo_with(folder_of(base), {**files, "notes.txt": "notes\n", "other.txt": "other\n"})
        broken = files["shop/cart.py"].replace(f"{name} - discount", f"{name} + discount")
        commit(repo, "Speed up totals", {"shop/cart.py": broken})
        write(repo, OWNERS)
        git(repo, "add", "other.txt")
        for folder in ("tmp", "memory"):
            (base / folder).mkdir()
        tempfile.tempdir = str(base / "tmp")
        self.config = config_for(base, repo, workspace={"memory_folder": str(base / "memory")})
        self.start = Start(
            broken=git(repo, "rev-parse", "HEAD"), status=git(repo, "status", "--porcelain"), old=broken,
            new=files["shop/cart.py"], owners=OWNERS,
        )  # fmt: skip
        if orders.scanned:
            done = forked(lambda: boot_once(self.config, Boot(errand="look"), None))
            if done is None or done["faults"]:
                raise SystemExit(f"the world cannot be made: {done}")
        shutil.copytree(base, self.copy, symlinks=True, ignore=shutil.ignore_patterns(".venv"))

    def restore(self) -> None:
        """Everything as it stood; the test environment never changes and stays."""
        for top in (self.base, folder_of(self.base)):
            for entry in top.iterdir():
                if entry.name not in (".venv", folder_of(self.base).name) or entry.is_file():
                    shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        shop = folder_of(self.base)
        for entry in [p for p in shop.iterdir() if p.name != ".venv"]:
            shutil.rmtree(entry) if entry.is_dir() and not entry.is_symlink() else entry.unlink()
        shutil.copytree(self.copy, self.base, symlinks=True, dirs_exist_ok=True)

    def play(self, order: Round) -> dict[str, object]:
        """One round; its faults, and what its boots did."""
        self.restore()
        began = time.monotonic()
        faults: list[str] = []
        boots = []
        for number, boot in enumerate(order.boots, 1):
            done = forked(lambda b=boot: boot_once(self.config, b, self.start), kill_after_s=boot.after_s)  # type: ignore[misc]
            ended = Ended(died=True) if done is None else Ended(**done)
            boots.append(ended.model_dump())
            faults += [f"boot {number}: {fault}" for fault in ended.faults]
            if boot.when and not ended.died:
                faults.append(f"boot {number} did not die")
        faults += orphans()
        faults += faults_of_tree(tree_of(self.config.places, self.start, running=False), self.start)
        told = forked(lambda: self.judge(order.ended))
        faults += [] if told is None else told["faults"]
        return {"name": order.name, "faults": faults, "boots": boots, "ms": round(1000 * (time.monotonic() - began))}

    async def judge(self, ended: str) -> Ended:
        return Ended(died=False, faults=faults_of_record(await told_by(self.config.places), ended=ended))


def main(folder: Path, orders: Orders) -> None:
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    world = World(folder / "world", orders)
    print(json.dumps([world.play(order) for order in orders.rounds]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Orders.model_validate_json(sys.argv[2]))
