"""What the figures share: a fresh sample repository, a scripted model, `ouro` as a child process, the machine."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from daemon.settings.config import load
from ledger.places import Places
from sample.build import build, git, plant
from tests.e2e.world import own_environment

OURO = Path(sys.executable).with_name("ouro")
PACKAGES = ("pydantic", "structlog", "watchdog", "aiosqlite", "typer")
SCRIPT = """
infill = true

[[infills]]
prefix_ends = "        "
texts = ["cost += 900"]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """One repository with its own test environment, and the folders of a user who has nothing else."""

    base: Path
    repo: Path
    environ: dict[str, str]

    @property
    def places(self) -> Places:
        return load(self.repo, self.environ).places

    def argv(self, *words: str) -> list[str]:
        return [str(OURO), "--repo", str(self.repo), *words]

    def ouro(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of ``ouro`` to its end."""
        return subprocess.run(self.argv(*words), env=self.environ, capture_output=True, text=True, check=False)

    @contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[bytes]]:
        """`ouro run`, stopped at the end of the block; its log stands in ``base``."""
        with (self.base / "daemon.log").open("ab") as log:
            child = subprocess.Popen(
                self.argv("run"), env=self.environ, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        try:
            yield child
        finally:
            child.terminate()
            child.wait(30)

    def break_it(self, number: int) -> str:
        """Commit bug ``number``; returns the commit."""
        plant(self.repo, number)
        return git(self.repo, "rev-parse", "HEAD")


@contextmanager
def world(*, cache: Path | None = None, **settings: Any) -> Iterator[World]:
    """A fresh world. ``settings``: ``section__field=value``, as variables of ours; ``cache``: one that is there."""
    with tempfile.TemporaryDirectory(prefix="ob-") as name:
        base = Path(name).resolve()
        for folder in ("home", "state", "cache", "config", "run"):
            (base / folder).mkdir(mode=0o700)
        repo = base / "shop"
        repo.mkdir()
        own_environment(repo)
        build(repo)
        (base / "script.toml").write_text(SCRIPT)
        environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(base / "home"),
            "XDG_STATE_HOME": str(base / "state"),
            "XDG_CACHE_HOME": str(cache or base / "cache"),
            "XDG_CONFIG_HOME": str(base / "config"),
            "XDG_RUNTIME_DIR": str(base / "run"),
            "OURO_KERNEL__PROVIDER": "scripted",
            "OURO_KERNEL__SCRIPTED__SCRIPT": str(base / "script.toml"),
        }
        environ |= {f"OURO_{key.upper()}": str(value) for key, value in settings.items()}
        yield World(base=base, repo=repo, environ=environ)


def median_ms(seconds: Sequence[float]) -> str:
    """Median in milliseconds, with the range."""
    low, middle, high = (1000 * f(seconds) for f in (min, statistics.median, max))
    return f"{middle:.0f} ms ({low:.0f} to {high:.0f})"


def machine() -> str:
    """One line: when, on what, with which versions, how busy."""
    names = (
        line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    )
    git_version = subprocess.run(["git", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
    packages = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC · {next(names, platform.machine())}, {os.cpu_count()} cores · "
        f"Linux {platform.release()} · Python {platform.python_version()}, git {git_version}, {packages} · "
        f"load {os.getloadavg()[0]:.1f}"
    )
