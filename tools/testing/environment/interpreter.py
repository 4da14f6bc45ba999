"""Python interpreters and environments on this machine.

An environment is only *read* (``pyvenv.cfg``, names of folders), never executed outside the sandbox. An interpreter
that belongs to no environment (on the search path, or named by the owner) is run to describe itself, but never one that
is in the repository or reached through it, and without loading installed packages: a ``.pth`` may put the repository on
the import path.
"""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import os
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ledger import children
from ledger.errors import ChildFailed
from ledger.paths import read_text
from ledger.places import HostEnv, Places
from ledger.vocabulary import Frozen
from tools.testing.environment.layout import project_file, table
from tools.testing.environment.ownership import Origin
from tools.whereabouts import is_file, is_folder

_ASK = """\
import json, site, sys
said = {"executable": sys.executable, "base": sys.base_prefix, "version": sys.version_info[:2]}
print(json.dumps({**said, "sites": site.getsitepackages()}))
"""
_ALONE = ("-I", "-S")  # no variable, no folder of packages: a .pth there may put the repository on the import path
_ANYWHERE = Path("/")  # a program on the search path may look into the folder that it is started in
_PYTEST = re.compile(r"pytest-([0-9][^-]*)\.(?:dist|egg)-info")
_MOST_FILES = 1000  # path files of one folder that are read
_MOST_FOLDERS = 1000  # that they name
_MOST_LINKS = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """One Python. ``prefix`` is its environment, ``sites`` its package folders.

    ``bases`` are the installation that its program really lies in, first by its real path, then by each other path that
    leads there. ``home`` is what ``pyvenv.cfg`` names as such: a claim.
    """

    python: Path
    prefix: Path
    bases: tuple[Path, ...]
    version: tuple[int, int]
    sites: tuple[Path, ...]
    pytest: str | None
    home: Path | None = None

    @property
    def linked(self) -> tuple[Path, ...]:
        """Folders that ``.pth`` files put on the import path (editable installs, shared packages)."""
        return _linked(self.sites)


class _InterpreterFacts(Frozen):
    """Self-description of an interpreter."""

    executable: str
    base: str
    version: tuple[int, int]
    sites: tuple[str, ...]


def read_environment(folder: Path) -> Interpreter | None:
    """The environment in a folder, without running it; None when it is not a working one."""
    folder = Path(os.path.realpath(folder))
    python = folder / "bin" / "python"
    if not os.path.exists(python):  # noqa: PTH110 - no error for bad names
        return None
    config = _pyvenv(folder)
    libs = sorted(_listed(folder / "lib", "python3.*"), key=_minor)
    version = _version(config.get("version_info") or config.get("version") or (libs[-1].name[6:] if libs else ""))
    if version is None:
        return None
    home = (
        Path(config["home"]).parent if config.get("home", "").startswith("/") and "\0" not in config["home"] else None
    )
    bases = _bases(python, home)
    name = f"python{version[0]}.{version[1]}"
    sites = [folder / "lib" / name / "site-packages"]
    if config.get("include-system-site-packages", "").lower() == "true":
        sites += [base / "lib" / name / "site-packages" for base in bases]
        sites += [Path("/usr/lib/python3/dist-packages")]
    found = tuple(site for site in dict.fromkeys(sites) if is_folder(site))
    return Interpreter(
        python=python,
        prefix=folder,
        bases=bases,
        version=version,
        sites=found,
        pytest=_pytest_version((*found, *_linked(found))),
        home=home,
    )


def ask(python: Path, *, cwd: Path, env: HostEnv, timeout_s: float) -> Interpreter | None:
    """Run an interpreter that is not the repository's and have it describe itself; None when it cannot.

    Nothing that is installed for it is loaded.
    """
    try:
        done = children.ask((str(python), *_ALONE, "-c", _ASK), cwd=cwd, env=env.variables, timeout_s=timeout_s)
        said = _InterpreterFacts.model_validate_json(done.out)
    except (OSError, ChildFailed, ValueError):
        return None
    executable, base = Path(said.executable), Path(said.base)
    if not (executable.is_absolute() and base.is_absolute()):
        return None
    if os.path.lexists(executable.parent.parent / "pyvenv.cfg"):
        return read_environment(executable.parent.parent)
    sites = tuple(Path(site) for site in said.sites if is_folder(site))
    return Interpreter(
        python=Path(os.path.realpath(executable)),  # a link to it may be where nothing is mounted
        prefix=base,
        bases=_bases(executable, base),
        version=said.version,
        sites=sites,
        pytest=_pytest_version((*sites, *_linked(sites))),
    )


def find_named(setting: str, places: Places, env: HostEnv, timeout_s: float, origin: Origin) -> Interpreter | None:
    """The interpreter or environment that the owner named; relative to the repository, ``~`` is the owner's home."""
    path = place_of(setting, places)
    if is_folder(path):
        return read_environment(path)
    return _one(path, env, timeout_s, origin) if os.path.exists(path) else None  # noqa: PTH110 - no error for bad names


