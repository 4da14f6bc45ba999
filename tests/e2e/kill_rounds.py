"""Kills the whole daemon at chosen points, boots it again, and checks what is left. Run as a program.

``kill_rounds.py FOLDER ORDERS``: ORDERS is the JSON of :class:`Orders`; prints a JSON list of results. This process has
no threads: every boot is a fork of it, and it adopts whatever a killed boot leaves running.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

from pydantic import BaseModel

from daemon.adapters import test_setup
from daemon.control.messages import EventsRequest, OpRef, RejectRequest
from daemon.control.service_api import ServiceApi
from daemon.lifecycle.one_boot import work_off
from daemon.settings.config import Config
from ledger.errors import ControlError
from tests.e2e.aftermath import CART, Start, children_of, faults_of_record, faults_of_tree, told_by, tree_of
from tests.e2e.victim import Plan, Victim, live, nothing, queued_work
from tests.e2e.world import SHOP, config_for, repo_with
from tests.proved import choose_once
from tests.repos import commit, git, write

SET_CHILD_SUBREAPER = 36
BOOT_S = 60
ORPHAN_S = 10.0
RUNNING = "running.txt"
IDLE_WRITES = 3  # started, ready, ended
LATE = ("git", "cryptography.hazmat.primitives.serialization", "cryptography.hazmat.primitives.asymmetric.ed25519")
SLOW = f'''
import pathlib
import time


def pytest_runtest_setup():
    pathlib.Path("{RUNNING}").touch()
    time.sleep({3 * ORPHAN_S})
'''
OWNERS = {"notes.txt": "dirty\n", "other.txt": "staged\n", "free.txt": "untracked\n"}


class Boot(BaseModel):
    """One boot of the daemon: what it is for, and where it dies (nowhere by default)."""

    errand: str = "queue"
    when: str = ""
    event: str = ""
    at: int = 1
    delay_s: float = 0
    sign: str = ""  # a pattern below the world's folder
    after_s: float | None = None  # killed from outside, that long after its start
    quick: bool = True
    shift_s: float = 0
    overtaken: bool = False
    may_live: bool = False  # the point of death may lie behind the boot's end


class Round(BaseModel):
    """Boots one after the other; ``ended`` is how the op that settles it ends."""

    name: str
    boots: list[Boot]
    ended: str = "COMPLETE none"
    review: bool = False  # the work ends on a review branch
    undo: bool = False  # the work is taken back
    item: str = "done"  # where the signal stands at the end


class Orders(BaseModel):
    """What one call does: these rounds, then one for every n-th point of a boot that was not killed."""

    rounds: list[Round] = []
    every_effect: int = 0
    every_write: int = 0
    random: int = 0  # rounds that are killed from outside at a random moment
    seed: int = 0
    orange: bool = False  # the repair needs a person's yes
    scanned: bool = True  # the signal is in the queue when a round begins
    slow: bool = False  # a real test run takes longer than orphans may live
    mode: str = "branch"


class Ended(BaseModel):
    """What became of one boot. ``adopted``: children that it left running when it died."""

    died: bool
    faults: list[str] = []
    writes: int = 0
    effects: int = 0
    adopted: int = 0


class Result(BaseModel):
    name: str
    faults: list[str]
    boots: list[Ended]
    ms: int


# --- what a boot is for -----------------------------------------------------------------------------------------------


async def scan(service: Victim) -> None:
    await work_off(service, None)


async def only_look(service: Victim) -> None:
    """Take the signal in, begin no work."""
    service.core.router.pause()
    found = await service.sensors.scan(None)
    assert len(found.signals) == 1, found.message


async def until_parked(service: Victim) -> str:
    """The op that waits, once the pool waits for it too."""
    async for event in ServiceApi(service).events(EventsRequest(after=0)):
        if event.entry is not None and event.entry.payload.get("queue") == "parked" and event.entry.op_id:
            pending = {request.op.id: request for request in await service.core.inbox.pending()}
            if event.entry.op_id in pending:
                return event.entry.op_id
    raise AssertionError("the ledger ended first")


async def park(service: Victim) -> None:
    await until_parked(service)


async def parked_again(service: Victim) -> None:
    """The same request, with its first expiry, shown as waiting."""
    op_id = await until_parked(service)
    (request,) = await service.core.inbox.pending()
    asked = [
        e for e in await service.core.ledger.entries(op_id=op_id) if e.payload.get("event") == "approval.requested"
    ]
    view = service.core.table.resolve(op_id)
    states = [line.state.value for line in service.core.router.snapshot().lines]
    assert len(asked) == 1 and request.op.id == op_id, asked
    assert view.waiting and view.waiting_until == asked[0].payload["expires_at"], view
    assert abs(service.core.inbox.seconds_left(request) - 600) < 300, request
    assert states == ["parked"], states


async def answer(service: Victim, say: Callable[[ServiceApi, str], Awaitable[object]]) -> None:
    op_id = await until_parked(service)
    for _ in range(200):
        try:
            await say(ServiceApi(service), op_id)
            break
        except ControlError:  # the pool has not begun to wait yet
            await asyncio.sleep(0.01)
    while (await service.core.reports.ended.get()).request is not None:
        continue
    await queued_work(service)


async def approve(service: Victim) -> None:
    await answer(service, lambda facade, op: facade.approve(OpRef(op=op)))


async def reject(service: Victim) -> None:
    await answer(service, lambda facade, op: facade.reject(RejectRequest(op=op, reason="not like this")))


async def expire(service: Victim) -> None:
    await service.core.reports.ended.get()
    await queued_work(service)


async def undo(service: Victim) -> None:
    """The owner takes the last op back."""
    await ServiceApi(service).undo(OpRef(op=service.core.table.newest(ended=True)[0].id))


ERRANDS: dict[str, Callable[[Victim], Awaitable[None]]] = {
    "queue": queued_work, "scan": scan, "look": only_look, "nothing": nothing, "park": park,
    "parked_again": parked_again, "approve": approve, "reject": reject, "expire": expire,
    "undo": undo,
}  # fmt: skip


# --- one boot ---------------------------------------------------------------------------------------------------------


async def boot_once(config: Config, boot: Boot, start: Start, order: Round) -> Ended:
    """The daemon's life; the repository is looked at after recovery and before any work."""
    base = config.places.repo.parent
    plan = Plan(when=boot.when, event=boot.event, at=boot.at, delay_s=boot.delay_s, sign=boot.sign, base=base)
    faults: list[str] = []

    async def look() -> None:
        faults.extend(
            faults_of_tree(tree_of(config.places, start, running=True), start, review=order.review, undo=order.undo)
        )

    service = Victim(config, plan=plan, quick=boot.quick, look=look, shift_s=boot.shift_s, overtaken=boot.overtaken)
    await live(service, ERRANDS[boot.errand])
    return Ended(died=False, faults=faults, writes=plan.writes, effects=plan.effects)


