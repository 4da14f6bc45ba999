"""Detection of the repository's test environment: interpreter, readable folders, import roots.

An environment is used only when the repository did not write it, which is checked again before each run.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ledger.places import HostEnv, Places
from tools.git import Git
from tools.sandbox.types import Mount
from tools.testing.environment import interpreter, layout
from tools.testing.environment.guard import Guard
from tools.testing.environment.interpreter import Interpreter
from tools.testing.environment.mounts import outside_mounts
from tools.testing.environment.ownership import Origin, checkouts
from tools.testing.settings import TestSettings
from tools.whereabouts import escape_path, is_folder, way

OLDEST = (3, 9)
_SAFE_PATH = (3, 11)  # from here on ``-P`` exists
_SYSTEM = Path("/usr")  # every sandbox shows it


@dataclass(frozen=True, slots=True, kw_only=True)
class TestEnvironment:
    """How this repository's tests are started. When ``problem`` is set (a sentence and a remedy) nothing can run.

    ``mounts`` are read-only, with targets below the checkout's path where they belong to it; ``needs`` are relative
    paths of those that a sandbox without mounts needs inside the copy. ``passed_over``: why environments were not used.
    """

    __test__ = False

    python: Path
    argv: tuple[str, ...]
    mounts: tuple[Mount, ...]
    roots: tuple[str, ...]
    version: tuple[int, int]
    pytest: str | None
    problem: str | None
    prefix: Path = Path("/")
    needs: tuple[str, ...] = ()
    passed_over: tuple[str, ...] = ()
    guard: Guard | None = field(default=None, repr=False, compare=False)

    def trouble(self) -> str | None:
        """Why nothing may run at this moment, one sentence (blocking, a millisecond where nothing has changed)."""
        return self.problem or (self.guard.trouble() if self.guard is not None else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """The chosen interpreter, and the path by which it was found."""

    found: Interpreter
    named: Path


async def detect(places: Places, settings: TestSettings, env: HostEnv) -> TestEnvironment:
    """Find the interpreter and command that run this repository's tests; never the daemon's own environment.

    Order: the owner's setting, the repository's environments on disk, ``python3`` on the search path.
    """
    return await asyncio.to_thread(_detect, places, settings, env)


def _detect(places: Places, settings: TestSettings, env: HostEnv) -> TestEnvironment:
    git = Git(places, env)
    origin = Origin(git)
    refused: list[str] = []
    if settings.python is not None:
        taken = _named(settings.python, places, settings, env, origin)
    else:
        taken = _search(places, settings, env, origin, refused)
    if isinstance(taken, str):
        return _missing(taken, refused)
    return _describe(git, places, settings, taken, origin, refused)


def _named(setting: str, places: Places, settings: TestSettings, env: HostEnv, origin: Origin) -> _Taken | str:
    """The interpreter of the owner's setting, or why it is not used."""
    place = interpreter.place_of(setting, places)
    if not os.path.lexists(place):
        return f"The interpreter {setting!r} (setting tests.python) does not work. Correct the setting."
    found = interpreter.find_named(setting, places, env, settings.probe_s, origin)
    named = place if found is not None and os.path.realpath(place) == str(found.prefix) else place.parent.parent
    why = _why_untrusted(origin, named, found)
    if why is not None:
        return f"The interpreter {setting!r} (setting tests.python) is not used: {why}. Correct the setting."
    if found is None:
        return f"The interpreter {setting!r} (setting tests.python) does not work. Correct the setting."
    return _Taken(found=found, named=named)


def _search(places: Places, settings: TestSettings, env: HostEnv, origin: Origin, refused: list[str]) -> _Taken | str:
    """The best environment of the repository, else the search path's. ``refused`` gets a sentence for each other."""
    own: list[_Taken] = []
    for folder in interpreter.of_project(places):
        why = _why_untrusted(origin, folder, None)
        found = interpreter.read_environment(folder) if why is None else None
        why = why or _why_untrusted(origin, folder, found)
        if why is not None:
            refused.append(_not_taken(folder, why))
        elif found is not None:
            own.append(_Taken(found=found, named=folder))
            if found.pytest:
                return own[-1]
    if own or refused:  # if the repository has one, no other Python is right
        return own[0] if own else refused[0]
    for found in interpreter.on_path(places, env, settings.probe_s, origin):
        why = _why_untrusted(origin, found.prefix, found)
        if why is None:
            return _Taken(found=found, named=found.prefix)
        refused.append(_not_taken(found.prefix, why))
    return (
        refused[0]
        if refused
        else "No Python was found for the tests: no .venv in the repository, no python3 on PATH. "
        "Make one: `python3 -m venv .venv && .venv/bin/pip install pytest`."
    )


def _not_taken(folder: Path, why: str) -> str:
    return (
        f"The environment {str(folder)!r} is not used for tests, because the repository decides what is in it: {why}. "
        "Take that out of git and create the environment again, or name another one in the setting tests.python."
    )


def _why_untrusted(origin: Origin, named: Path, found: Interpreter | None) -> str | None:
    """Why the repository, not this machine's owner, wrote an environment; a clause."""
    places = [named]
    if found is not None:
        lib = found.prefix / "lib"
        places += [found.prefix / "bin", found.python, lib, lib / f"python{found.version[0]}.{found.version[1]}"]
        places += [found.prefix / "pyvenv.cfg", *found.sites]
    return next((why for place in places if (why := origin.carries(place)) is not None), None)


