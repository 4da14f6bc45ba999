from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.cli.base import move_global_options
from daemon.control.messages import SubmitRequest, Submitted
from daemon.control.server import ControlServer
from daemon.control.token import renew
from daemon.exit_codes import Exit
from daemon.repl.commands import answer
from daemon.settings.bounds import ControlSettings
from daemon.settings.places import make_folders, places_for
from governance.budget import Budget, BudgetSettings
from governance.grounding.calibration import Bin, Calibration
from ledger.clock import ManualClock
from ledger.places import Places
from ledger.store import Ledger
from ledger.vocabulary import Draft, EntryKind, Phase
from tests.daemon.scripted_api import OP, ScriptedApi
from tests.repos import git, make_repo

ROOT = Path(__file__).resolve().parents[2]
OURO = Path(sys.executable).parent / "ouro"


class Box:
    """A repository with a home of its own, and the command run in it as the owner would."""

    def __init__(self, folder: Path) -> None:
        self.repo = make_repo(folder / "repo", {"a.py": "x = 1\n"})
        (folder / "run").mkdir(mode=0o700)
        (folder / "home").mkdir()
        self.environ = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "XDG_RUNTIME_DIR": str(folder / "run"),
            "LANG": "C.UTF-8",
        }

    def ouro(
        self, *args: str, stdin: str = "", cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(OURO), *args],
            cwd=cwd or self.repo,
            env={**self.environ, **env},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def shell(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["/bin/sh", "-c", command], cwd=self.repo, env=self.environ, capture_output=True, text=True, check=False,
            timeout=60,
        )  # fmt: skip

    @property
    def places(self) -> Places:
        return places_for(self.repo, self.environ)


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


@asynccontextmanager
async def daemon(box: Box, api: ScriptedApi | None = None) -> AsyncIterator[ScriptedApi]:
    api, places = api or ScriptedApi(), box.places
    make_folders(places)
    server = ControlServer(api=api, path=places.socket, settings=ControlSettings(), token=renew(places))
    await server.start()
    try:
        yield api
    finally:
        await server.close()


# structlog imports rich by itself: it comes with the first line that is logged
HEAVY = ("torch", "transformers", "rich", "prompt_toolkit", "git", "cryptography", "structlog", "pydantic", "asyncio")
LATER = (
    "daemon.app.runtime",
    "governance.phases.table",
    "governance.pipeline.orchestrator",
    "governance.irongate.candidate_gates",
    "tools.testing.runner",
)


@pytest.mark.parametrize(
    ("module", "light"),
    [
        ("daemon.cli", HEAVY),
        ("daemon.settings.config", HEAVY[:7]),
        ("daemon.control.client", HEAVY[:7]),
        ("daemon.repl.session", HEAVY[:7]),
        ("daemon.views.live_blocks", HEAVY[:7]),
        ("daemon.lifecycle.doctor", HEAVY[:7]),
        ("daemon.lifecycle.service", (*HEAVY[:7], *LATER)),
        ("daemon.app.core", (*HEAVY[:7], *LATER)),
        ("daemon.app.runtime", HEAVY[:7]),
    ],
)
def test_what_is_not_imported(module: str, light: tuple[str, ...]) -> None:
    code = f"import {module}, sys; print([m for m in {light!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_help_imports_little_and_explains_the_exit_codes(box: Box) -> None:
    code = (
        "import sys; sys.argv = ['ouro', '--help']\nfrom daemon.cli import main\n"
        f"try: main()\nfinally: print([m for m in {(*HEAVY[:8], 'daemon.lifecycle.service')!r} if m in sys.modules])"
    )
    light = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert light.returncode == 0 and light.stdout.endswith("\n[]\n")
    done = box.ouro("--help")
    assert done.returncode == 0
    told = " ".join(done.stdout.split())
    assert "0 done" in told and "75 the daemon asks to be restarted" in told and "6 no daemon answers" in told
    assert [name for name in {words.split()[0] for words in COMMANDS} if f"\n  {name} " not in done.stdout] == []
    assert "\x1b" not in done.stdout


