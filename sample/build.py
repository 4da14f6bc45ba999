"""Build the sample repository fresh, and plant bugs in it. Standard library only.

python sample/build.py FOLDER            a repository whose tests are green
python sample/build.py FOLDER --bug N    plant bug N as a commit in an existing one (made when there is none)
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
OWNER = {"GIT_AUTHOR_NAME": "Sam Owner", "GIT_AUTHOR_EMAIL": "sam@example.org"}
OWNER |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in OWNER.items()}


def git(repo: Path, *args: str) -> str:
    """Run git in ``repo``; returns stripped output. Raises ``CalledProcessError``."""
    done = subprocess.run(
        ["git", *args], cwd=repo, env={**os.environ, **OWNER}, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def bugs() -> list[dict[str, str]]:
    """All bugs, in order of their number."""
    return sorted(tomllib.loads((HERE / "bugs.toml").read_text())["bug"], key=lambda bug: bug["number"])


def build(folder: Path) -> Path:
    """A fresh repository on branch ``main``; ``folder`` may hold a ``.venv`` and nothing else."""
    if folder.exists() and any(child.name != ".venv" for child in folder.iterdir()):
        raise SystemExit(f"{folder} is not empty; choose another folder.")
    shutil.copytree(HERE / "project", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    git(folder, "init", "-q", "-b", "main")
    git(folder, "config", "user.name", OWNER["GIT_AUTHOR_NAME"])
    git(folder, "config", "user.email", OWNER["GIT_AUTHOR_EMAIL"])
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "An order desk with its tests")
    return folder


def plant(repo: Path, number: int) -> str:
    """Commit bug ``number`` on top of what is checked out; returns its title."""
    bug = next((b for b in bugs() if b["number"] == number), None)
    if bug is None:
        raise SystemExit(f"There is no bug {number}; they are 1 to {len(bugs())}.")
    path = repo / bug["file"]
    source = path.read_text()
    if source.count(bug["old"]) != 1:
        raise SystemExit(f"Bug {number} does not fit {bug['file']} as it stands.")
    path.write_text(source.replace(bug["old"], bug["new"]))
    git(repo, "commit", "-q", "-m", bug["title"], "--", bug["file"])
    return f"{bug['title']} ({bug['kind']})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bug", type=int)
    args = parser.parse_args()
    if not (args.folder / ".git").exists():
        build(args.folder)
    if args.bug is not None:
        print(plant(args.folder, args.bug))
    return 0


if __name__ == "__main__":
    sys.exit(main())
