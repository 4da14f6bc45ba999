"""The packages: fetched, unpacked, made into a repository whose tests run, and those tests run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

HERE = Path(__file__).resolve().parent
NEEDED = ("pytest==9.1.0", "hypothesis", "pytest-mock", "freezegun", "coverage", "PyYAML", "six")
UNWANTED = ("docs", "doc", "*.egg-info", ".github", "dev", "conftest_docs.py", "versioneer.py", "__pycache__")
TEST_S, COVERED_S = 60, 300


@dataclass(frozen=True, slots=True)
class Package:
    name: str
    version: str
    half: str
    code: tuple[str, ...]
    tests: tuple[str, ...]


def packages() -> tuple[int, list[Package]]:
    """The seed, and every package."""
    data = tomllib.loads((HERE / "packages.toml").read_text())
    return data["seed"], [
        Package(p["name"], p["version"], p["half"], tuple(p["code"]), tuple(p["tests"])) for p in data["package"]
    ]


def environment(folder: Path) -> Path:
    """The interpreter that runs the tests, with what they need and none of the packages themselves."""
    python = folder / ".venv/bin/python"
    if not python.exists():
        venv.create(folder / ".venv", with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *NEEDED], check=True)
    return python


def fetch(package: Package, folder: Path) -> Path:
    """The package's source distribution as a folder that is ready to be copied; fetched once."""
    place = folder / ".sources" / f"{package.name}-{package.version}"
    if place.exists():
        return place
    loads = folder / ".sources/loads"
    loads.mkdir(parents=True, exist_ok=True)
    what = f"{package.name}=={package.version}"
    fetching = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", ":all:", "-d", loads, what]
    subprocess.run(fetching, check=True)
    stem = package.name.replace("-", "_")
    (archive,) = [p for p in loads.iterdir() if p.name.replace("-", "_").startswith(f"{stem}_{package.version}.tar")]
    with tarfile.open(archive) as tar:
        tar.extractall(loads / "open", filter="data")
    (root,) = (loads / "open").iterdir()
    shutil.copytree(root, place, ignore=shutil.ignore_patterns(*UNWANTED))
    shutil.rmtree(loads / "open")
    for config in ("tox.ini", ".pytest.ini", "setup.cfg"):
        (place / config).unlink(missing_ok=True)
    (place / "pytest.ini").write_text(settings(package))
    return place


def settings(package: Package) -> str:
    """Every repository has the same few settings: options of the packages' own ask for plugins that nobody needs here."""
    roots = sorted({"src" if path.startswith("src/") else "." for path in package.code})
    files = sorted({"test*.py", *(Path(path).name for path in package.tests if path.endswith(".py"))})
    return (
        "[pytest]\n"
        f"testpaths = {' '.join(package.tests)}\n"
        f"pythonpath = {' '.join(roots)}\n"
        f"python_files = {' '.join(files)}\n"
        "filterwarnings =\n    default\n"
    )


def sources(package: Package, root: Path) -> Iterator[Path]:
    """Files that faults may be planted in, relative."""
    for path in package.code:
        for file in sorted((root / path).rglob("*.py")) if (root / path).is_dir() else [root / path]:
            relative = file.relative_to(root)
            if not any(relative.is_relative_to(tests) for tests in package.tests):
                yield relative


@dataclass(frozen=True, slots=True)
class Ran:
    """Test functions (``file::Class::function``, without parameters) by how they ended; None: no end in time."""

    passed: frozenset[str]
    red: frozenset[str]


def run(python: Path, repo: Path, *options: str, coverage: bool = False) -> Ran | None:
    """The repository's tests; None when they do not end or cannot be collected."""
    report = repo.parent / f"{repo.name}.xml"
    report.unlink(missing_ok=True)
    words = ["-m", "coverage", "run"] if coverage else []
    argv = [python, *words, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=no", f"--junitxml={report}", *options]
    env = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(repo.parent)}
    try:
        subprocess.run(
            argv,
            cwd=repo,
            env=env,
            capture_output=True,
            timeout=COVERED_S if coverage else TEST_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired:
        return None
    if not report.exists():
        return None
    passed, red = set(), set()
    for case in ElementTree.parse(report).iter("testcase"):
        if not case.get("classname"):  # a file that could not be collected
            return None
        bad = case.find("failure") is not None or case.find("error") is not None
        (red if bad else passed).add(identity(repo, case.get("classname", ""), case.get("name", "")))
    return Ran(frozenset(passed - red), frozenset(red))


def identity(repo: Path, classname: str, name: str) -> str:
    """From junit's words (``tests.test_a.TestB``, ``test_c[1]``) to ``tests/test_a.py::TestB::test_c``."""
    parts = classname.split(".")
    for count in range(len(parts), 0, -1):
        file = "/".join(parts[:count]) + ".py"
        if (repo / file).is_file():
            return "::".join([file, *parts[count:], name.partition("[")[0]])
    return "::".join([classname, name.partition("[")[0]])
