"""Builds the ports that sensors get from the other rooms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from pathlib import Path

from daemon.adapters.other_repositories import OtherRepositories
from daemon.adapters.ports import depth_of
from daemon.house import House
from daemon.views.told import ONLY_FILLS
from daemon.webhook.desk import find_secrets
from governance.irongate.op.g10_signatures import Scheme
from governance.irongate.secrets.redaction import redact
from ledger.errors import ChildFailed, ProgramMissing
from ledger.places import HostEnv
from ledger.programs import find_program
from ledger.vocabulary import Signal
from sensors.intake.records import Receipt
from sensors.ports import Emit, GhAnswer, LeftAlone, SensorPorts
from sensors.watch.named import Refs
from tools.git import Git
from tools.index.index import CodeIndex
from tools.index.trees import list_sources
from tools.ocr import SandboxedOcr
from tools.process import Command, run
from tools.repository import Repository

QUIET = {"GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1", "GH_PAGER": "cat", "NO_COLOR": "1"}
TOKENS = ("GH_TOKEN", "GITHUB_TOKEN")
ANSWER_BYTES = 32 * 1024 * 1024


class Gh:
    """GitHub's command line as an owned child: in a folder without a repository, bounded in time and output.

    ``lookup`` finds the token of a daemon that has one in its environment; else gh uses its own login.
    """

    def __init__(self, *, env: HostEnv, folder: Path, lookup: Callable[[str], str | None], timeout_s: float) -> None:
        self._env = env
        self._folder = folder
        self._lookup = lookup
        self._timeout_s = timeout_s

    async def call(self, *args: str) -> GhAnswer:
        """Raises ``ChildFailed`` where there is no such program that may be run."""
        try:
            program = str(find_program("gh", self._env))
        except ProgramMissing as error:
            if error.refused:
                raise
            raise ChildFailed("there is no gh on the PATH", remedy="https://cli.github.com/ has it.") from error
        token = next(((name, value) for name in TOKENS if (value := self._lookup(name))), None)
        env = {**self._env.variables, **QUIET, **dict([token] if token else [])}
        done = await run(
            Command(
                argv=(program, *args),
                cwd=self._folder,
                env=env,
                timeout_s=self._timeout_s,
                speaks=True,
                cap_bytes=16 * 1024,
                report_cap_bytes=ANSWER_BYTES,
            )
        )
        ended = not (done.timed_out or done.flooded or done.code is None)
        return GhAnswer(code=done.code if ended else None, out=done.report, err=done.output.decode(errors="replace"))


class CommittedNames:
    """Which names exist at HEAD: committed files, and symbols of them that the code index has parsed so far."""

    def __init__(self, *, repository: Repository, index: CodeIndex, git: Git) -> None:
        self._repository = repository
        self._index = index
        self._git = git

    async def known(self, names: Collection[str]) -> frozenset[str]:
        """Those of ``names`` that are a path, the last part or stem of one, or a symbol."""
        head = (await self._repository.head()).commit
        if head is None:
            return frozenset()
        files = await self._repository.files(head)
        ends = {path.rpartition("/")[2] for path in files}
        places = {*files, *ends, *(end.partition(".")[0] for end in ends)}
        found = {name for name in names if name in places}
        left = [name for name in names if name not in found]
        if left:
            here = frozenset((await asyncio.to_thread(list_sources, self._git, head)).values())
            found |= {name for name in left if await self._is_defined(name, here)}
        return frozenset(found)

    async def _is_defined(self, name: str, here: frozenset[str]) -> bool:
        last = name.rpartition(".")[2]
        for key, facts in (await self._index.having(last)).items():
            if key in here and any(s.name == name or s.name.rpartition(".")[2] == last for s in facts.symbols):
                return True
        return False


def sensor_ports(house: House, *, emit: Emit, left_alone: LeftAlone, follow: Callable[[Refs], None]) -> SensorPorts:
    """For one boot. ``follow`` makes the watcher watch branches of another repository."""
    config, router = house.config, house.router

    async def emit_for_owner(signal: Signal) -> Receipt:
        return await router.submit(signal, asked=True)

    def pressed_by() -> str:
        return house.health.vitals.surroundings().pressed_by

    async def busy_with() -> str:
        return pressed_by() if await router.idle() else "there is work"

    def ocr(program: str, languages: str, limit_s: float) -> SandboxedOcr:
        return SandboxedOcr(
            program=program,
            languages=languages,
            limit_s=limit_s,
            env=config.env,
            sandbox=lambda: house.choice.sandbox if house.choice else None,
            heavy=house.heavy,
        )

    def gh(timeout_s: float) -> Gh:
        return Gh(env=config.env, folder=config.places.state, lookup=config.secret, timeout_s=timeout_s)

    webhook = config.settings.webhook
    return SensorPorts(
        repository=house.repository,
        emit=emit,
        ledger=house.ledger,
        clock=house.clock,
        depth_of=lambda op_id: depth_of(house.ledger, op_id),
        redact=redact,
        unavailable=lambda: ONLY_FILLS if house.provider.capabilities.only_fills else "",
        tests=house.tests,
        top=config.places.repo,
        spool=config.places.spool,
        emit_for_owner=emit_for_owner,
        withdraw=router.drop,
        is_known=router.knows,
        is_open=router.is_open,
        left_alone=left_alone,
        pressed_by=pressed_by,
        busy_with=busy_with,
        follow=follow,
        elsewhere=OtherRepositories(places=config.places, env=config.env),
        names=CommittedNames(repository=house.repository, index=house.code, git=house.git),
        ocr=ocr,
        gh=gh,
        has_issue_webhook=bool(webhook.port) and Scheme.GITHUB in find_secrets(webhook, config.secret),
    )