@pytest.mark.parametrize(
    ("words", "streams", "code"),
    [
        ("--help", ">&-", Exit.DONE),
        ("--help", ">/dev/full", Exit.FAULT),
        ("--json log", ">/dev/full", Exit.FAULT),
        ("log", "<&- >&- 2>&-", Exit.FAULT),
        ("log", "2>/dev/full", Exit.FAULT),
        ("repl", "<&-", Exit.NO_DAEMON),
    ],
)
def test_streams_that_are_closed_or_full_are_no_trace(box: Box, words: str, streams: str, code: Exit) -> None:
    done = box.shell(f"exec {OURO} {words} {streams}")
    assert done.returncode == code
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr and len(done.stderr.splitlines()) <= 2


def test_in_a_folder_that_is_gone_it_says_so(box: Box) -> None:
    done = box.shell(f"mkdir gone && cd gone && rmdir ../gone && exec {OURO} status")
    assert done.returncode == Exit.USAGE and "ouro: The current folder does not exist any more." in done.stderr


def test_doctor_refuses_a_machine_without_walls(box: Box, tmp_path: Path) -> None:
    """Everything else is as it should be, so that the walls alone decide the exit code."""
    (box.repo / "test_a.py").write_text("def test(): pass\n")
    git(box.repo, "add", "test_a.py")
    git(box.repo, "commit", "-q", "-m", "a test")
    well = {
        "OURO_KERNEL__PROVIDER": "openai", "OURO_KERNEL__OPENAI__MODEL": "m",
        "OURO_KERNEL__OPENAI__BASE_URL": "http://127.0.0.1:9/v1", "OURO_TESTS__PYTHON": sys.executable,
        "OURO_TESTS__READABLE": json.dumps([str(ROOT)]),
    }  # fmt: skip
    good = box.ouro("doctor", "--json", **well)
    failed = [check["name"] for check in json.loads(good.stdout)["checks"] if check["essential"] and not check["ok"]]
    if any(name.startswith(("sandbox", "wall")) for name in failed):
        pytest.skip("no back end works here: a machine with walls is NOT tested")
    assert (good.returncode, failed) == (0, []), good.stdout
    bare = box.ouro("doctor", OURO_SANDBOX__BACKEND="none", **well)
    assert bare.returncode == 4 and "\nFAIL  wall network" in bare.stdout and "\nFAIL  sandbox" in bare.stdout


COMMANDS = (
    "init", "doctor", "run", "submit", "fix", "status", "ops", "show", "diff", "approve", "reject", "answer", "cancel",
    "undo", "pause", "resume", "cost", "log", "repl", "verify", "ledger verify", "ledger export", "ledger replay",
    "model list", "model status", "model pull", "model probe", "service install", "service uninstall",
    "service status", "completion", "signals", "sensors", "retry", "drop", "posture show", "posture set",
    "posture clear", "calibration", "hear", "bench repair", "bench mine", "eval lift", "reload",
)  # fmt: skip