def forked(work: Callable[[], Coroutine[Any, Any, Ended]], *, kill_after_s: float | None = None) -> Ended:
    """What ``work`` says in a child of this process; ``died`` when the child was ended by SIGKILL."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reading)
        speak(work, writing)
    os.close(writing)
    if kill_after_s is not None:
        time.sleep(kill_after_s)
        os.kill(pid, signal.SIGKILL)
    with os.fdopen(reading) as file:
        text = file.read()
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return Ended(died=True, adopted=len(children_of(os.getpid())))
    if status:
        return Ended(died=False, faults=[f"the boot itself failed ({os.waitstatus_to_exitcode(status)}), see stderr"])
    return Ended.model_validate_json(text)


def speak(work: Callable[[], Coroutine[Any, Any, Ended]], writing: int) -> NoReturn:
    """In the child: do ``work``, write its answer, end. It never returns into the caller's code."""
    code = 1
    try:
        os.dup2(2, 1)  # the log of a boot is not an answer
        signal.alarm(BOOT_S)
        answer = asyncio.run(work())
        with os.fdopen(writing, "w") as file:
            file.write(answer.model_dump_json())
        code = 0
    except Exception:  # noqa: BLE001 - the end of this process: its parent learns of it by the exit code
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def orphans() -> list[str]:
    """Wait for what dead boots left running; whoever does not end by himself is named, and ended."""
    deadline = time.monotonic() + ORPHAN_S
    while children_of(os.getpid()) and time.monotonic() < deadline:
        with suppress(ChildProcessError):
            os.waitpid(-1, os.WNOHANG)
        time.sleep(0.005)
    left = children_of(os.getpid())
    for pid in left:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return [f"still running: {line[:200]}" for line in left.values()]


# --- rounds -----------------------------------------------------------------------------------------------------------


