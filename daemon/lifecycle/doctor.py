"""``ouro doctor``: checks everything that a repair needs on this machine, with remedies for what is missing."""

from __future__ import annotations

import asyncio
import os
import platform
import re
import shutil
import sys
from collections.abc import Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.adapters.machine import machine_check
from daemon.lifecycle.checks import Check
from daemon.lifecycle.instance import last_holder
from daemon.settings.config import Settings, settings_for
from daemon.settings.places import environment_for, make_folders, places_for
from daemon.views.mcp import check_servers
from ledger.errors import OuroError
from ledger.places import HostEnv, Places
from ledger.vocabulary import Frozen
from tools.git import ask_git

if TYPE_CHECKING:
    from tools.sandbox.types import Choice

OLDEST_GIT = (2, 36)  # `git hook run`
VERSION_TIMEOUT_S = 20.0
DISK_WANTED_MB = 6_000  # default weights, their converted form, and room to work
MEMORY_WANTED_MB = 4_000
WATCHES_WANTED = 8_192
TEST_FILES = ("test_*.py", "*_test.py")  # pytest's default python_files


class Examination(Frozen):
    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(check.ok for check in self.checks if check.essential)


async def examine(path: Path, environ: Mapping[str, str]) -> Examination:
    """All checks for the repository at ``path``; never raises for what is wrong with the machine."""
    checks = [_python()]
    try:
        env = await asyncio.to_thread(environment_for, path, environ)
        checks += [await asyncio.to_thread(_git, env), *_search_path(env)]
        places = await asyncio.to_thread(places_for, path, environ)
        make_folders(places)
    except OuroError as error:
        return Examination(checks=(*checks, _failed_check("repository", error)))
    settings, config = _settings(places, environ)
    checks += [config, await _repository(places, env), *await _programs(places, env), _socket(places), _keys(places)]
    checks += [*await _tests(places, settings, env), *await _test_files(places, env)]
    choice = await _sandbox(places, settings, env)
    checks += _walls(choice)
    checks += await check_servers(settings.tools.mcp, choice, places=places, env=env, lookup=environ.get)
    checks += [*_kernel(places, settings), _disk(places), _memory(), machine_check(places), _watches()]
    return Examination(checks=tuple(checks))


def _failed_check(name: str, error: OuroError) -> Check:
    return Check(name=name, ok=False, detail=error.message, essential=True, remedy=error.remedy)


def _python() -> Check:
    version = platform.python_version()
    good = sys.version_info >= (3, 11)
    return Check(
        name="python", ok=good, detail=f"{version}, {sys.executable}", essential=True, remedy="Use 3.11 or newer."
    )


def _git(env: HostEnv) -> Check:
    try:
        said = ask_git(env, "--version", cwd=Path("/"), timeout_s=VERSION_TIMEOUT_S).text
    except OuroError as error:
        return _failed_check("git", error)
    except OSError as error:
        return Check(name="git", ok=False, detail=f"it cannot be run: {error}", essential=True, remedy="Install git.")
    found = re.search(r"(\d+)\.(\d+)", said)
    good = found is not None and (int(found[1]), int(found[2])) >= OLDEST_GIT
    remedy = f"Version {OLDEST_GIT[0]}.{OLDEST_GIT[1]} or newer is needed to run your hooks."
    return Check(name="git", ok=good, detail=said or "no version", essential=True, remedy="" if good else remedy)


def _search_path(env: HostEnv) -> list[Check]:
    """Folders of the PATH that are not searched, and why."""
    if not env.left_out:
        return []
    detail = "; ".join(f"{folder or 'an empty entry'} {problem}" for folder, problem in env.left_out)
    return [Check(name="search path", ok=True, detail=f"no program is taken from: {detail}")]


def _settings(places: Places, environ: Mapping[str, str]) -> tuple[Settings, Check]:
    try:
        settings = settings_for(places, environ)
    except OuroError as error:
        return Settings(), _failed_check("settings", error)
    own = (places.config / "config.toml", places.config / f"{places.repo_id}.toml")
    present = [file for file in (*own, places.repo / ".ouro" / "config.toml") if file.exists()]
    detail = ", ".join(map(str, present)) or "defaults (no file)"
    return settings, Check(name="settings", ok=True, detail=detail, essential=True)


async def _repository(places: Places, env: HostEnv) -> Check:
    from tools.git import Git
    from tools.repository import Repository

    repository = Repository(Git(places, env))
    try:
        await repository.check()
        head = await repository.head()
    except OuroError as error:
        return _failed_check("repository", error)
    where = f"on {head.branch}" if head.branch else "detached: commits go to review branches"
    detail = f"{places.repo} at {(head.commit or '')[:7]}, {where}, id {places.repo_id}"
    return Check(name="repository", ok=True, detail=detail, essential=True)


async def _programs(places: Places, env: HostEnv) -> list[Check]:
    """A note where the repository's own settings name programs that git is not to run for us."""
    from tools.git import Git

    try:
        refused = await asyncio.to_thread(Git(places, env).refused_programs)
    except OuroError as error:
        return [_failed_check("git settings", error)]
    if not refused:
        return []
    detail = f"the repository's own settings name programs, which are not run: {', '.join(refused)}"
    remedy = f"Where you trust one, set it for yourself: git config --global {refused[0]} PROGRAM."
    return [Check(name="git settings", ok=False, detail=detail, remedy=remedy)]