def test_every_command_shows_an_example() -> None:
    """In one process: what `--help` prints is what these callbacks say."""
    code = (
        "from daemon.cli import build_app\napp = build_app()\n"
        f"for words in {COMMANDS!r}:\n"
        "    try: app(args=[*words.split(), '--help'], prog_name='ouro')\n"
        "    except SystemExit as end: print('::', words, end.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    pages = done.stdout.split("Usage: ")[1:]
    assert len(pages) == len(COMMANDS)
    for words, page in zip(COMMANDS, pages, strict=True):
        assert f"Example: ouro {words.split()[0]}" in page, words
        assert page.rstrip().endswith(f":: {words} 0")


@pytest.mark.parametrize(
    ("words", "front"),
    [
        (["status", "--json"], ["--json", "status"]),
        (["--repo", "x", "ops", "--all"], ["--repo", "x", "ops", "--all"]),
        (["ops", "--repo=x", "--json"], ["--json", "--repo=x", "ops"]),
        (["submit", "--", "--json"], ["submit", "--", "--json"]),
        (["ops", "--repo"], ["ops", "--repo"]),
    ],
)
def test_global_options_anywhere(words: list[str], front: list[str]) -> None:
    assert move_global_options(words) == front


@pytest.mark.parametrize(
    "words",
    [
        "status",
        "ops",
        "show 1",
        "diff 1",
        "approve 1",
        "reject 1",
        "answer 1 yes",
        "cancel 1",
        "undo 1",
        "pause",
        "reload",
        "cost",
        "calibration",
        "signals",
        "sensors",
        "retry 1",
        "drop 1 --why x",
        "posture",
        "repl",
        "submit x",
        "hear status",
    ],
)
def test_without_a_daemon(box: Box, words: str) -> None:
    done = box.ouro(*words.split())
    assert (done.returncode, done.stdout) == (6, "")
    assert done.stderr.startswith("ouro: No daemon watches this repository.\n") and "ouro run" in done.stderr


def test_an_error_in_json(box: Box) -> None:
    done = box.ouro("status", "--json")
    error = json.loads(done.stdout)["error"]
    assert (error["type"], error["exit"], done.returncode) == ("NoDaemon", 6, 6)
    assert error["remedy"]


@pytest.mark.parametrize(
    ("kind", "words", "told"),
    [
        ("nowhere", "status", "is not inside a git repository"),
        ("bare", "run", "is a bare repository"),
        ("config", "run", "config.toml line 1: there is no setting 'pipelin'"),
        ("hostile", "fix", "may not set 'sandbox.allow_unsandboxed'"),
        ("variable", "status", "OURO_PIPELINE__WORKERS"),
        ("usage", "nonsense", "No such command"),
        ("usage", "show", "Missing argument"),
    ],
)
def test_what_is_wrong_is_a_sentence_and_exit_2(box: Box, tmp_path: Path, kind: str, words: str, told: str) -> None:
    cwd, env = box.repo, {}
    if kind == "nowhere":
        cwd = tmp_path / "home"
        env = {"GIT_CEILING_DIRECTORIES": str(tmp_path)}
    if kind == "bare":
        cwd = tmp_path / "bare"
        cwd.mkdir()
        git(cwd, "init", "-q", "--bare")
    if kind == "config":
        folder = tmp_path / "home/.config/ouroboros"
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text("pipelin.workers = 3\n")
    if kind == "hostile":
        (box.repo / ".ouro").mkdir()
        (box.repo / ".ouro/config.toml").write_text("[sandbox]\nallow_unsandboxed = true\n")
    if kind == "variable":
        env = {"OURO_PIPELINE__WORKRS": "3"}
    done = box.ouro(*words.split(), cwd=cwd, **env)
    assert done.returncode == 2, done
    assert told in done.stderr and "Traceback" not in done.stderr and done.stdout == ""


async def run(box: Box, *args: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(lambda: box.ouro(*args, stdin=stdin))


async def test_calibration_is_shown_and_drawn(box: Box) -> None:
    async with daemon(box) as api:
        assert (await run(box, "calibration")).returncode == 5
        api.calibrated = Calibration(records=3, closed=2, bins=(Bin(low_bp=9_000, n=2, mean_bp=9_500, hits=1),))
        done = await run(box, "calibration", "--svg", str(box.repo / "said.svg"))
        assert done.returncode == 0 and done.stdout.startswith("3 records, 2 closed\n"), done.stderr
        assert "50 % of 2" in done.stdout and "<circle" in (box.repo / "said.svg").read_text()
        assert Calibration.model_validate_json((await run(box, "calibration", "--json")).stdout) == api.calibrated
        done = await run(box, "calibration", "--svg", str(box.repo / "none" / "said.svg"))
        assert done.returncode == 2 and "cannot be written" in done.stderr


async def test_commands_ask_the_running_daemon(box: Box) -> None:
    async with daemon(box):
        (box.repo / "sub").mkdir()
        done = await run(box, "status", "--repo", str(box.repo / "sub"))
        assert done.returncode == 0 and done.stdout.startswith("ouroboros 0.1.0 · repo shop (main)")
        assert "\x1b" not in done.stdout
        view = json.loads((await run(box, "ops", "--json")).stdout)
        assert view["ops"][0]["id"] == OP
        done = await run(box, "diff", "7f3a")
        assert done.stdout.startswith("diff --git a/shop/cart.py")
        done = await run(box, "approve", "7f3a")
        assert (done.returncode, done.stderr) == (4, "ouro: Only the owner may.\n      Ask the owner.\n")
        done = await run(box, "show", "nothing")
        assert done.returncode == 2 and "No op matches" in done.stderr
        assert (await run(box, "reject", "7f3a", "--reason", "no")).stdout == "rejected\n"
        assert json.loads((await run(box, "submit", "Make it so", "--json")).stdout)["signal"] == "sig-1"
        done = await run(box, "repl", stdin="/pause\n/q\n")
        assert done.stdout.splitlines() == ["paused"]


async def test_the_intake_on_the_command_line(box: Box) -> None:
    async with daemon(box) as api:
        done = await run(box, "signals")
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, "1 queued, 1 dead")
        assert "why       held back: 20 of 20 ops (governor.source)" in done.stdout
        assert json.loads((await run(box, "signals", "--json")).stdout)["signals"][0]["short"] == "sig-1c7f3b"
        api.signals_now = ()
        assert (await run(box, "signals")).returncode == 5
        done = await run(box, "sensors")
        assert (
            "HARDEN · set by the owner until 2026-01-02 05:00" in done.stdout and "20 of 20 ops an hour" in done.stdout
        )
        assert (await run(box, "retry", "7f3b")).stdout == "queued again\n"
        assert (await run(box, "drop", "7f3b")).returncode == 2  # why is not optional
        assert (await run(box, "drop", "7f3b", "--why", "obsolete")).stdout == "dropped\n"
        assert (await run(box, "posture")).stdout.startswith("HARDEN")
        done = await run(box, "posture", "set", "explore", "--hours", "2", "--why", "calm", "--json")
        assert json.loads(done.stdout)["posture"] == "HARDEN"
        for wrong in (("GALLOP",), ("HARDEN", "--hours", "25")):
            done = await run(box, "posture", "set", *wrong, "--why", "x")
            assert done.returncode == 2 and "Traceback" not in done.stderr
        await run(box, "posture", "clear")
        asked = [(name, request.model_dump(mode="json")) for name, request in api.asked if name in ("drop", "posture")]
        assert asked[0] == ("drop", {"signal": "7f3b", "why": "obsolete"})
        assert [request["action"] for _, request in asked[1:]] == ["show", "set", "clear"]
        assert (asked[2][1]["name"], asked[2][1]["hours"]) == ("EXPLORE", 2.0)
        done = await run(box, "repl", stdin="/signals\n/posture\n/sensors\n/q\n")
        assert done.stdout.startswith("1 queued, 1 dead\nHARDEN")


class Silent(ScriptedApi):
    """Takes a goal in as the real daemon does: without a sentence of its own."""

    async def submit(self, request: SubmitRequest) -> Submitted:
        return Submitted(signal="sig-0123", status="queued")


async def test_a_goal_that_is_handed_in_says_what_comes_next(box: Box) -> None:
    async with daemon(box, Silent()) as api:
        told = (await run(box, "submit", "Make it so", "--closed-when", "tests/test_a.py::test_b")).stdout
        assert told == "queued as sig-0123 · `ouro ops` shows its op, `ouro show sig-0123` what became of it\n"
        assert "/show sig-0123" in (await answer(api, "/submit Make it so", colour=False)).text


async def test_ctrl_c_beside_a_daemon_ends_the_command_only(box: Box) -> None:
    async with daemon(box) as api:
        process = await asyncio.create_subprocess_exec(
            str(OURO), "fix", cwd=box.repo, env=box.environ, stderr=asyncio.subprocess.PIPE,
            # a suite that a shell runs in the background ignores SIGINT, and so would every child of it
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )  # fmt: skip
        try:
            await asyncio.wait_for(api.subscribed.wait(), 60)
            process.send_signal(signal.SIGINT)
            _, told = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert (process.returncode, told) == (130, b"\n")


async def test_a_fault_inside_the_daemon_is_exit_1(box: Box) -> None:
    async with daemon(box):
        done = await run(box, "cancel", "7f3a")
        assert done.returncode == 1 and "failed inside the daemon" in done.stderr


async def record(box: Box) -> None:
    places = box.places
    make_folders(places)
    clock = ManualClock(datetime(2026, 1, 2, tzinfo=UTC))
    ledger = await Ledger.open(places.ledger, repo_id=places.repo_id, clock=clock)
    await Budget(ledger=ledger, clock=clock, settings=BudgetSettings()).prepare()
    await ledger.append(Draft(kind=EntryKind.SESSION, payload={"event": "session.started"}))
    await ledger.append(
        Draft(kind=EntryKind.TOOL, op_id=OP, phase=Phase.GENERATE, payload={"event": "infilled", "infills": 3})
    )
    await ledger.close()


async def test_the_record_is_read_without_a_daemon(box: Box) -> None:
    done = await run(box, "log")
    assert done.returncode == 1 and "There is no record of this repository yet." in done.stderr
    await record(box)
    lines = (await run(box, "log")).stdout.splitlines()
    assert len(lines) == 2 and "infill: 3 candidates" in lines[1] and "op-1c7f3a" in lines[1]
    assert len((await run(box, "log", "--op", "7f3a")).stdout.splitlines()) == 1
    assert json.loads((await run(box, "log", "--after", "1", "--json")).stdout)["entries"][0]["seq"] == 2
    done = await run(box, "ledger", "verify")
    assert done.returncode == 0 and done.stdout.startswith("2 entries, the chain holds")
    rows = (await run(box, "ledger", "export", "--op", "1c7f3a")).stdout.splitlines()
    assert [json.loads(row)["entry"]["op_id"] for row in rows] == [OP]
    assert (await run(box, "log", "--op", "nothing")).returncode == 2
    assert (await run(box, "verify")).returncode == 5


async def test_questions_about_ops_are_answered_from_the_record(box: Box) -> None:
    await record(box)
    before = box.places.ledger.read_bytes()
    assert (await run(box, "ops")).stdout.startswith("1c7f3a  ")
    assert json.loads((await run(box, "ops", "--all", "--json")).stdout)["ops"][0]["id"] == OP
    assert "infill    3 candidates" in (await run(box, "show", "7f3a")).stdout
    for form in ((), ("--json",)):
        done = await run(box, "diff", "7f3a", *form)
        assert (done.returncode, done.stderr) == (5, "op-1c7f3a has no change yet.\n")
    done = await run(box, "cost")
    assert (done.returncode, done.stderr) == (0, ""), done
    assert (await run(box, "show", "sig-none")).returncode == 2
    assert box.places.ledger.read_bytes() == before
    assert not box.places.socket.exists()


async def test_a_changed_record_is_found(box: Box) -> None:
    import sqlite3

    await record(box)
    with sqlite3.connect(box.places.ledger) as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        database.execute("UPDATE entries SET body = replace(body, 'session.started', 'session.forged') WHERE seq = 1")
    database.close()
    done = await run(box, "ledger", "verify")
    assert done.returncode == 1 and "breaks at entry 1" in done.stdout


def test_init_and_the_service_unit(box: Box) -> None:
    done = box.ouro("init")
    assert done.returncode == 0 and (box.repo / ".ouro/config.toml").exists()
    steps = json.loads(box.ouro("init", "--json").stdout)["steps"]
    assert not any(step["done"] for step in steps)
    done = box.ouro("hook", "install")
    assert done.returncode == 0 and "+ " in done.stdout and (box.repo / ".git/hooks/post-commit").exists()
    assert (box.ouro("hook", "uninstall").returncode, box.ouro("hook", "uninstall").returncode) == (0, 5)
    done = box.ouro("service", "install", "--dry-run")
    assert f'ExecStart="{OURO}" --repo "{box.repo}" run' in done.stdout
    assert not (Path(box.environ["HOME"]) / ".config/systemd").exists()
    done = box.ouro("service", "status")
    assert (done.returncode, "not installed" in done.stdout) == (4, True)
    assert box.ouro("service", "uninstall").returncode == 5


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts(box: Box, shell: str) -> None:
    done = box.ouro("completion", shell)
    assert done.returncode == 0 and "_OURO_COMPLETE" in done.stdout


def test_completion_completes(box: Box) -> None:
    done = box.ouro(_OURO_COMPLETE="complete_bash", COMP_WORDS="ouro sta", COMP_CWORD="1")
    assert done.stdout.split() == ["status"]


def test_model_list_needs_no_repository(box: Box, tmp_path: Path) -> None:
    done = box.ouro("model", "list", "--json", cwd=tmp_path / "home")
    found = json.loads(done.stdout)
    assert found["models"] and not any(one["fetched"] for one in found["models"])
    assert box.ouro("model", "status", cwd=tmp_path / "home").returncode == 5
    done = box.ouro("model", "pull", "nonsense", cwd=tmp_path / "home")
    assert done.returncode == 2 and "No weights are known" in done.stderr


def test_the_version(box: Box) -> None:
    assert box.ouro("--version").stdout == "ouroboros 0.1.0\n"
