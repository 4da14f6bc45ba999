"""New settings come by `ouro reload` or SIGHUP: the same process begins anew, and a broken file changes nothing."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.exit_codes import Exit
from tests.e2e.test_sentences import PROJECT, Owner
from tests.e2e.world import SHOP, repo_with

CEILING = '[kernel]\nprovider = "scripted"\n[budget]\nper_day_usd_micro = {}\n'


@pytest.fixture
def owner(tmp_path: Path) -> Owner:
    return Owner(tmp_path)


@contextmanager
def running(owner: Owner, repo: Path) -> Iterator[subprocess.Popen[bytes]]:
    """`ouro run`, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from daemon.cli import main; main()", "--repo", str(repo), "run"],
        cwd=PROJECT, env=owner.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def settings(owner: Owner, text: str) -> None:
    folder = owner.home / ".config" / "ouroboros"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "new.toml").write_text(text)
    (folder / "new.toml").replace(folder / "config.toml")  # an empty file in between would be a good one


def daily(owner: Owner, repo: Path) -> int:
    """What the daemon that answers takes as the most that a day may cost; 0: none answers yet."""
    said = owner.ouro(repo, "status", "--json")
    if said.code != Exit.DONE or json.loads(said.out)["state"] == "starting":
        return 0
    return int(json.loads(owner.ouro(repo, "cost", "--json").out)["today"]["ceiling_usd_micro"])


def soon(what: Callable[[], bool], *, within_s: float = 40) -> None:
    end = time.monotonic() + within_s
    while not what():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.1)


def test_new_settings_come_with_a_reload_and_broken_ones_do_not(owner: Owner, tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", SHOP)
    del owner.environment["OURO_KERNEL__PROVIDER"]  # it would stand above the file's
    settings(owner, CEILING.format(1_000))
    with running(owner, repo) as process:
        soon(lambda: daily(owner, repo) == 1_000)
        settings(owner, CEILING.format(2_000))
        said = owner.ouro(repo, "reload")
        assert said.code == Exit.DONE and "restarts with them" in said.out, (said.out, said.err)
        soon(lambda: daily(owner, repo) == 2_000)
        settings(owner, "[budget\n")
        refused = owner.ouro(repo, "reload")
        assert refused.code == Exit.USAGE and "config.toml" in refused.sentence, refused.err
        process.send_signal(signal.SIGHUP)
        settings(owner, '[kernel]\nprovider = "openai"\n[kernel.openai]\nbase_url = "localhost:8080"\nmodel = "m"\n')
        unfit = owner.ouro(repo, "reload")  # it can be read, and a boot with it would end at once
        assert unfit.code == Exit.USAGE and "base_url" in unfit.sentence, unfit.err
        process.send_signal(signal.SIGHUP)
        settings(owner, CEILING.format(3_000))
        process.send_signal(signal.SIGHUP)
        soon(lambda: daily(owner, repo) == 3_000)
        assert process.poll() is None
