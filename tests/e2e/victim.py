"""A daemon that ends itself by SIGKILL, at one exact point of its work. Run as a program by ``kill_rounds``.

It is the real service on a real repository. What differs: the model is a table, a test run may be answered in this
process (:class:`Quick`: a round then takes a second), and three objects end the process where they are told to.
"""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from daemon.lifecycle.service import Service
from daemon.settings.config import Config
from governance.changes.effects import Effects
from ledger.clock import SystemClock
from ledger.store import Ledger, Statement
from ledger.vocabulary import Draft, Entry, Frame, Outcome, RunCoverage, RunStatus, TestResult, TestRun
from tests.e2e.aftermath import CART
from tests.e2e.world import Infilling
from tests.repos import git
from tools.git import Git
from tools.testing.runner import Functions, LookedFor, TestRunner, WarmTests
from tools.workspace import Workspace

TESTS = {
    "tests/test_cart.py::test_total": (5, 100, {}),
    "tests/test_cart.py::test_total_with_discount": (9, 90, {"discount": 10}),
}


@dataclass(slots=True)
class Plan:
    """Where to die: before or after the n-th ledger write, one that holds a named event, or before the n-th effect.

    Without any of them it counts only. ``delay_s`` later, where that is set, in the middle of what follows; with
    ``sign`` as soon as there is a file of that pattern.
    """

    when: str = ""  # "before", "after", "effect"
    event: str = ""  # as :func:`event_of` names it; empty: any
    at: int = 1  # the n-th of these
    delay_s: float = 0
    sign: str = ""
    base: Path = Path()
    seen: int = field(default=0, init=False)
    writes: int = field(default=0, init=False)
    effects: int = field(default=0, init=False)

    def write(self, when: str, events: Sequence[str]) -> None:
        """A ledger write begins or has become durable."""
        self.writes += when == "after"
        if when == self.when and (not self.event or self.event in events):
            self._count()

    def effect(self) -> None:
        """An effect on the owner's repository is about to happen."""
        self.effects += 1
        if self.when == "effect":
            self._count()

    def _count(self) -> None:
        self.seen += 1
        if self.seen == self.at and (self.delay_s or self.sign):
            threading.Thread(target=self._later, daemon=True).start()
        elif self.seen == self.at:
            os.kill(os.getpid(), signal.SIGKILL)

    def _later(self) -> None:
        time.sleep(self.delay_s)
        while self.sign and not self._sign_is_there():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGKILL)

    def _sign_is_there(self) -> bool:
        with suppress(OSError):  # folders come and go while they are listed
            return any(self.base.glob(self.sign))
        return False


def event_of(draft: Draft) -> str:
    """A short name of what an entry says."""
    body = draft.payload
    name = str(body.get("event") or body.get("decision") or f"queue.{body.get('queue')}")
    return f"{name}:{body['to']}" if name in ("phase.entered", "terminal") else name


class DyingLedger(Ledger):
    """Ends the process right before or right after a write."""

    plan = Plan()

    async def append(
        self, *drafts: Draft, project: Sequence[Statement] = (), blobs: Sequence[bytes] = ()
    ) -> tuple[Entry, ...]:
        events = [event_of(draft) for draft in drafts]
        self.plan.write("before", events)
        entries = await super().append(*drafts, project=project, blobs=blobs)
        self.plan.write("after", events)
        return entries


class DyingEffects(Effects):
    """Ends the process right before an effect. ``overtaken``: the owner commits to the same file just before us."""

    plan = Plan()
    overtaken = False

    def step(self, effect: str, target: str) -> None:
        if self.overtaken and effect == "move_ref" and target == "refs/heads/main":
            overtake(self.git.places.repo)
        self.plan.effect()


def overtake(repo: Path) -> None:
    """The owner commits another version of the file, once, without touching his checkout."""
    text = git(repo, "show", f"HEAD:{CART}")
    if "# mine" in text:
        return
    folder, name = CART.split("/")
    blob = git(repo, "hash-object", "-w", "--stdin", stdin=f"{text}\n# mine\n")
    inner = git(repo, "ls-tree", f"HEAD:{folder}").replace(git(repo, "rev-parse", f"HEAD:{folder}/{name}"), blob)
    below = git(repo, "mktree", stdin=f"{inner}\n")
    outer = git(repo, "ls-tree", "HEAD").replace(git(repo, "rev-parse", f"HEAD:{folder}"), below)
    tree = git(repo, "mktree", stdin=f"{outer}\n")
    git(repo, "update-ref", "refs/heads/main", git(repo, "commit-tree", tree, "-p", "HEAD", "-m", "mine"))


