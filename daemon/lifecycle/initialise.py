"""``ouro init``: creates the folders, settings, keys and token of a repository. Existing files are left as they are."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from daemon.control import token
from daemon.lifecycle import wakeup
from daemon.settings.places import make_folders
from ledger.errors import ConfigError
from ledger.places import Places

CONFIG = """\
# Settings of this repository for Ouroboros. They can only be stricter than the owner's own
# (~/.config/ouroboros/config.toml); docs/settings.md lists all, and which are allowed here.

# [pipeline]
# protected_paths = ["migrations"]   # never touched
# core_paths = ["src/core"]          # shown for a moment before a change is applied

# [changes]
# mode = "review"                    # commits go to a review branch only
"""
IGNORE = "*\n!.gitignore\n!config.toml\n!backlog.toml\n!backlog.md\n!goals.toml\n"


@dataclass(frozen=True, slots=True)
class InitStep:
    """One step of ``ouro init``: what it wrote at ``path``, or why it wrote nothing."""

    path: Path
    done: bool
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InitOptions:
    """The options of ``ouro init``. ``plugin``: install the pytest wake-up; None: ask, if there is a terminal."""

    plugin: bool | None = None


def initialise(
    places: Places,
    *,
    make_keys: Callable[[], Path],
    site_packages: Path | None,
    options: InitOptions,
    ask: Callable[[str], bool] | None,
) -> tuple[InitStep, ...]:
    """Write configuration, keys and token, and install the wake-up if the owner wants it.

    ``site_packages`` is that of the repository's test environment (None: there is none). ``ask`` puts a yes-or-no
    question to the owner; None without a terminal, and then the answer is no.
    """
    make_folders(places)
    folder = places.repo / ".ouro"
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise ConfigError(f"{folder} is not a folder.", remedy="Move it away and run `ouro init` again.")
    folder.mkdir(exist_ok=True)
    return (
        _write_new(folder / "config.toml", CONFIG, "settings that can only tighten, all commented out"),
        _write_new(folder / ".gitignore", IGNORE, "keeps everything else in .ouro out of git"),
        _keys(places, make_keys),
        _token(places),
        _wakeup(places, site_packages, options, ask),
    )


def _write_new(path: Path, text: str, what: str) -> InitStep:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    except FileExistsError:
        return InitStep(path, False, "exists already, left as it is")
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    return InitStep(path, True, what)


def _keys(places: Places, make_keys: Callable[[], Path]) -> InitStep:
    before = set(places.keys.iterdir())
    path = make_keys()
    made = bool(set(places.keys.iterdir()) - before)
    return InitStep(path, made, "the daemon's signing key" if made else "the signing key is there already")


def _token(places: Places) -> InitStep:
    made = token.keep(places)
    return InitStep(places.token, made, "the control token" if made else "the control token is there already")


def _wakeup(
    places: Places, site_packages: Path | None, options: InitOptions, ask: Callable[[str], bool] | None
) -> InitStep:
    if site_packages is None:
        return InitStep(places.repo, False, "no test environment was found, so no pytest wake-up")
    path = wakeup.target_file(site_packages, places)
    wanted = options.plugin
    if wanted is None and not wakeup.is_installed(site_packages, places):
        if ask is None:
            return InitStep(path, False, "no pytest wake-up: there is no terminal to ask at; `ouro init --yes` adds it")
        wanted = ask(
            f"Add the pytest wake-up to {site_packages} (a plugin of one module; it only notifies the daemon)?"
        )
    if wanted is False:
        return InitStep(path, False, "no pytest wake-up, as you wish: commits are seen all the same")
    added = wakeup.install(site_packages, places)
    return InitStep(path, added, "the pytest wake-up" if added else "the pytest wake-up is there already")