def _describe(
    git: Git, places: Places, settings: TestSettings, taken: _Taken, origin: Origin, refused: list[str]
) -> TestEnvironment:
    found = taken.found
    shown = outside_mounts(found, places, settings.readable, origin)
    needs = tuple(path for path in layout.ignored_needs(git) if _stays_inside(places, path))
    mounts = [
        *shown.mounts,
        *(Mount(source=places.repo / path, target=places.repo / path, closed=True) for path in needs),
    ]
    flags = ("-P",) if found.version >= _SAFE_PATH else ()
    return TestEnvironment(
        python=found.python,
        argv=(str(found.python), *flags),
        mounts=tuple(mounts),
        roots=settings.import_roots or layout.import_roots(places.repo, found.linked),
        version=found.version,
        pytest=found.pytest,
        problem=_too_old(found) or shown.problem or _without_pytest(found),
        prefix=found.prefix,
        needs=needs,
        passed_over=tuple(refused),
        guard=_guard(git, places, settings, taken, shown.mounts, needs),
    )


def _guard(
    git: Git, places: Places, settings: TestSettings, taken: _Taken, mounts: tuple[Mount, ...], needs: tuple[str, ...]
) -> Guard:
    """A guard that repeats for this environment all checks of the detection."""
    found = taken.found
    named = os.path.realpath(taken.named)
    is_read = found.python == found.prefix / "bin/python"

    def look() -> str | None:
        origin = Origin(git)
        why = _why_untrusted(origin, taken.named, found)
        if why is not None:
            return _not_taken(taken.named, why)
        now = interpreter.read_environment(found.prefix) if is_read else found
        shown = outside_mounts(now, places, settings.readable, origin) if now is not None else None
        if shown is not None and shown.problem is not None:
            return shown.problem
        same = now is not None and (now.python, now.version) == (found.python, found.version)
        if not same or shown is None or shown.mounts != mounts or os.path.realpath(taken.named) != named:
            return (
                f"The tests' environment {str(taken.named)!r} is not what it was when it was found. Look at it, then "
                "start Ouroboros again, which takes it as it is."
            )
        lost = next((path for path in needs if not _stays_inside(places, path)), None)
        if lost is None:
            return None
        return f"The ignored file {lost!r}, which tests need, leads out of the work tree now. Put a plain file there."

    readable = [interpreter.place_of(name, places) for name in settings.readable]
    return Guard(look=look, files=_files(git, taken), steps=_steps(taken, readable))


def _steps(taken: _Taken, readable: Iterable[Path]) -> Iterator[str]:
    """Every folder and link on the way to an environment, to its parts and to the folders that the owner names."""
    found = taken.found
    lib = found.prefix / "lib" / f"python{found.version[0]}.{found.version[1]}"
    for path in (taken.named, found.python, lib, found.prefix / "bin", *found.sites, *readable):
        try:
            yield from way(path)
        except (OSError, ValueError):
            yield str(path)


def _files(git: Git, taken: _Taken) -> Iterator[Path]:
    """Files whose content determines who wrote an environment and which folders are mounted for it."""
    found = taken.found
    yield from (checkout.index for checkout in checkouts(git.places))
    yield git.places.common_dir / "worktrees"
    yield from (found.prefix, found.prefix / "pyvenv.cfg", found.prefix / "lib", *found.sites)
    yield from interpreter.path_files(found.sites)
    yield from (folder / ".git" for folder in found.prefix.parents if folder.is_relative_to(git.places.repo))


def _stays_inside(places: Places, path: str) -> bool:
    """Whether an ignored file is in the work tree, also where it is a link: not outside, and no git folder or above."""
    real = Path(os.path.realpath(places.repo / path))
    of_git = (places.repo / ".git", places.git_dir, places.common_dir)
    return real.is_relative_to(places.repo) and not any(
        real.is_relative_to(folder) or folder.is_relative_to(real) for folder in of_git
    )


def _too_old(found: Interpreter) -> str | None:
    if found.version >= OLDEST:
        return None
    return (
        f"{escape_path(found.python)} is Python {found.version[0]}.{found.version[1]}; tests need "
        f"{OLDEST[0]}.{OLDEST[1]} or newer. "
        "Make a newer environment: `python3 -m venv .venv && .venv/bin/pip install pytest`."
    )


def _without_pytest(found: Interpreter) -> str | None:
    if found.pytest is not None:
        return None
    has_pip = any(is_folder(site / "pip") for site in found.sites)
    python = escape_path(found.python)
    install = f"{python} -m pip install pytest" if has_pip else f"uv pip install --python {python} pytest"
    if found.prefix == _SYSTEM:
        install = "python3 -m venv .venv && .venv/bin/pip install pytest"
    return f"pytest is not installed for {python}. Install it: `{install}`."


def _missing(problem: str, refused: Iterable[str]) -> TestEnvironment:
    return TestEnvironment(
        python=Path("python3"),
        argv=(),
        mounts=(),
        roots=(".",),
        version=(0, 0),
        pytest=None,
        problem=problem,
        passed_over=tuple(refused),
    )
