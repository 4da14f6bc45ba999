"""The journal: what is needed to roll a change back or to finish it, on disk before the first write.

One folder for each change: ``record.json``, the before-images ``0.before``, ``1.before`` ..., and the private index.
The change is open while ``record.json`` exists. A folder without it is debris of a crash, from before the first write
or after the last one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from governance.changes.effects import Effects, sync_path
from governance.changes.types import CommitMark, JournalRecord
from ledger.errors import ChangeError
from ledger.paths import FOLDER, NotRegular, read_regular
from ledger.places import Places

RECORD = "record.json"
PART = ".part"


class Journal:
    """One open change. Every write is durable when its method returns."""

    def __init__(self, *, folder: Path, record: JournalRecord, effects: Effects) -> None:
        self.folder = folder
        self.record = record
        self._effects = effects

    @classmethod
    def create(cls, places: Places, record: JournalRecord, images: Mapping[str, bytes], effects: Effects) -> Journal:
        """Open a change: before-images first, then the record, then the folder's name."""
        folder = places.journal / record.id
        effects.make_private(places.journal)
        effects.make_private(folder)
        journal = cls(folder=folder, record=record, effects=effects)
        fd = os.open(folder, FOLDER)
        try:
            for name, data in images.items():
                effects.write_new(fd, name, data, 0o600)
        finally:
            os.close(fd)
        journal._write()
        sync_path(effects, places.journal)
        return journal

    @classmethod
    def load(cls, places: Places, journal_id: str, effects: Effects) -> Journal:
        """An open change. Raises ``ChangeError`` when it is closed or unreadable."""
        folder = places.journal / journal_id
        try:
            record = JournalRecord.model_validate_json(read_regular(folder / RECORD))
        except FileNotFoundError as error:
            raise ChangeError(f"The change {journal_id} is not open any more.") from error
        except (ValidationError, NotRegular) as error:
            raise ChangeError(
                f"The journal {folder} cannot be read.",
                remedy="It may be of a newer version; nothing was touched. Its `*.before` files are the originals.",
            ) from error
        return cls(folder=folder, record=record, effects=effects)

    def mark(self, commit: str, ref: str, parent: str) -> None:
        """Record the commit, before its ref moves."""
        mark = CommitMark(commit=commit, ref=ref, parent=parent)
        self.record = self.record.model_copy(update={"mark": mark})
        self._write()

    def image(self, name: str) -> bytes:
        """A before-image."""
        return read_regular(self.folder / name)

    def close(self) -> None:
        """End the change: the record is removed first, in one step; the rest is then debris."""
        fd = os.open(self.folder, FOLDER)
        try:
            self._effects.unlink(fd, RECORD)
            self._effects.sync_folder(fd)
        finally:
            os.close(fd)
        self._effects.remove_private(self.folder)

    def _write(self) -> None:
        fd = os.open(self.folder, FOLDER)
        try:
            if (self.folder / (RECORD + PART)).exists():
                self._effects.unlink(fd, RECORD + PART)
            self._effects.write_new(fd, RECORD + PART, self.record.model_dump_json().encode(), 0o600)
            self._effects.rename(fd, RECORD + PART, RECORD)
            self._effects.sync_folder(fd)
        finally:
            os.close(fd)


def open_journals(places: Places) -> tuple[str, ...]:
    """Ids of the open changes, oldest first (ids begin with the time)."""
    return tuple(sorted(p.parent.name for p in places.journal.glob(f"*/{RECORD}")))


def remove_debris(places: Places, effects: Effects) -> None:
    """Remove journal folders without a record: nothing was written, or everything is done."""
    for folder in places.journal.glob("*"):
        if folder.is_dir() and not (folder / RECORD).exists():
            effects.remove_private(folder)