class World:
    """The folder of all rounds, and a copy of how it stood at the beginning."""

    def __init__(self, base: Path, orders: Orders) -> None:
        self.base, self.copy, self.services = base, base.with_name("template"), base / "shop"
        name = "permission" if orders.orange else "subtotal"
        files = {**SHOP, CART: SHOP[CART].replace("subtotal", name), "notes.txt": "notes\n", "other.txt": "other\n"}
        if orders.slow:
            files["tests/conftest.py"] = SLOW
        repo = repo_with(self.services, files)
        broken = files[CART].replace(f"{name} - discount", f"{name} + discount")
        commit(repo, "Speed up totals", {CART: broken})
        write(repo, OWNERS)
        git(repo, "add", "other.txt")
        for folder in ("tmp", "memory"):
            (base / folder).mkdir()
        tempfile.tempdir = str(base / "tmp")
        test_setup.choose = choose_once
        memory = {"memory_folder": str(base / "memory")}
        self.config = config_for(base, repo, workspace=memory, changes={"mode": orders.mode})
        self.start = Start(
            broken=git(repo, "rev-parse", "HEAD"), status=git(repo, "status", "--porcelain"), old=broken,
            new=files[CART], owners=OWNERS,
        )  # fmt: skip
        asyncio.run(choose_once(self.config.settings.sandbox, self.config.places, self.config.env))  # boots have it
        if orders.scanned:
            made = self.boot(Boot(errand="look"), Round(name="look", boots=[]))
            if made.died or made.faults:
                raise SystemExit(f"the world cannot be made: {made}")
        shutil.copytree(base, self.copy, symlinks=True, ignore=shutil.ignore_patterns(".venv"))

    def restore(self) -> None:
        """Everything as it stood; the test environment never changes and stays."""
        kept = (self.services, self.services / ".venv")
        for entry in (*self.base.iterdir(), *self.services.iterdir()):
            if entry not in kept:
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        shutil.copytree(self.copy, self.base, symlinks=True, dirs_exist_ok=True)

    def boot(self, boot: Boot, order: Round) -> Ended:
        """One boot in a child. Whatever a clean end leaves behind is a fault, and so is one that should have died."""
        ended = forked(lambda: boot_once(self.config, boot, self.start, order), kill_after_s=boot.after_s)
        if boot.when and not ended.died and not boot.may_live:
            ended.faults.append("it did not die")
        if not ended.died:
            ended.faults += orphans()
            tree = tree_of(self.config.places, self.start, running=False)
            ended.faults += faults_of_tree(tree, self.start, review=order.review, undo=order.undo)
        return ended

    def play(self, order: Round) -> Result:
        """One round, and a last boot that must find nothing to do; its faults, and what its boots did."""
        self.restore()
        began = time.monotonic()
        boots = [self.boot(boot, order) for boot in (*order.boots, Boot(errand="nothing"))]
        faults = [f"boot {number}: {fault}" for number, ended in enumerate(boots, 1) for fault in ended.faults]
        if boots[-1].writes > IDLE_WRITES:
            faults.append(f"the last boot still found something: {boots[-1]}")
        tree = tree_of(self.config.places, self.start, running=False)
        refused = "approval_rejected" in order.ended or (order.undo and len(tree.ours) == 2)
        faults += forked(lambda: self.judge(order, refused=refused)).faults
        return Result(name=order.name, faults=faults, boots=boots, ms=round(1000 * (time.monotonic() - began)))

    async def judge(self, order: Round, *, refused: bool) -> Ended:
        """What the ledger tells; in a child, because reading it starts threads."""
        told = await told_by(self.config.places)
        return Ended(died=False, faults=faults_of_record(told, ended=order.ended, item=order.item, refused=refused))


def sweeps(orders: Orders, control: Result) -> list[Round]:
    """One round for each point that is asked for, of those that the control round went through."""
    boot, again = control.boots[0], Boot(errand="queue" if orders.scanned else "scan", quick=not orders.random)
    found = []
    if orders.every_effect:
        for n in range(1, boot.effects + 1, orders.every_effect):
            found.append(Round(name=f"effect {n}", boots=[Boot(when="effect", at=n), again]))
    if orders.every_write:
        for n in range(1, boot.writes + 1, orders.every_write):
            for when in ("before", "after"):
                found.append(Round(name=f"{when} write {n}", boots=[Boot(when=when, at=n), again]))
    chance = random.Random(orders.seed)
    for _ in range(orders.random):
        first = again.model_copy(update={"after_s": round(chance.uniform(0.02, control.ms / 1000), 3)})
        found.append(Round(name=f"killed after {first.after_s} s", boots=[first, again]))
    return found


def main(folder: Path, orders: Orders) -> None:
    """All rounds; a control round, in which nothing dies, comes first."""
    ctypes.CDLL(None).prctl(SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    for name in LATE:  # what the daemon imports on first use: once here, not once a boot
        importlib.import_module(name)
    world = World(folder / "world", orders)
    results = [world.play(order) for order in orders.rounds]
    if orders.every_effect or orders.every_write or orders.random:
        boot = Boot(errand="queue" if orders.scanned else "scan", quick=not orders.random)
        results.append(world.play(Round(name="control", boots=[boot])))
        results += [world.play(order) for order in sweeps(orders, results[-1])]
    print(json.dumps([result.model_dump() for result in results]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Orders.model_validate_json(sys.argv[2]))