class Quick(TestRunner):
    """Gives answers instead of runs, and needs no heavy slot for them."""

    @asynccontextmanager
    async def warm(self, ws: Workspace, *, heir: bool = True) -> AsyncIterator[WarmTests]:
        yield QuickTests(ws)

    @asynccontextmanager
    async def several(self, ws: Workspace) -> AsyncIterator[WarmTests]:
        yield QuickTests(ws)

    async def run(self, ws: Workspace, ids: Sequence[str] | None = None, **options: Any) -> TestRun:
        return await QuickTests(ws).run(ids, **options)


class QuickTests(WarmTests):
    """Answers as a run of the two tests would, from the code that stands in the workspace."""

    def __init__(self, ws: Workspace) -> None:
        self._copy = ws

    async def start(self) -> None:
        return None

    async def reset(self) -> None:
        await self._copy.reset()

    async def run(
        self,
        ids: Sequence[str] | None = None,
        *,
        coverage: bool = False,
        limit_s: float | None = None,
        expected: Sequence[str] | None = None,
        test_s: float | None = None,
        limits: Mapping[str, float] | None = None,
        to_the_end: bool = True,
        probe: Functions = (),
        looked_for: LookedFor | None = None,
    ) -> TestRun:
        source = (self._copy.root / CART).read_text()
        results = tuple(result_of(test, source) for test in ids or TESTS)
        red = sum(r.outcome.red for r in results)
        return TestRun(
            status=RunStatus.RED if red else RunStatus.GREEN,
            reason=f"{red} of {len(results)} tests failed." if red else "",
            collected=tuple(r.id for r in results),
            results=results,
            duration_ms=1,
            coverage={r.id: {CART: (3, 4)} for r in results} if coverage else {},
            seen=None
            if looked_for is None
            else RunCoverage(files=frozenset(looked_for.files), functions=frozenset(looked_for.functions)),
        )


def result_of(test: str, source: str) -> TestResult:
    """One of the two tests on ``source``."""
    line, wanted, named = TESTS[test]
    names: dict[str, Callable[..., object]] = {}
    try:
        exec(compile(source, CART, "exec"), names)
        got = names["total"]([60, 40], **named)
    except (SyntaxError, NameError, TypeError) as error:
        got = error
    if got == wanted:
        return TestResult(id=test, outcome=Outcome.PASSED)
    return TestResult(
        id=test,
        outcome=Outcome.FAILED,
        exception="AssertionError",
        message=f"assert {got!r} == {wanted}",
        frames=(Frame(path="tests/test_cart.py", line=line, function=test.rpartition("::")[2]),),
    )


def answers(prefix: str, suffix: str) -> list[str]:
    """The one repair of the world's shop, by the name that its variable has."""
    right = ("permission" if "permission =" in prefix else "subtotal") + " - discount"
    if prefix.endswith("return "):
        return [right]
    return [f"return {right}"] if prefix.endswith("    ") else []


class Shifted(SystemClock):
    """The system's clock, put forward."""

    def __init__(self, by_s: float) -> None:
        self._by = timedelta(seconds=by_s)

    def now(self) -> datetime:
        return super().now() + self._by


class Victim(Service):
    """One boot with a plan for its death. ``look`` sees the repository after recovery, before any work."""

    def __init__(
        self,
        config: Config,
        *,
        plan: Plan,
        quick: bool,
        look: Callable[[], Awaitable[None]],
        shift_s: float = 0,
        overtaken: bool = False,
    ) -> None:
        super().__init__(config, clock=Shifted(shift_s))
        self.plan = plan
        self._overtaken = overtaken
        self._look = look
        if quick:
            self.runner_type = Quick

    def provider(self) -> Infilling:
        return Infilling(answers)

    async def open_ledger(self) -> Ledger:
        places = self.config.places
        ledger = await DyingLedger.open(places.ledger, repo_id=places.repo_id, clock=self.clock)
        assert isinstance(ledger, DyingLedger)
        ledger.plan = self.plan
        return ledger

    def effects(self, git: Git) -> Effects:
        effects = DyingEffects(git)
        effects.plan, effects.overtaken = self.plan, self._overtaken
        return effects

    async def _work(self) -> None:
        await self._look()
        await super()._work()


async def live(service: Victim, errand: Callable[[Victim], Awaitable[None]]) -> None:
    """One boot, from start to a clean stop, unless it dies on the way."""
    try:
        await service.open()
        await service.bring_up()
        await errand(service)
    finally:
        await service.close()


async def queued_work(service: Victim) -> None:
    """Work off what is in the queue; look for nothing new: a signal that recovery lost stays lost."""
    await service.core.router.until_idle()


async def nothing(service: Victim) -> None:
    """Stop again at once."""
    await asyncio.sleep(0)
