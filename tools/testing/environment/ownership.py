"""Whether the repository (anybody who may commit to it) or the owner of this machine wrote the file at a path.

Files of the repository must not decide what untrusted code may read or what is run: tracked files, tracked links on the
way, submodules, other repositories inside. The index of every work tree is read without pathspecs, so that no odd name
has a special meaning to git.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from ledger.paths import read_text
from ledger.places import Places
from tools.git import Git
from tools.whereabouts import Relation, Spot, Survey, is_folder, way

_SUBMODULE = "160000"


@dataclass(frozen=True, slots=True)
class Checkout:
    """One work tree of the repository, and its index."""

    root: Path
    index: Path


class Entry(NamedTuple):
    """One line of an index; ``folded`` is the one spelling of all names that a file system may take for the same."""

    mode: str
    path: str
    folded: str


class Origin:
    """Ownership of paths in the current state of one repository. Blocking; raises ``GitFailed``."""

    def __init__(self, git: Git) -> None:
        self._git = git
        self.survey = Survey()
        self._roots = tuple((checkout, self.survey.spot(checkout.root)) for checkout in checkouts(git.places))
        self._entries: dict[Checkout, tuple[Entry, ...]] = {}

    def holds(self, path: Path) -> bool:
        """Whether ``path``, anything on the way to it, or what it leads to lies in a work tree of the repository."""
        try:
            return any(self._place(step) is not None for step in way(path))
        except (OSError, ValueError):
            return True

    def carries(self, folder: Path) -> str | None:
        """Why ``folder`` is the repository's own, a clause; None when it is not."""
        try:
            steps = tuple(way(folder))
        except (OSError, ValueError):
            return f"{str(folder)!r} leads nowhere"
        why = self.carries_link(folder)
        return why or self._tracked(steps[-1], below=True) or self._nested(steps[-1])

    def carries_link(self, path: Path) -> str | None:
        """Why the repository decides where ``path`` leads, a clause; None when no link on the way is its own."""
        try:
            links = [step for step in way(path) if os.path.islink(step)]  # noqa: PTH114
        except (OSError, ValueError):
            return f"{str(path)!r} leads nowhere"
        return next((why for link in links if (why := self._tracked(link, below=False))), None)

    def _place(self, path: str) -> tuple[Checkout, str] | None:
        """The innermost work tree that a path lies in (a link by its own place), and the path in it."""
        found: tuple[Checkout, Spot, str] | None = None
        folder, name = os.path.split(path)
        here = self.survey.spot(folder)
        for checkout, root in self._roots:
            lies = root.relation(here)
            if lies is Relation.SAME:
                inside = name
            elif lies is Relation.ABOVE:
                inside = f"{root.path_to(here)}/{name}"
            elif not os.path.islink(path) and root.relation(self.survey.spot(path)) is Relation.SAME:  # noqa: PTH114
                inside = ""
            else:
                continue
            if found is None or found[1].relation(root) is Relation.ABOVE:
                found = (checkout, root, inside)
        return (found[0], found[2]) if found else None

    def _tracked(self, path: str, *, below: bool) -> str | None:
        place = self._place(path)
        if place is None:
            return None
        checkout, inside = place
        wanted = _folded(inside)
        for entry in self._listed(checkout):
            if wanted == entry.folded or wanted.startswith(f"{entry.folded}/"):
                kind = "a submodule of the repository" if entry.mode == _SUBMODULE else "a file of the repository"
                return f"{_told(entry.path)} is {kind}"
            if below and (not wanted or entry.folded.startswith(f"{wanted}/")):
                return f"the repository carries {_told(entry.path)}"
        return None

    def _nested(self, path: str) -> str | None:
        """A repository between the work tree's top and ``path``: the rest of a submodule, or a clone."""
        place = self._place(path)
        if place is None:
            return None
        checkout, inside = place
        parts = inside.split("/")
        for depth in range(1, len(parts) + 1):
            if os.path.lexists(checkout.root.joinpath(*parts[:depth], ".git")):
                return f"{_told('/'.join(parts[:depth]))} is another repository inside this one"
        return None

    def _listed(self, checkout: Checkout) -> tuple[Entry, ...]:
        known = self._entries.get(checkout)
        if known is None:
            rows = self._git.run("ls-files", "-s", "-z", index=checkout.index, work_tree=checkout.root).fields
            pairs = (row.partition("\t") for row in rows)
            known = self._entries[checkout] = tuple(Entry(head[:6], path, _folded(path)) for head, _, path in pairs)
        return known


def checkouts(places: Places) -> Iterator[Checkout]:
    """Every work tree of the repository: the watched one, the main one, those that were added to it."""
    yield Checkout(places.repo, places.git_dir / "index")
    common = places.common_dir
    if common != places.git_dir and common.name == ".git":
        yield Checkout(common.parent, common / "index")
    try:
        added = sorted((common / "worktrees").iterdir())
    except OSError:
        return
    for folder in added:
        named = (read_text(folder / "gitdir") or "").strip()
        root = (folder / named).parent  # relative to the folder where git is told to keep it so
        if folder != places.git_dir and named and is_folder(root):
            yield Checkout(root, folder / "index")


def _folded(path: str) -> str:
    return path.lower() if path.isascii() else unicodedata.normalize("NFD", path.casefold())


def _told(path: str) -> str:
    """A name for use in a message: quoted, escaped and limited in length."""
    return repr(path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")[:200])
