"""One task through the real program: a fresh repository, ``ouro fix`` as its owner would call it, and the judge."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

from daemon.evaluation.judge import HiddenVerdict, Verdict, judge
from daemon.evaluation.tasks import Task
from daemon.exit_codes import Exit
from daemon.settings.config import load
from daemon.settings.places import environment_for, places_for
from ledger.children import own_python
from ledger.errors import ConfigError
from ledger.parsers.json import read_json
from ledger.tasks import wait_until_done
from ledger.vocabulary import Frozen
from tools.git import Git, ask_git
from tools.process import Command, Finished, run
from tools.sandbox.limits import MIB

GRACE_S = 20.0
"""For a daemon whose time is up to end its work in order."""
OUTPUT = 256 * MIB
COMMAND = own_python("-c", "from daemon.cli import main; main()")
"""``ouro``, isolated: the task's own ``daemon/`` or ``json.py`` is not what is imported."""
TIMEOUT_S = 60.0
NOBODY = {"GIT_CONFIG_GLOBAL": "/dev/null"}
"""What the owner's own settings say is no part of a task."""
OWNER = ("-c", "user.name=Task", "-c", "user.email=task@localhost", "-c", "commit.gpgsign=false")


class TrialOutcome(StrEnum):
    """How a task ended."""

    RESOLVED = "resolved"
    WRONG = "wrong"  # what was shown is green, what was hidden is not: plausible, and no repair
    UNRESOLVED = "unresolved"
    TIMEOUT = "timeout"
    INVALID = "invalid"  # the task itself does not fail as it says, or could not be run


class TrialResult(Frozen):
    """One line of the results. Seconds are of the clock on the wall, from the start of the command."""

    task: str
    kind: str
    label: str
    outcome: TrialOutcome
    seconds: float
    model_s: float = 0.0
    infills: int = 0
    tested: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    usd_micro: int = 0
    evidence: str = ""
    tier: str = ""
    doubt: str = ""  # with what input another repair that passes does something else
    why: str = ""
    diff: str = ""


async def attempt(task: Task, *, label: str, cap_s: float, environ: Mapping[str, str]) -> TrialResult:
    """Let ``ouro fix`` work on a fresh copy of ``task``, ``cap_s`` seconds at most; judge what it committed."""
    with tempfile.TemporaryDirectory(prefix="ouro-task-") as name:
        try:
            return await attempt_in(Path(name).resolve(), task, label=label, cap_s=cap_s, environ=environ)
        except BaseException:
            # A call in a thread is not ended by a cancellation: git would go on to write where the folder is removed.
            # The command ends with this error, so the loop needs its threads no more.
            await wait_until_done(asyncio.ensure_future(asyncio.get_running_loop().shutdown_default_executor()))
            raise


async def attempt_in(base: Path, task: Task, *, label: str, cap_s: float, environ: Mapping[str, str]) -> TrialResult:
    """The same below ``base``. What another task has left there (its repository, its record) is gone on with."""
    repo, own = await laid_out(task, base, environ)
    start = await git(repo, own, "rev-parse", "HEAD")
    began = time.monotonic()
    finished = await run(
        Command(
            argv=(*COMMAND, "--json", "fix"),
            cwd=repo,
            env=own,
            timeout_s=cap_s,
            grace_s=GRACE_S,
            cap_bytes=OUTPUT,
            flood_bytes=OUTPUT,
        )
    )
    seconds = time.monotonic() - began
    verdict = await judge(task, load(repo, own), start=start.strip())
    outcome, why = outcome_of(finished, verdict)
    diff = (
        (await git(repo, own, "diff", "--no-ext-diff", "--no-textconv", "--no-color", start.strip(), "HEAD"))
        if verdict.changed
        else ""
    )
    return TrialResult(
        task=task.name,
        kind=task.about.kind,
        label=label,
        outcome=outcome,
        seconds=round(seconds, 2),
        why=why,
        diff=diff,
        **usage(finished.output),
    )


async def laid_out(task: Task, base: Path, environ: Mapping[str, str]) -> tuple[Path, dict[str, str]]:
    """The repository below ``base``, whose newest commit is ``task``, and the environment to work on it."""
    repo, own = base / "repo", own_environment(environ, base, task)
    await asyncio.to_thread(_replace_files, repo, task.repo)
    await asyncio.to_thread(_make_repository, repo, own)
    await git(repo, own, "add", "-A", "-f")
    await git(repo, own, *OWNER, "commit", "-q", "--no-verify", "--allow-empty", "-m", "A task")
    return repo, own


