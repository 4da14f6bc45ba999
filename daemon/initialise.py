"""``ouro init``: what it writes, and nothing else. Running it again changes nothing that is there."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from daemon.places import make_folders
from ledger.errors import ConfigError
from ledger.places import Places

CONFIG = """\
# What this repository asks of Ouroboros. Here settings can only be made stricter than the owner's own
# (~/.config/ouroboros/config.toml); docs/settings.md lists all and says which may stand here.

# [pipeline]
# protected_paths = ["migrations"]   # never touched
# core_paths = ["src/core"]          # shown for a moment before a change is applied

# [changes]
# mode = "review"                    # commits go to a review branch only
"""
IGNORE = "*\n!.gitignore\n!config.toml\n"
HOOK_MARK = "# ouroboros wake-up"
HOOK = """#!/bin/sh
{mark}
# Tells the daemon that a commit was made; it never fails the commit.
echo '{{"kind": "commit"}}' > {file} 2>/dev/null || true
"""
WAKEUP_MODULE = "_ouro_wakeup.py"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was done, or was not needed or wanted."""

    path: Path
    done: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the owner asked for. ``plugin`` None means: ask, if there is somebody to ask."""

    plugin: bool | None = None
    hook: bool = False


def initialise(
    places: Places,
    *,
    make_keys: Callable[[], Path],
    site_packages: Path | None,
    wishes: Wishes,
    ask: Callable[[str], bool] | None,
) -> tuple[Step, ...]:
    """Write configuration and keys; the wake-up and the hook only when they are wanted.

    ``site_packages`` is that of the repository's test environment (None: there is none). ``ask`` puts a yes-or-no
    question to the owner; None without a terminal, and then the answer is no.
    """
    make_folders(places)
    folder = places.repo / ".ouro"
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ConfigError(f"{folder} is not a folder.", remedy="Move it away and run `ouro init` again.")
    folder.mkdir(exist_ok=True)
    steps = [
        _write_new(folder / "config.toml", CONFIG, "settings that can only tighten, all commented out"),
        _write_new(folder / ".gitignore", IGNORE, "keeps everything else in .ouro out of git"),
        _keys(places, make_keys),
        _wakeup(places, site_packages, wishes, ask),
    ]
    if wishes.hook:
        steps.append(_hook(places))
    return tuple(steps)


def wakeup_lines(places: Places) -> str:
    """The ``.pth`` file of one repository: a single line of Python, in ASCII whatever the paths hold."""
    return f"import _ouro_wakeup; _ouro_wakeup.arm({str(places.repo)!a}, {str(places.spool)!a})\n"


def _write_new(path: Path, text: str, what: str) -> Step:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except FileExistsError:
        return Step(path, False, "is there already, left as it is")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return Step(path, True, what)


def _keys(places: Places, make_keys: Callable[[], Path]) -> Step:
    before = set(places.keys.iterdir())
    path = make_keys()
    made = bool(set(places.keys.iterdir()) - before)
    return Step(path, made, "the daemon's signing key" if made else "the signing key is there already")


def _wakeup(places: Places, site_packages: Path | None, wishes: Wishes, ask: Callable[[str], bool] | None) -> Step:
    if site_packages is None:
        return Step(places.repo, False, "no test environment was found, so no pytest wake-up")
    pth = site_packages / f"ouro-wakeup-{places.repo_id}.pth"
    wanted = wishes.plugin
    if wanted is None and ask is None and not _same(pth, wakeup_lines(places)):
        return Step(pth, False, "no pytest wake-up: there was nobody to ask; `ouro init --yes` adds it")
    if wanted is None and not _same(pth, wakeup_lines(places)):
        question = f"Add the pytest wake-up to {site_packages} (one module, one .pth file; it only tells the daemon)?"
        wanted = ask is not None and ask(question)
    if wanted is False:
        return Step(pth, False, "no pytest wake-up, as you wish: commits are seen all the same")
    module = resources.files("daemon.data").joinpath(WAKEUP_MODULE).read_text(encoding="utf-8")
    changed = [_put(site_packages / WAKEUP_MODULE, module), _put(pth, wakeup_lines(places))]
    return Step(pth, any(changed), "the pytest wake-up" if any(changed) else "the pytest wake-up is there already")


def _same(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _put(path: Path, text: str) -> bool:
    """Write a file of ours whole, or leave it when it is right. True when it was written."""
    if _same(path, text):
        return False
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise ConfigError(
            f"The pytest wake-up cannot be written to {path}: {error.strerror}.",
            remedy="Run `ouro init --no-plugin`, or use an environment that you can write to.",
        ) from error
    return True


def _hook(places: Places) -> Step:
    path = places.common_dir / "hooks" / "post-commit"
    if path.exists():
        ours = HOOK_MARK in path.read_text(encoding="utf-8", errors="replace")
        return Step(path, False, "is there already" if ours else "is yours and stays as it is: add the line yourself")
    path.parent.mkdir(exist_ok=True)
    file = places.spool / "post-commit.json"
    path.write_text(HOOK.format(mark=HOOK_MARK, file=_quoted(file)), encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
    return Step(path, True, "the post-commit hook")


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "'\\''") + "'"
