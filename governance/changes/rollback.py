"""Rolls a change back from whatever state a crash left it in.

Each file is judged by the contents under its name and its exchange partners, not by which steps should have run. A
partner is complete if it exists (it is written under another name and renamed). So a partner with neither the old nor
the new content came out of the file itself: it is the owner's, and is restored unless the owner has saved again since.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Literal

from governance.changes.effects import ASIDE
from governance.changes.folders import missing_folders, open_parent, read_state
from governance.changes.journal import PART, Journal
from governance.changes.kit import Kit
from governance.changes.types import Rollback, Slot
from ledger.errors import ApplyConflict
from ledger.ids import sha256_hex

BACK = ".back"
Fate = Literal["restored", "kept"]


def take_back(kit: Kit, journal: Journal) -> Rollback:
    """Restore files that still have our content; files that the owner changed or committed are kept. Idempotent."""
    record = journal.record
    adopted = _adopted(kit, journal)
    fates = {slot.path: _settle(kit, journal, slot, adopted=slot.path in adopted) for slot in reversed(record.slots)}
    for folder_path in reversed(record.folders):
        with suppress(FileNotFoundError, ApplyConflict), open_parent(kit.places.repo, folder_path) as (folder, name):
            kit.effects.remove_folder(folder, name)
    return Rollback(
        restored=tuple(s.path for s in record.slots if fates[s.path] == "restored"),
        kept=tuple(s.path for s in record.slots if fates[s.path] == "kept"),
    )


def _adopted(kit: Kit, journal: Journal) -> frozenset[str]:
    """Paths whose new content the owner has committed."""
    git, record = kit.git, journal.record
    paths = tuple(s.path for s in record.slots)
    if not paths:
        return frozenset()
    moved = git.run(
        "--literal-pathspecs",
        "diff",
        "--name-only",
        "-z",
        "--no-renames",
        "--no-ext-diff",
        record.landing.base,
        "HEAD",
        "--",
        *paths,
        ok=(0, 128),
    ).fields
    after = {s.path: s.after for s in record.slots}
    found = set()
    for path in set(moved) & set(paths):
        blob = git.run("cat-file", "--filters", f"HEAD:{path}", ok=(0, 128))
        if after[path] == (sha256_hex(blob.out) if blob.code == 0 else None):
            found.add(path)
    return frozenset(found)


def _settle(kit: Kit, journal: Journal, slot: Slot, *, adopted: bool) -> Fate:
    """One file: restore the owner's save or the original content, and remove all names of ours."""
    try:
        if slot.after is None and not adopted:
            _make_way(kit, slot)
        with open_parent(kit.places.repo, slot.path) as (folder, name):
            _tidy(kit, slot, folder)
            _give_back(kit, slot, folder, name)
            if not adopted and read_state(folder, name).sha == slot.after:
                _put_back(kit, journal, slot, folder, name)
            for partner in (slot.stem, slot.stem + BACK):
                _drop(kit, folder, partner)
            kit.effects.sync_folder(folder)
            return "restored" if read_state(folder, name).sha == slot.before else "kept"
    except FileNotFoundError:  # no such folder: never made, or removed by the owner
        return "restored" if slot.before is None else "kept"
    except ApplyConflict:  # the owner replaced the folder by a link
        return "kept"


def _make_way(kit: Kit, slot: Slot) -> None:
    """Recreate missing parent folders for a deleted file."""
    for folder_path in missing_folders(kit.places.repo, slot.path):
        with open_parent(kit.places.repo, folder_path) as (folder, name):
            kit.effects.make_folder(folder, name)


def _tidy(kit: Kit, slot: Slot, folder: int) -> None:
    """Remove partial files; complete or drop an interrupted exchange by hard links."""
    for partner in (slot.stem, slot.stem + BACK):
        _drop(kit, folder, partner + PART)
        if read_state(folder, partner + ASIDE).sha is None:
            continue
        if read_state(folder, partner).sha is None:
            kit.effects.rename(folder, partner + ASIDE, partner)
        else:
            kit.effects.unlink(folder, partner + ASIDE)


def _give_back(kit: Kit, slot: Slot, folder: int, name: str) -> None:
    """Restore the owner's save that an exchange caught."""
    ours = (slot.before, slot.after)
    for partner in (slot.stem, slot.stem + BACK):
        if read_state(folder, partner).sha in (None, *ours):
            continue
        if read_state(folder, name).sha in ours:
            _swap(kit, folder, partner, name)
            if read_state(folder, partner).sha not in (None, *ours):  # the owner saved again: the newer version stays
                _swap(kit, folder, partner, name)


def _put_back(kit: Kit, journal: Journal, slot: Slot, folder: int, name: str) -> None:
    """The target has our content: restore what was there before."""
    partner = slot.stem
    if slot.before is None:
        _drop(kit, folder, partner)  # a second name of the same file, from the hard-link fallback
        with suppress(FileNotFoundError):
            kit.effects.rename_new(folder, name, partner)
    else:
        if read_state(folder, partner).sha != slot.before:
            partner = slot.stem + BACK
            _drop(kit, folder, partner)
            kit.effects.write_new(folder, partner + PART, journal.image(slot.image), slot.before_mode)
            kit.effects.rename(folder, partner + PART, partner)
        _swap(kit, folder, partner, name)
    _give_back(kit, slot, folder, name)


def _swap(kit: Kit, folder: int, partner: str, name: str) -> None:
    """Exchange, or rename if the target is missing; what the owner creates or removes at this moment stays so."""
    with suppress(FileNotFoundError, FileExistsError):
        if read_state(folder, name).sha is None:
            kit.effects.rename_new(folder, partner, name)
        else:
            kit.effects.exchange(folder, partner, name)


def _drop(kit: Kit, folder: int, name: str) -> None:
    if read_state(folder, name).sha is not None:
        with suppress(IsADirectoryError):  # never ours
            kit.effects.unlink(folder, name)
