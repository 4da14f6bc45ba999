"""GitHub's command line as an owned child: in a folder without a repository, bounded in time and output."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from daemon.house import House
from daemon.webhook.desk import find_secrets
from governance.irongate.g10_signatures import Scheme
from governance.irongate.secrets import redact
from ledger.errors import ChildFailed, ProgramMissing
from ledger.places import HostEnv
from ledger.programs import find_program
from sensors.deliveries import Deliveries
from sensors.doors import GhAnswer
from sensors.issue_poll import IssuePoll
from tools.process import Command, run

QUIET = {"GH_PROMPT_DISABLED": "1", "GH_NO_UPDATE_NOTIFIER": "1", "GH_PAGER": "cat", "NO_COLOR": "1"}
TOKENS = ("GH_TOKEN", "GITHUB_TOKEN")
ANSWER_BYTES = 32 * 1024 * 1024


class Gh:
    """``lookup`` finds the token of a daemon that has one in its environment; else gh uses its own login."""

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
                argv=(program, *args), cwd=self._folder, env=env, timeout_s=self._timeout_s, speaks=True,
                cap_bytes=16 * 1024, report_cap_bytes=ANSWER_BYTES,
            )
        )  # fmt: skip
        ended = not (done.timed_out or done.flooded or done.code is None)
        return GhAnswer(code=done.code if ended else None, out=done.report, err=done.output.decode(errors="replace"))


def issue_poll(house: House, deliveries: Deliveries) -> IssuePoll | None:
    """None where the owner wants none, or where GitHub tells of issues by webhook."""
    config, settings = house.config, house.config.settings
    told = settings.webhook.port and Scheme.GITHUB in find_secrets(settings.webhook, config.secret)
    if not settings.github_issue.poll_s or told:
        return None
    gh = Gh(
        env=config.env, folder=config.places.state, lookup=config.secret, timeout_s=settings.github_issue.gh_timeout_s
    )
    return IssuePoll(gh=gh, deliveries=deliveries, clock=house.clock, redact=redact, settings=settings.github_issue)
