"""The repository's own test environment: which interpreter, what it must be able to read, where imports begin."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ledger.errors import GitFailed
from ledger.places import HostEnv, Places
from tools.git import Git
from tools.sandbox.types import Mount
from tools.testing import interpreter, layout
from tools.testing.interpreter import Interpreter
from tools.testing.settings import TestSettings

OLDEST = (3, 9)
_SAFE_PATH = (3, 11)  # from here on ``-P`` exists
_SYSTEM = Path("/usr")  # every sandbox shows it


@dataclass(frozen=True, slots=True, kw_only=True)
class TestEnvironment:
    """How this repository's tests are started. When ``problem`` is set (a sentence and a remedy) nothing can run.

    ``mounts`` are read-only, with their targets below the checkout's own path where they belong to it; ``needs`` are
    those of them that a sandbox without mounts has to find inside the copy (relative paths).
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


async def detect(places: Places, settings: TestSettings, env: HostEnv) -> TestEnvironment:
    """Find the interpreter and command that run this repository's tests; never the daemon's own environment.

    Order: the owner's setting, the repository's environments on disk, ``python3`` on the search path.
    """
    return await asyncio.to_thread(_detect, places, settings, env)


def _detect(places: Places, settings: TestSettings, env: HostEnv) -> TestEnvironment:
    git = Git(places, env)
    if settings.python is not None:
        found = interpreter.named(settings.python, places, env, settings.probe_s)
        if found is None:
            return _missing(
                f"The interpreter {settings.python} (setting tests.python) does not work. Correct the setting."
            )
    else:
        own = [found for found in interpreter.of_project(places) if not _is_tracked(git, places, found.prefix)]
        found = next((one for one in own if one.pytest), own[0] if own else None)
        found = found or interpreter.on_path(places, env, settings.probe_s)
        if found is None:
            return _missing(
                "No Python was found for the tests: no .venv in the repository, no python3 on PATH. "
                "Make one: `python3 -m venv .venv && .venv/bin/pip install pytest`."
            )
    return _describe(git, places, settings, found)


def _describe(git: Git, places: Places, settings: TestSettings, found: Interpreter) -> TestEnvironment:
    needs = layout.ignored_needs(git)
    linked = found.linked
    outside = [folder for folder in linked if not folder.resolve().is_relative_to(places.repo)]
    folders = [found.prefix, *(base for base in found.bases if _is_installation(base, found.version))]
    folders += [site for site in found.sites if not site.is_relative_to(found.prefix)] + outside
    folders += [Path(path) for path in settings.readable]
    mounts = [Mount(source=folder, target=folder) for folder in _outermost(folders, places)]
    mounts += [Mount(source=places.repo / path, target=places.repo / path) for path in needs]
    flags = ("-P",) if found.version >= _SAFE_PATH else ()
    return TestEnvironment(
        python=found.python,
        argv=(str(found.python), *flags),
        mounts=tuple(mounts),
        roots=settings.import_roots or layout.import_roots(places.repo, linked),
        version=found.version,
        pytest=found.pytest,
        problem=_problem(found),
        prefix=found.prefix,
        needs=needs,
    )


def _problem(found: Interpreter) -> str | None:
    if found.version < OLDEST:
        return (
            f"{found.python} is Python {found.version[0]}.{found.version[1]}; tests need {OLDEST[0]}.{OLDEST[1]} or "
            "newer. Make a newer environment: `python3 -m venv .venv && .venv/bin/pip install pytest`."
        )
    if found.pytest is None:
        has_pip = any((site / "pip").is_dir() for site in found.sites)
        install = (
            f"{found.python} -m pip install pytest" if has_pip else f"uv pip install --python {found.python} pytest"
        )
        if found.prefix == _SYSTEM:
            install = "python3 -m venv .venv && .venv/bin/pip install pytest"
        return f"pytest is not installed for {found.python}. Install it: `{install}`."
    return None


def _missing(problem: str) -> TestEnvironment:
    return TestEnvironment(
        python=Path("python3"), argv=(), mounts=(), roots=(".",), version=(0, 0), pytest=None, problem=problem
    )


def _is_tracked(git: Git, places: Places, prefix: Path) -> bool:
    """Whether the repository itself carries this environment: then it is an author's word, not this machine's."""
    if not prefix.is_relative_to(places.repo):
        return False
    name = prefix.relative_to(places.repo).as_posix()
    try:
        return bool(git.run("ls-files", "-z", "--", f"{name}/pyvenv.cfg", f"{name}/bin").fields)
    except GitFailed:
        return True


def _is_installation(base: Path, version: tuple[int, int]) -> bool:
    return (base / "lib" / f"python{version[0]}.{version[1]}" / "os.py").is_file()


def _outermost(folders: Iterable[Path], places: Places) -> list[Path]:
    """Each folder once, without those that another one (or the system's tree) already shows, or that show too much."""
    too_much = (places.home, places.repo)
    kept: list[Path] = []
    for folder in dict.fromkeys(folders):
        if folder.is_relative_to(_SYSTEM) or not folder.exists() or any(p.is_relative_to(folder) for p in too_much):
            continue
        if not any(folder.is_relative_to(other) for other in kept):
            kept.append(folder)
    return kept
