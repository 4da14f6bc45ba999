"""A world for end-to-end tests: a real repository with its own tests, and a daemon's parts with a scripted model."""

from __future__ import annotations

import asyncio
import os
import venv
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from daemon.adapters.sensor_manager import SensorManager
from daemon.app.core import Core, build_core
from daemon.app.runtime import build_runtime, find_tests
from daemon.app.sensors import build_sensor_manager
from daemon.settings.config import Config, Settings
from governance.pipeline.ending import Ending
from kernel.provider import (
    Capabilities,
    Done,
    Event,
    Health,
    Infill,
    InfillAnswer,
    InfillRequest,
    Limits,
    Message,
    Price,
    TextDelta,
    ToolSchema,
    Usage,
)
from ledger.clock import SystemClock
from ledger.store import Ledger
from tests.packages import lay_packages
from tests.repos import host_env, make_places, make_repo


class Infilling:
    """A provider that fills holes from a table: the first key that ends the prefix (after stripping) decides."""

    name, model = "scripted", "table@0"
    price: Price | None = Price(input=0, output=0)
    capabilities = Capabilities(infill=True, local=True)

    def __init__(self, answers: Callable[[str, str], Sequence[str]]) -> None:
        self._answers = answers
        self.requests: list[InfillRequest] = []

    async def health(self) -> Health:
        return Health(ready=True, detail="scripted")

    def count_tokens(self, text: str) -> int:
        return len(text) // 4

    async def infill(self, request: InfillRequest) -> InfillAnswer:
        self.requests.append(request)
        found = []
        for index, span in enumerate(request.spans):
            for text in self._answers(span.prefix, span.suffix)[: request.samples]:
                found.append(Infill(span=index, text=text, logprob_milli=-100))
        return InfillAnswer(infills=tuple(found), usage=Usage(tokens_in=1, tokens_out=1))

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        yield TextDelta(text="nothing")
        yield Done(finish="stop", usage=Usage())

    async def aclose(self) -> None:
        return None


def own_environment(repo: Path) -> Path:
    """A ``.venv`` in the repository with pytest and nothing else in it; returns its package folder.

    Copied from the running interpreter: pytest alone starts several times faster than with every plugin that is there.
    """
    venv.create(repo / ".venv", with_pip=False, symlinks=True)
    return lay_packages(next((repo / ".venv" / "lib").glob("python*")) / "site-packages")


def config_for(base: Path, repo: Path, **sections: Any) -> Config:
    """Settings for tests: quick clocks, and an owner who lets a conversing model's listed changes land."""
    places = make_places(base, repo)
    approval = {"notify_delay_s": 0, "unattended": "listed", **sections.pop("approval", {})}
    settings = Settings.model_validate({"approval": approval, **sections})
    return Config(settings=settings, places=places, env=host_env(), secret=lambda name: None)


@asynccontextmanager
async def lived_in(config: Config, provider: Any) -> AsyncIterator[tuple[Core, SensorManager]]:
    """The parts of a daemon that works, until the block ends."""
    clock = SystemClock()
    ledger = await Ledger.open(config.places.ledger, repo_id=config.places.repo_id, clock=clock)
    core = await build_core(config, ledger=ledger, clock=clock, boot="boot-1", provider=provider)
    tests = await find_tests(core)
    assert tests.problem == "", tests.problem
    runtime = await build_runtime(core, tests)
    await runtime.start_servers()
    await core.router.recover()
    pool = asyncio.create_task(runtime.pool.run())
    try:
        yield core, build_sensor_manager(core, lambda: tests)
    finally:
        runtime.pool.stop()
        runtime.pool.cancel_all("the test ended")
        await pool
        await core.code.close()
        await ledger.close()


async def ended(core: Core, *, within_s: float = 120) -> Ending:
    """The next op that ends or parks."""
    return await asyncio.wait_for(core.reports.ended.get(), within_s)


def repo_with(path: Path, files: Mapping[str, str]) -> Path:
    repo = make_repo(path, {".gitignore": ".venv\n__pycache__/\n", **files})
    own_environment(repo)
    return repo


SHOP = {
    "shop/__init__.py": "",
    "shop/cart.py": (
        'def total(prices, discount=0):\n    """Sum after the discount."""\n'
        "    subtotal = sum(prices)\n    return subtotal - discount\n"
    ),
    "tests/test_cart.py": (
        "from shop.cart import total\n\n\ndef test_total():\n    assert total([60, 40]) == 100\n\n\n"
        "def test_total_with_discount():\n    assert total([60, 40], discount=10) == 90\n"
    ),
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
}
PLUS = SHOP["shop/cart.py"].replace("subtotal - discount", "subtotal + discount")
assert os.name == "posix"
