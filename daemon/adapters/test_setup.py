"""What runs the tests of one repository: a sandbox that holds, and the repository's own environment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from daemon.settings.config import Config
from tools.sandbox.choice import choose
from tools.sandbox.types import Choice
from tools.testing.environment.detection import TestEnvironment, detect
from tools.testing.runner import TestRunner


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Without a ``runner``, ``problem`` is the reason."""

    choice: Choice
    environment: TestEnvironment | None = None
    runner: TestRunner | None = None
    problem: str = ""


async def find_means(config: Config, *, heavy: asyncio.Semaphore, runner_type: type[TestRunner] = TestRunner) -> Means:
    """Probe the sandbox, find the environment. Runs of tests hold ``heavy``."""
    settings = config.settings
    choice = await choose(settings.sandbox, config.places, config.env)
    if choice.sandbox is None:
        return Means(choice=choice, problem=f"No sandbox holds here, so nothing is run. {choice.remedy}")
    environment = await detect(config.places, settings.tests, config.env)
    if environment.problem:
        return Means(choice=choice, environment=environment, problem=environment.problem)
    runner = runner_type(
        sandbox=choice.sandbox,
        environment=environment,
        places=config.places,
        settings=settings.tests,
        bounds=settings.sandbox,
        heavy=heavy,
    )
    return Means(choice=choice, environment=environment, runner=runner)
