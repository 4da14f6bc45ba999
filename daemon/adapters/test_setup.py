"""What runs the tests of one repository: a sandbox that holds, and the repository's own environment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import ClassVar

from daemon.settings.config import Config
from ledger.errors import SandboxMissing, TestsUnavailable
from tools.sandbox.choice import choose
from tools.sandbox.types import Choice, describe_backend
from tools.testing.environment.detection import TestEnvironment, detect
from tools.testing.runner import TestRunner, TestsMissing


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSetup:
    """Result of one look. ``environment`` is None where no sandbox holds: it was not looked for."""

    __test__: ClassVar = False

    choice: Choice
    environment: TestEnvironment | None
    runner: TestRunner | TestsMissing

    @property
    def problem(self) -> str:
        """Why tests cannot be run; empty where they can."""
        return self.runner.reason if isinstance(self.runner, TestsMissing) else ""

    @property
    def sandbox_name(self) -> str:
        """The sandbox as commits name it: the back end, and every wall that it lacks."""
        sandbox = self.choice.sandbox
        return "none" if sandbox is None else describe_backend(sandbox.name, sandbox.missing)

    def require_runner(self) -> TestRunner:
        """Raises ``SandboxMissing`` where untrusted code may not be run, ``TestsUnavailable`` where no tests can."""
        if self.choice.sandbox is None:
            raise SandboxMissing(
                "No sandbox holds here, so no code of this repository is run.", remedy=self.choice.remedy
            )
        if isinstance(self.runner, TestsMissing):
            raise TestsUnavailable(self.runner.reason)
        return self.runner


async def find_test_setup(
    config: Config, *, heavy: asyncio.Semaphore, runner_type: type[TestRunner] = TestRunner
) -> TestSetup:
    """Probe the sandbox, find the environment. Runs of tests hold ``heavy``."""
    settings = config.settings
    choice = await choose(settings.sandbox, config.places, config.env)
    if choice.sandbox is None:
        missing = TestsMissing(f"No sandbox holds here, so nothing is run. {choice.remedy}")
        return TestSetup(choice=choice, environment=None, runner=missing)
    environment = await detect(config.places, settings.tests, config.env)
    if environment.problem:
        return TestSetup(choice=choice, environment=environment, runner=TestsMissing(environment.problem))
    runner = runner_type(
        sandbox=choice.sandbox,
        environment=environment,
        places=config.places,
        settings=settings.tests,
        bounds=settings.sandbox,
        heavy=heavy,
    )
    return TestSetup(choice=choice, environment=environment, runner=runner)