def place_of(setting: str, places: Places) -> Path:
    """Absolute path of a setting: relative to the repository, ``~`` is the owner's home."""
    return places.repo / Path(re.sub(r"^~(?=/|$)", lambda _: str(places.home), setting))


def of_project(places: Places) -> Iterator[Path]:
    """Folders of the repository's own environments, best first: ``.venv``, ``venv``, poetry's, tox's, nox's."""
    folders = [places.repo / ".venv", places.repo / "venv", *_poetry(places)]
    folders += sorted(_listed(places.repo / ".tox", "py*")) + sorted(_listed(places.repo / ".nox", "*"))
    return (folder for folder in folders if os.path.lexists(folder / "bin/python"))


def on_path(places: Places, env: HostEnv, timeout_s: float, origin: Origin) -> Iterator[Interpreter]:
    """Each ``python3`` of the search path that is not the daemon's own environment."""
    for name in ("python3", "python"):
        for folder in env.path.split(":"):
            python = Path(folder) / name
            if not folder.startswith("/") or not os.path.exists(python):  # noqa: PTH110 - no error for bad names
                continue
            found = _one(python, env, timeout_s, origin)
            if found is not None and not _is_daemons(found):
                yield found


def _one(python: Path, env: HostEnv, timeout_s: float, origin: Origin) -> Interpreter | None:
    """Read an environment, else run the interpreter; one in the repository is never run."""
    environment = python.parent.parent
    if os.path.lexists(environment / "pyvenv.cfg") or origin.holds(python):
        return read_environment(environment)
    return ask(python, cwd=_ANYWHERE, env=env, timeout_s=timeout_s)


def _is_daemons(found: Interpreter) -> bool:
    return sys.prefix != sys.base_prefix and os.path.realpath(found.prefix) == os.path.realpath(sys.prefix)


def _bases(python: Path, home: Path | None) -> tuple[Path, ...]:
    """The installation folder of a program by its real path, and other paths to it in links and ``home``."""
    real = Path(os.path.realpath(python)).parent.parent
    spelt = [*(one.parent.parent for one in _spellings(python)), *([home] if home is not None else [])]
    return tuple(one for one in dict.fromkeys((real, *spelt)) if os.path.realpath(one) == str(real))


def _spellings(python: Path) -> Iterator[Path]:
    """The chain of links that leads to a program."""
    here = python
    for _ in range(_MOST_LINKS):
        yield here
        try:
            here = here.parent / here.readlink()
        except OSError:
            return


def _pyvenv(folder: Path) -> dict[str, str]:
    lines = (read_text(folder / "pyvenv.cfg") or "").splitlines()
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _version(text: str) -> tuple[int, int] | None:
    found = re.match(r"([0-9]{1,3})\.([0-9]{1,3})(?![0-9])", text)
    return (int(found[1]), int(found[2])) if found else None


def _minor(folder: Path) -> int:
    found = re.search(r"\.([0-9]{1,3})", folder.name)
    return int(found[1]) if found else -1


def _listed(folder: Path, pattern: str) -> list[Path]:
    """Entries of a folder that match ``pattern``; none where it cannot be read."""
    try:
        with os.scandir(folder) as entries:
            return [folder / entry.name for entry in entries if fnmatch.fnmatchcase(entry.name, pattern)]
    except (OSError, ValueError):
        return []


def _pytest_version(sites: Iterable[Path]) -> str | None:
    found = (_PYTEST.fullmatch(info.name) for site in sites for info in _listed(site, "pytest-*-info"))
    return next((match[1] for match in found if match), None)


def path_files(sites: Iterable[Path]) -> tuple[Path, ...]:
    """The files that lengthen the import path, in the order in which Python reads them."""
    return tuple(file for site in sites for file in sorted(_listed(site, "*.pth"))[:_MOST_FILES])


def _linked(sites: Iterable[Path]) -> tuple[Path, ...]:
    found: dict[str, None] = {}
    for file in path_files(sites):
        for line in (read_text(file) or "").splitlines():
            if line.strip() and not line.startswith(("#", "import ", "import\t")) and len(found) < _MOST_FOLDERS:
                found[os.path.join(file.parent, line.strip())] = None  # noqa: PTH118 - there may be very many
    return tuple(Path(path) for path in found if is_folder(path))


def _poetry(places: Places) -> tuple[Path, ...]:
    """Poetry's environments of this project: cache folder, name, and a hash of the project's path."""
    project = project_file(places.repo)
    tool = table(table(project, "tool"), "poetry")
    name = tool.get("name") or table(project, "project").get("name")
    if not isinstance(name, str) or (not tool and not is_file(places.repo / "poetry.lock")):
        return ()
    clean = re.sub(r'[ $`!*@"\\\r\n\t]', "_", name.lower())[:42]
    digest = base64.urlsafe_b64encode(hashlib.sha256(os.fsencode(places.repo)).digest()).decode()[:8]
    own = f"{clean}-{digest}-py3"
    folders = _listed(places.home / ".cache/pypoetry/virtualenvs", "*-py3*")
    return tuple(sorted((folder for folder in folders if folder.name.startswith(own)), reverse=True))
