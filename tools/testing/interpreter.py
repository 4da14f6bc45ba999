"""Which Python environments are there, and what is in them.

An environment that may lie inside the repository is only *read* (``pyvenv.cfg``, folder names), never executed: a
repository could carry a hostile ``bin/python``. It runs in the sandbox or not at all. Interpreters on the search path,
and one that the owner named, are asked.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ledger.places import HostEnv, Places

_ASK = """\
import importlib.metadata as m, json, sys
try: pytest = m.version("pytest")
except m.PackageNotFoundError: pytest = None
sites = [p for p in sys.path if "-packages" in p]
print(json.dumps([sys.executable, sys.prefix, sys.base_prefix, list(sys.version_info[:2]), sites, pytest]))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """One Python. ``prefix`` is its environment, ``bases`` the installation below it, ``sites`` its package folders."""

    python: Path
    prefix: Path
    bases: tuple[Path, ...]
    version: tuple[int, int]
    sites: tuple[Path, ...]
    pytest: str | None

    @property
    def linked(self) -> tuple[Path, ...]:
        """Folders that ``.pth`` files put on the import path (editable installs, shared packages)."""
        return _linked(self.sites)


def read_environment(folder: Path) -> Interpreter | None:
    """What stands in an environment's folder, without running it; None when it is no working environment."""
    folder = folder.resolve()
    python = folder / "bin" / "python"
    if not python.exists():
        return None
    config = _pyvenv(folder)
    libs = sorted((folder / "lib").glob("python3.*"), key=_minor)
    version = _version(config.get("version_info") or config.get("version") or (libs[-1].name[6:] if libs else ""))
    if version is None:
        return None
    bases = [python.resolve().parent.parent]
    if "home" in config:
        bases.append(Path(config["home"]).parent)
    name = f"python{version[0]}.{version[1]}"
    sites = [folder / "lib" / name / "site-packages"]
    if config.get("include-system-site-packages", "").lower() == "true":
        sites += [base / "lib" / name / "site-packages" for base in bases]
        sites += [Path("/usr/lib/python3/dist-packages")]
    found = tuple(site for site in dict.fromkeys(sites) if site.is_dir())
    return Interpreter(
        python=python,
        prefix=folder,
        bases=tuple(dict.fromkeys(bases)),
        version=version,
        sites=found,
        pytest=_pytest_version((*found, *_linked(found))),
    )


def ask(python: Path, *, cwd: Path, env: HostEnv, timeout_s: float) -> Interpreter | None:
    """Run an interpreter that is not the repository's and have it describe itself; None when it cannot."""
    try:
        done = subprocess.run(
            [str(python), "-I", "-c", _ASK],
            capture_output=True, cwd=cwd, env=dict(env.variables), timeout=timeout_s, check=False,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        executable, prefix, base, version, sites, pytest = json.loads(done.stdout)
    except (OSError, subprocess.TimeoutExpired, ValueError):
        return None
    found = Interpreter(
        python=Path(executable),
        prefix=Path(prefix),
        bases=tuple(dict.fromkeys((Path(base), Path(executable).resolve().parent.parent))),
        version=(version[0], version[1]),
        sites=tuple(Path(site) for site in sites if Path(site).is_dir()),
        pytest=pytest,
    )
    return found if pytest else replace(found, pytest=_pytest_version((*found.sites, *found.linked)))


def named(setting: str, places: Places, env: HostEnv, timeout_s: float) -> Interpreter | None:
    """The interpreter or environment that the owner named; relative to the repository, ``~`` is the owner's home."""
    path = places.repo / Path(re.sub(r"^~(?=/|$)", str(places.home), setting))
    if path.is_dir():
        return read_environment(path)
    if not path.exists():
        return None
    environment = path.parent.parent
    if (environment / "pyvenv.cfg").is_file():
        return read_environment(environment)
    return ask(path, cwd=places.repo, env=env, timeout_s=timeout_s)


def of_project(places: Places) -> Iterator[Interpreter]:
    """The repository's own environments that exist on disk, best first: ``.venv``, ``venv``, poetry's, tox's, nox's."""
    folders = [places.repo / ".venv", places.repo / "venv", *_poetry(places)]
    folders += sorted((places.repo / ".tox").glob("py*")) + sorted((places.repo / ".nox").glob("*"))
    for folder in folders:
        found = read_environment(folder) if folder.is_dir() else None
        if found is not None:
            yield found


def on_path(places: Places, env: HostEnv, timeout_s: float) -> Interpreter | None:
    """The first ``python3`` of the search path that is not the daemon's own environment."""
    for name in ("python3", "python"):
        for folder in env.path.split(":"):
            python = Path(folder) / name
            if not folder.startswith("/") or not python.exists():
                continue
            inside = (python.parent.parent / "pyvenv.cfg").is_file()
            found = (
                read_environment(python.parent.parent)
                if inside
                else ask(python, cwd=places.repo, env=env, timeout_s=timeout_s)
            )
            if found is not None and not _is_daemons(found):
                return found
    return None


def _is_daemons(found: Interpreter) -> bool:
    return sys.prefix != sys.base_prefix and found.prefix.resolve() == Path(sys.prefix).resolve()


def _pyvenv(folder: Path) -> dict[str, str]:
    try:
        lines = (folder / "pyvenv.cfg").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip().lower(): value.strip() for key, _, value in pairs}


def _version(text: str) -> tuple[int, int] | None:
    found = re.match(r"(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2])) if found else None


def _minor(folder: Path) -> int:
    found = re.search(r"\.(\d+)", folder.name)
    return int(found[1]) if found else -1


def _pytest_version(sites: tuple[Path, ...]) -> str | None:
    for site in sites:
        for info in site.glob("pytest-*.dist-info"):
            found = re.fullmatch(r"pytest-([0-9][^-]*)\.dist-info", info.name)
            if found:
                return found[1]
    return None


def _linked(sites: tuple[Path, ...]) -> tuple[Path, ...]:
    found: list[Path] = []
    for site in sites:
        for file in sorted(site.glob("*.pth")):
            try:
                lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
            except OSError:
                continue
            paths = (site / line.strip() for line in lines if line.strip() and not line.startswith(("#", "import ")))
            found += [path for path in paths if path.is_dir()]
    return tuple(dict.fromkeys(found))


def _poetry(places: Places) -> tuple[Path, ...]:
    """Where poetry keeps this project's environments: cache folder, name, and a hash of the project's path."""
    try:
        project = tomllib.loads((places.repo / "pyproject.toml").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ()
    tool = project.get("tool", {}).get("poetry")
    name = (tool or {}).get("name") or project.get("project", {}).get("name")
    if not isinstance(name, str) or (tool is None and not (places.repo / "poetry.lock").is_file()):
        return ()
    clean = re.sub(r'[ $`!*@"\\\r\n\t]', "_", name.lower())[:42]
    digest = base64.urlsafe_b64encode(hashlib.sha256(str(places.repo).encode()).digest()).decode()[:8]
    return tuple(sorted((places.home / ".cache/pypoetry/virtualenvs").glob(f"{clean}-{digest}-py3*"), reverse=True))
