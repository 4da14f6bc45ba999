"""What tests may read outside the repository: their environment, its Python installation, and folders in a setting.

A folder is never mounted only because a file of the environment refers to it. A Python installation is mounted, in
parts, if it is complete and not in a private place; any other folder has to be in the setting ``tests.readable``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.places import Places
from tools.sandbox.places_rule import SECRET_FOLDERS
from tools.sandbox.tree import SYSTEM
from tools.sandbox.types import Mount
from tools.testing.environment.interpreter import Interpreter, place_of
from tools.testing.environment.ownership import Origin
from tools.whereabouts import Relation, Spot, escape_path, is_folder

_PARTS = ("bin", "include", "lib", "lib64", "share/terminfo")
_KERNEL_AND_SOCKETS = ("/run", "/var/run", "/proc", "/sys", "/dev")
_WRITABLE_BY_ALL = ("/tmp", "/var/tmp")
_HOMES = ("/home", "/var/home")
_ANY = frozenset(Relation)
_HOLDS = frozenset({Relation.SAME, Relation.ABOVE})
_RELATION_TEXT = {Relation.SAME: "it is", Relation.ABOVE: "it holds", Relation.BELOW: "it lies in"}


@dataclass(frozen=True, slots=True)
class OutsideMounts:
    """The read-only mounts, and a sentence if a needed folder cannot be mounted."""

    mounts: tuple[Mount, ...]
    problem: str | None = None


def outside_mounts(found: Interpreter, places: Places, readable: Sequence[str], origin: Origin) -> OutsideMounts:
    """The mounts for one interpreter. Blocking; raises ``GitFailed``."""
    rules = _Rules(places, readable, origin)
    chosen, problem = rules.readable_mounts()
    mounts = chosen
    if os.path.lexists(found.prefix / "pyvenv.cfg") or origin.holds(found.prefix):
        at_home = _real(found.prefix).is_relative_to(_real(places.repo))
        why = rules.refusal(found.prefix, at_home=at_home)
        problem = problem or (
            f"The environment {escape_path(found.prefix)} cannot be shown to tests: {why}." if why else None
        )
        mounts = (*mounts, Mount(source=found.prefix, target=found.prefix, closed=True))
    base, why = rules.installation(found)
    mounts = (*mounts, *base)
    shown = origin.survey.spots(mount.source for mount in mounts)
    library = _library_of(found)
    if problem is None and why is not None and not rules.is_covered(library, shown):
        problem = rules.setting_message(
            f"{escape_path(found.python)} needs the Python in {escape_path(library)}, but {why}", [library]
        )
    unnamed = [folder for folder in found.linked if not origin.holds(folder) and not rules.is_covered(folder, shown)]
    problem = problem or (rules.linked_message(found, unnamed) if unnamed else None)
    return OutsideMounts(() if problem else tuple(_outermost(mounts)), problem)


class _Rules:
    """The rules by which a folder is mounted or refused, with the places that they refer to looked up once."""

    def __init__(self, places: Places, readable: Sequence[str], origin: Origin) -> None:
        self._places, self._readable, self._origin = places, tuple(readable), origin
        survey = self._survey = origin.survey
        self._ours = survey.spots(places.own_folders)
        self._keys = survey.spots(places.home / name for name in SECRET_FOLDERS)
        self._held = survey.spots((places.home, places.repo, "/etc"))
        self._never = survey.spots(_KERNEL_AND_SOCKETS)
        self._not_by_itself = survey.spots((*_WRITABLE_BY_ALL, "/etc"))

    def readable_mounts(self) -> tuple[tuple[Mount, ...], str | None]:
        """Mounts of the folders in ``tests.readable``, or why one of them cannot be mounted."""
        mounts = []
        for name in self._readable:
            folder = place_of(name, self._places)
            why = "it is no absolute path" if not name.startswith(("/", "~")) or "\0" in name else self.refusal(folder)
            why = why or self._origin.carries_link(folder)
            if why is not None:
                return (), f"The setting tests.readable names {name!r}, which is not shown to tests: {why}. Change it."
            mounts.append(Mount(source=folder, target=folder))
        return tuple(mount for mount in mounts if os.path.exists(mount.source)), None  # noqa: PTH110

    def refusal(self, folder: Path, *, at_home: bool = False) -> str | None:
        """Why a folder is never mounted, even if it is in ``tests.readable``; a clause.

        ``at_home``: it is in the repository, which may itself lie below /dev, as in /dev/shm.
        """
        at = self._survey.spot(folder)
        return (
            _first(at, self._ours, _ANY, "the daemon's own")
            or (None if at_home else _first(at, self._never, _ANY, "where the machine's devices and sockets are"))
            or _first(at, self._keys, _ANY, "where keys are kept")
            or _first(at, self._held, _HOLDS, "which holds more than tests need")
        )

    def installation(self, found: Interpreter) -> tuple[tuple[Mount, ...], str | None]:
        """Mounts of the Python installation that an interpreter belongs to, or why it is not mounted."""
        real = _base_of(found)
        if _is_system(real):
            return (), None
        if not _is_installation(real, found.version):
            if found.home is not None and _is_system(_real(found.home)):  # a copy of the system's program
                return (), None
            name = f"lib/python{found.version[0]}.{found.version[1]}/os.py"
            return (), f"the program does not lie in a whole installation (there is no {escape_path(real)}/{name})"
        if self._origin.holds(real):
            return (), "that lies in the repository"
        parts = [part for part in _PARTS if is_folder(real / part)]
        for part in parts:
            at = self._survey.spot(real / part)
            why = self.refusal(real / part) or self._private(at)
            if why is None and not _is_system(at.real) and at.relation(self._survey.spot(real)) is not Relation.BELOW:
                why = f"its {part} leads elsewhere"
            if why is not None:
                return (), f"that is not shown by itself: {why}"
        whole = [real, *(base for base in found.bases[1:] if not _is_system(base))]
        places = [(_real(real / part), base / part) for base in whole for part in parts]
        return tuple(Mount(source=source, target=target, closed=True) for source, target in places), None

    def _private(self, at: Spot) -> str | None:
        """Why a Python installation at this place needs ``tests.readable`` to be mounted."""
        if self._held[0].relation(at) is Relation.ABOVE:  # the owner's own home, wherever that is
            return None
        home = _foreign_home(at.real)
        if home is not None:
            return f"it lies in {home}, the home of another user"
        return _first(at, self._not_by_itself, _ANY, "where others may write, or secrets are")

    def is_covered(self, folder: Path, shown: Iterable[Spot]) -> bool:
        """Whether a folder is inside one that is ``shown``, or the system's."""
        at = self._survey.spot(folder)
        return _is_system(at.real) or any(at.relation(one) in (Relation.SAME, Relation.BELOW) for one in shown)

    def linked_message(self, found: Interpreter, folders: Sequence[Path]) -> str:
        """The message about folders that the environment puts on the import path."""
        never = [(folder, why) for folder in folders if (why := self.refusal(folder))]
        if never:
            folder, why = never[0]
            return (
                f"{escape_path(found.prefix)} has {str(folder)!r} on its import path, which is never shown to tests "
                f"({why}): remove the line from the .pth file in its site-packages."
            )
        named = ", ".join(repr(str(folder)) for folder in folders)
        return self.setting_message(
            f"{escape_path(found.prefix)} has {named} on its import path, outside the repository", folders
        )

    def setting_message(self, what: str, folders: Sequence[Path]) -> str:
        """The sentence ``what``, with the line of the settings that lets tests read ``folders``."""
        names = dict.fromkeys((*self._readable, *map(escape_path, folders)))
        line = json.dumps([*names], ensure_ascii=False)
        file = self._places.config / "config.toml"
        return f"{what}: if tests are to read that, write `readable = {line}` below `[tests]` in {file}."