def _socket(places: Places) -> Check:
    holder = last_holder(places)
    running = f", last held by process {holder.pid}" if holder else ""
    return Check(name="socket", ok=True, detail=f"{places.socket}{running}", essential=True)


def _keys(places: Places) -> Check:
    files = list(places.keys.iterdir())
    # the public half, and allowed_signers, are for everybody: git checks signatures with them
    private = [file for file in files if file.name.startswith("signing") and file.suffix != ".pub"]
    loose = [file for file in private if file.stat().st_mode & 0o077]
    if loose:
        return Check(
            name="keys",
            ok=False,
            detail=f"{loose[0]} can be read by others",
            essential=True,
            remedy=f"chmod 600 {loose[0]}",
        )
    detail = str(places.keys) if files else "none yet: made by `ouro init` or the first commit"
    return Check(name="keys", ok=True, detail=detail)


async def _tests(places: Places, settings: Settings, env: HostEnv) -> list[Check]:
    """The environment that is taken, and a note for each that is not because the repository wrote it."""
    from tools.testing.environment.detection import detect

    found = await detect(places, settings.tests, env)
    notes = [Check(name="environment", ok=False, detail=why) for why in found.passed_over if why != found.problem]
    if found.problem:
        return [Check(name="tests", ok=False, detail=found.problem, essential=True), *notes]
    version = ".".join(map(str, found.version))
    detail = f"{found.python}, Python {version}, pytest {found.pytest or 'is missing'}"
    return [Check(name="tests", ok=True, detail=detail, essential=True), *notes]


async def _test_files(places: Places, env: HostEnv) -> list[Check]:
    """A note where nothing looks like a test by pytest's own rule. Other names may be set, so it is no more."""
    from tools.git import Git

    listed = await Git(places, env).call("ls-files", "-z", ok=(0, 128))
    names = [path.rpartition("/")[2] for path in listed.fields]
    if listed.code or any(fnmatch(name, pattern) for name in names for pattern in TEST_FILES):
        return []
    detail = f"git knows no file named {' or '.join(TEST_FILES)}"
    remedy = "Write a test and commit it: what no test shows is not repaired."
    return [Check(name="test files", ok=False, detail=detail, remedy=remedy)]


async def _sandbox(places: Places, settings: Settings, env: HostEnv) -> Choice:
    from tools.sandbox.choice import choose

    return await choose(settings.sandbox, places, env)


def _walls(choice: Choice) -> list[Check]:
    """Which back end is used and why, and a line for every wall: what the attack on it showed."""
    from tools.sandbox.remedy import of_wall
    from tools.sandbox.types import Wall

    found = choice.sandbox
    confined = found is not None and found.name != "none"
    tried = "; ".join(f"{name}: {why}" for name, why in choice.tried)
    checks = [
        Check(
            name="sandbox",
            ok=confined,
            detail=(found.name if found else "none works") + (f" (not used: {tried})" if tried else ""),
            essential=True,
            remedy=choice.remedy,
        )
    ]
    proofs = {proof.wall: proof for proof in choice.proofs}
    backend = found.name if found else "none"
    for wall in Wall:
        proof = proofs.get(wall)
        held = confined and proof is not None and proof.held
        detail = proof.detail if proof else "It could not be tried: no back end can be started here."
        checks.append(
            Check(
                name=f"wall {wall.value}",
                ok=held,
                detail=detail if held or confined else f"No back end is used. {detail}",
                essential=not confined,
                remedy="" if held else of_wall(wall, backend, passed_over=bool(choice.tried)),
            )
        )
    return checks


def _kernel(places: Places, settings: Settings) -> list[Check]:
    """What the chosen provider needs. Nothing is loaded or called."""
    from kernel.catalogue import check_setup

    found = check_setup(settings.kernel, models_dir=places.models)
    return [Check(**check.model_dump()) for check in found]


def _disk(places: Places) -> Check:
    free = shutil.disk_usage(places.cache).free // 2**20
    remedy = f"{DISK_WANTED_MB} MB are wanted for weights and workspaces."
    good = free >= DISK_WANTED_MB
    return Check(name="disk", ok=good, detail=f"{free} MB free at {places.cache}", remedy="" if good else remedy)


def _memory() -> Check:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    good = total >= MEMORY_WANTED_MB
    remedy = "" if good else "Use the smallest model (`ouro model list`)."
    return Check(name="memory", ok=good, detail=f"{total} MB", remedy=remedy)


def _watches() -> Check:
    try:
        limit = int(Path("/proc/sys/fs/inotify/max_user_watches").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return Check(name="inotify", ok=False, detail="its limits cannot be read", remedy="Files are polled instead.")
    good = limit >= WATCHES_WANTED
    remedy = "" if good else "sysctl fs.inotify.max_user_watches=524288"
    return Check(name="inotify", ok=good, detail=f"{limit} watches", remedy=remedy)
