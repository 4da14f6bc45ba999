"""Makes the virtual environment that `./try` and `./check` use. Standard library only, Python 3.11 or newer."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
CPU_INDEX = "https://download.pytorch.org/whl/cpu"


def say(text: str) -> None:
    print(text, flush=True)


def run(*argv: str | Path, check: bool = True, env: dict[str, str] | None = None) -> int:
    """Run a command in the project's folder with its output shown; ends the script when it fails."""
    code = subprocess.run([str(a) for a in argv], cwd=ROOT, env=env, check=False).returncode
    if check and code:
        raise SystemExit(f"`{' '.join(map(str, argv[:4]))} ...` ended with {code}.")
    return code


def python() -> Path:
    return VENV / "bin" / "python"


def stamp(extras: str) -> str:
    """Changes when what has to be installed changes."""
    files = [ROOT / "pyproject.toml", *sorted((ROOT / "constraints").glob("*.txt"))]
    content = b"".join(f.read_bytes() for f in files) + extras.encode() + sys.version.encode() + str(ROOT).encode()
    return hashlib.sha256(content).hexdigest()


def make(*, kernel: bool, dev: bool) -> None:
    """Create or refresh the environment. Pinned versions; CPU torch or none, never CUDA by accident."""
    if sys.version_info < (3, 11):  # noqa: UP036 - this file is what an older Python meets first
        raise SystemExit(f"Python 3.11 or newer is needed; this is {sys.version.split()[0]}.")
    extras = ",".join(name for name, wanted in (("kernel", kernel), ("mcp", dev), ("dev", dev)) if wanted)
    marker = VENV / f".installed-{'kernel' if kernel else 'core'}-{'dev' if dev else 'run'}"
    done = [m for m in VENV.glob(".installed-*") if m.read_text() == stamp("")]
    if any(("kernel" in m.name or not kernel) and ("dev" in m.name or not dev) for m in done):
        return
    if not python().exists():
        say("environment: making .venv ...")
        run(sys.executable, "-m", "venv", VENV)
    say(f"environment: installing{' the CPU kernel and' if kernel else ''} what is pinned in constraints/ (once) ...")
    constraints = ROOT / "constraints" / ("cpu.txt" if kernel else "core.txt")
    pip: list[str | Path] = [python(), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    if kernel and pip_finds_no_torch():
        code = run(*pip, "--retries", "1", "--no-deps", "--index-url", CPU_INDEX, *pinned_torch(), check=False)
        if code:
            raise SystemExit(
                f"The CPU build of torch ({pinned_torch()[0]}) is neither on the configured package index nor could it "
                "be had from PyTorch's own. Put its wheel in a folder and set PIP_FIND_LINKS to that folder."
            )
    run(*pip, "-c", constraints, "-e", f".[{extras}]" if extras else ".")
    for old in VENV.glob(".installed-*"):
        if old.read_text() != stamp(""):
            old.unlink()
    marker.write_text(stamp(""))


def pinned_torch() -> list[str]:
    """The line of the constraints that pins torch."""
    lines = (ROOT / "constraints" / "cpu.txt").read_text().splitlines()
    return [line for line in lines if line.startswith("torch==")]


def pip_finds_no_torch() -> bool:
    """True when the configured indexes have no CPU wheel, so that PyTorch's own index has to be asked."""
    argv = [str(python()), "-m", "pip", "install", "-q", "--dry-run", "--no-deps", "--retries", "0", *pinned_torch()]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, check=False).returncode != 0


def clean_environ(**more: str | Path) -> dict[str, str]:
    """This process's environment without what could lead Python or git astray, plus ``more``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "OURO_", "PYTHON"))}
    return kept | {name: str(value) for name, value in more.items()}