def _first(at: Spot, places: Iterable[Spot], relations: frozenset[Relation], what: str) -> str | None:
    found = ((at.relation(place), place) for place in places)
    return next(
        (f"{_RELATION_TEXT[lies]} {escape_path(place.real)}, {what}" for lies, place in found if lies in relations),
        None,
    )


def _foreign_home(path: str) -> str | None:
    """The home of another user that contains a path; homes of root and of this user do not count."""
    if _lies(path, "/root"):
        return "/root" if os.geteuid() != 0 else None
    for top in _HOMES:
        if _lies(path, top) and path != top:
            folder = "/".join(path.split("/")[: top.count("/") + 2])
            try:
                owner = os.stat(folder).st_uid  # noqa: PTH116
            except OSError:
                return folder
            return folder if owner not in (0, os.geteuid()) else None
    return None


def _lies(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def _base_of(found: Interpreter) -> Path:
    return found.bases[0]


def _library_of(found: Interpreter) -> Path:
    """Where an interpreter's standard library is; for a copied program that is elsewhere."""
    base = _base_of(found)
    return base if _is_installation(base, found.version) or found.home is None else found.home


def _is_installation(base: Path, version: tuple[int, int]) -> bool:
    name = f"python{version[0]}.{version[1]}/os.py"
    return any(os.path.isfile(base / lib / name) for lib in ("lib", "lib64"))  # noqa: PTH113 - no error for bad names


def _is_system(path: Path | str) -> bool:
    return any(_lies(str(path), top) for top in SYSTEM)


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))


def _outermost(mounts: Iterable[Mount]) -> Iterable[Mount]:
    """Each place once, without those that another mount contains."""
    kept: list[Mount] = []
    for mount in dict.fromkeys(mounts):
        shown = any(mount.target.is_relative_to(other.target) for other in kept)
        if not shown and not _is_system(mount.target):
            kept.append(mount)
    return kept
