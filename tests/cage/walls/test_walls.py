"""Every attack from outside: stopped by its wall, on both back ends, as root and as an ordinary user; and it works
where the wall is taken away."""

from __future__ import annotations

import importlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
SOMEBODY = 12345
HERE = "root" if os.geteuid() == 0 else "ordinary"
LONGEST_S = 600


def plays() -> Iterator[object]:
    for file in sorted(Path(__file__).parent.glob("f[0-9][0-9]_*.py")):
        module = importlib.import_module(f"tests.cage.walls.{file.stem}")
        backends = getattr(module, "BACKENDS", ("bwrap", "landlock"))
        users = [HERE if user == "anybody" else user for user in getattr(module, "USERS", ("root", "ordinary"))]
        for backend, user in itertools.product(backends, users):
            each_once = HERE != "root" or backends.index(backend) == users.index(user)
            marks = [] if each_once or not hasattr(module, "BEFORE_THE_SANDBOX") else [pytest.mark.long]
            yield pytest.param(file.stem, backend, user, id=f"{file.stem}-{backend}-{user}", marks=marks)


@pytest.fixture
def base(user: str) -> Iterator[Path]:
    """An empty folder of the user who plays."""
    folder = Path(tempfile.mkdtemp(prefix="ob-"))
    if user != HERE:
        os.chown(folder, SOMEBODY, SOMEBODY)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def play(name: str, base: Path, backend: str, user: str) -> dict[str, list[str]]:
    """What got through, with the wall (``walls``) and without (``none``). Skips, saying why, where it cannot be."""
    if backend == "bwrap" and shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed (apt install bubblewrap): this attack is NOT tried behind it")
    if user == "root" and HERE != "root":
        pytest.skip("not root: this attack is NOT tried as root")
    env = {"PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(base), "LANG": "C.UTF-8"}
    argv = ["-m", "tests.cage.walls", name, str(base), backend]
    who: dict[str, object] = {}
    programs = [sys.executable]
    if user != HERE:
        who = {"user": SOMEBODY, "group": SOMEBODY, "extra_groups": []}
        env["PYTHONPATH"] = f"{ROOT}:{sysconfig.get_paths()['purelib']}"
        own = f"python{sys.version_info.major}.{sys.version_info.minor}"
        programs += [found for found in (shutil.which(own, path=os.defpath),) if found]
    for program in programs:
        try:
            done = subprocess.run(
                [program, *argv],
                cwd=ROOT,
                env=env,
                capture_output=True,
                text=True,
                timeout=LONGEST_S,
                check=False,
                **who,
            )  # type: ignore[call-overload]  # a dict of keyword options
        except PermissionError:
            continue
        if user != HERE and done.returncode != 0 and "ModuleNotFoundError" in done.stderr:
            continue
        assert done.returncode == 0, done.stdout + done.stderr
        told: dict[str, list[str]] = json.loads(done.stdout.splitlines()[-1])
        if "unable" in told:
            pytest.skip(str(told["unable"]))
        return told
    pytest.skip("no interpreter here that an ordinary user may run: this attack is NOT tried as one")


@pytest.mark.parametrize(("name", "backend", "user"), list(plays()))
def test_the_wall_holds_and_the_attack_works_without_it(name: str, backend: str, user: str, base: Path) -> None:
    through = play(name, base, backend, user)
    assert through["walls"] == [], "this got through"
    assert through["none"], "the trap proves nothing: it does not work without the wall either"