def _replace_files(repo: Path, wanted: Path) -> None:
    """The files of ``wanted`` in place of all that ``repo`` holds; its history stays, theirs is not taken."""
    for place in [each for each in repo.iterdir() if each.name != ".git"] if repo.is_dir() else ():
        if place.is_dir() and not place.is_symlink():
            shutil.rmtree(place)
        else:
            place.unlink()
    shutil.copytree(wanted, repo, symlinks=True, dirs_exist_ok=True, ignore=shutil.ignore_patterns(".git"))


def _make_repository(repo: Path, environ: Mapping[str, str]) -> None:
    """Make ``repo`` a repository, unless it is one."""
    if (repo / ".git").exists():
        return
    env = environment_for(repo, environ)
    done = ask_git(env, "init", "-q", "-b", "main", "--template=", cwd=repo, timeout_s=TIMEOUT_S, extra_env=NOBODY)
    if done.code:
        raise ConfigError(f"git init failed in a task: {done.said[-200:]}", remedy="Look at the task's repo/.")


def own_environment(environ: Mapping[str, str], base: Path, task: Task) -> dict[str, str]:
    """The owner's environment, but for the record, the socket and the test environment, which are the task's own."""
    own = dict(environ)
    for variable, folder in (("XDG_STATE_HOME", "state"), ("XDG_RUNTIME_DIR", "run")):
        (base / folder).mkdir(mode=0o700, exist_ok=True)
        own[variable] = str(base / folder)
    if task.about.python is not None:
        own["OURO_TESTS__PYTHON"] = str((task.folder / task.about.python).resolve())
    # what is measured is which changes hold, and nobody is there to approve one in a copy that is thrown away
    own["OURO_APPROVAL__UNATTENDED"] = "listed"
    own |= NOBODY
    return own


def outcome_of(finished: Finished, judged: HiddenVerdict) -> tuple[TrialOutcome, str]:
    """What it comes to. A commit that came in time counts, whatever was being done when the time was up. Pure."""
    match judged.verdict:
        case Verdict.RIGHT:
            return TrialOutcome.RESOLVED, ""
        case Verdict.WRONG | Verdict.UNCLEAR:  # it was committed; the tests are red with it, or give no answer
            return TrialOutcome.WRONG, judged.why
    if finished.timed_out:
        return TrialOutcome.TIMEOUT, ""
    reasons = [
        str(p["reason"]) for _, p in entries(finished.output) if p.get("event") == "terminal" and p["to"] != "COMPLETE"
    ]
    if finished.code == Exit.NOTHING and not reasons:
        return TrialOutcome.INVALID, "nothing was red"
    said = finished.output.decode("utf-8", errors="replace").strip().splitlines()
    return TrialOutcome.UNRESOLVED, (reasons or said or ["it said nothing"])[-1][:400]


def entries(output: bytes) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Ledger entries that ``ouro --json`` printed, a line each, with their payloads."""
    for line in output.decode("utf-8", errors="replace").splitlines():
        if line.startswith("{"):
            try:
                entry = read_json(line).get("entry")
            except ValueError:  # cut in the middle
                continue
            if entry:
                yield entry, entry["payload"]


def usage(output: bytes) -> dict[str, Any]:
    """What the model was asked for, in numbers."""
    payloads = [payload for _, payload in entries(output)]
    calls = [p for p in payloads if p.get("event") == "call.ended"]
    gated: dict[str, Any] = next((p for p in reversed(payloads) if p.get("event") == "tier.assigned"), {})
    return {
        "model_s": round(sum(p["ms"] for p in calls) / 1000, 2),
        "tokens_in": sum(p["tokens_in"] for p in calls),
        "tokens_out": sum(p["tokens_out"] for p in calls),
        "usd_micro": sum(p["usd_micro"] for p in calls),
        "evidence": gated.get("evidence", "")[:100],
        "tier": gated.get("tier", ""),
        "doubt": gated.get("left_open", "")[:300],
        "infills": sum(p["infills"] for p in payloads if p.get("event") == "infilled"),
        "tested": sum(p["tested"] for p in payloads if p.get("event") == "candidates.tested"),
    }


async def git(repo: Path, environ: Mapping[str, str], *words: str) -> str:
    """The output of git in the task's repository, independent of its settings. Raises ``RepositoryError``."""
    opened = await asyncio.to_thread(lambda: Git(places_for(repo, environ), environment_for(repo, environ)))
    return (await opened.call(*words, extra_env=NOBODY)).out.decode("utf-8", errors="replace")
