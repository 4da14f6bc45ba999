"""APPLY: writes all files of a candidate to the owner's checkout, or none.

The journal comes first. Then each new content is written beside its file and synced. Then the names are exchanged, and
the content that came out of each exchange must be what was read; otherwise everything is rolled back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from governance.changes.folders import NOT_A_FILE, PathState, missing_folders, open_parent, read_state, read_state_at
from governance.changes.journal import PART, Journal
from governance.changes.kit import Kit, change_lock
from governance.changes.plan import FileChange, plan
from governance.changes.rollback import take_back
from governance.changes.types import JournalRecord, Landing, Receipt, Slot
from ledger.errors import ApplyConflict, ChangeError, StaleBase
from ledger.ids import uuid7_hex
from ledger.vocabulary import Candidate

STALE_REMEDY = "The op is planned again on what stands there now."


def apply(kit: Kit, op_id: str, candidate: Candidate, landing: Landing) -> Receipt:
    """Write a candidate's files where ``landing`` directs. Blocking: call it in one thread.

    A review landing opens a journal and touches no files; a dry run does nothing. Raises ``StaleBase`` (a file is not
    what was read), ``ApplyConflict`` (a file of the owner's is in the way) or ``ChangeError``, with the tree unchanged.
    """
    changes = plan(candidate)
    journal_id = uuid7_hex()
    receipt = Receipt(
        journal="" if landing.mode == "dry-run" else journal_id,
        op_id=op_id,
        landing=landing,
        before={c.path: c.before for c in changes},
        after={c.path: c.after for c in changes},
    )
    if landing.mode == "dry-run":
        return receipt
    with change_lock(kit.places):
        try:
            _write(kit, JournalRecord(id=journal_id, op_id=op_id, landing=landing), changes)
        except OSError as error:
            raise ChangeError(
                f"The change could not be written ({error}); all files are as they were.",
                remedy="Look for a full disk or missing rights.",
            ) from error
    return receipt


def _write(kit: Kit, record: JournalRecord, changes: Sequence[FileChange]) -> None:
    """Journal, stage, exchange; any failure after the journal is open rolls everything back."""
    images: dict[str, bytes] = {}
    if record.landing.mode == "branch":
        record, images = _survey(kit, record, changes)
    try:
        journal = Journal.create(kit.places, record, images, kit.effects)
    except OSError:
        kit.effects.remove_private(kit.places.journal / record.id)
        raise
    try:
        _stage(kit, record, changes)
        _swing(kit, record)
    except (OSError, ChangeError):
        take_back(kit, journal)
        journal.close()
        raise


def _survey(kit: Kit, record: JournalRecord, changes: Sequence[FileChange]) -> tuple[JournalRecord, dict[str, bytes]]:
    """Check that every file is exactly what was read, before the first effect."""
    seen = {c.path: read_state_at(kit.places.repo, c.path) for c in changes}
    _refuse(changes, seen)
    slots, images = [], {}
    folders: dict[str, None] = {}
    for number, change in enumerate(changes):
        now = seen[change.path]
        image = f"{number}.before" if change.before is not None else ""
        if image:
            images[image] = now.data
        else:
            folders.update(dict.fromkeys(missing_folders(kit.places.repo, change.path)))
        kept_mode = seen[change.moved_from].mode if change.moved_from else now.mode
        slots.append(
            Slot(
                path=change.path,
                before=change.before,
                after=change.after,
                before_mode=now.mode,
                after_mode=kept_mode or change.mode,
                stem=f".ouro-{record.id[-12:]}-{number}",
                image=image,
            )
        )
    update = {"slots": tuple(slots), "folders": tuple(sorted(folders, key=lambda f: f.count("/")))}
    return record.model_copy(update=update), images


def _refuse(changes: Sequence[FileChange], seen: Mapping[str, PathState]) -> None:
    odd = tuple(c.path for c in changes if seen[c.path].sha == NOT_A_FILE)
    if odd:
        raise ApplyConflict(
            f"{', '.join(odd)} is a link, a folder or a device; only regular files are changed.", paths=odd
        )
    there = tuple(c.path for c in changes if c.before is None and seen[c.path].sha is not None)
    if there:
        raise ApplyConflict(
            f"{', '.join(there)} should be new but exists.", paths=there, remedy="Move it away, or let the op see it."
        )
    stale = tuple(c.path for c in changes if c.before is not None and seen[c.path].sha != c.before)
    if stale:
        raise StaleBase(f"{', '.join(stale)} is not what was read.", paths=stale, remedy=STALE_REMEDY)


def _stage(kit: Kit, record: JournalRecord, changes: Sequence[FileChange]) -> None:
    """Write every new content beside its file, complete and synced, under a name that recovery knows."""
    for folder_path in record.folders:
        with open_parent(kit.places.repo, folder_path) as (folder, name):
            kit.effects.make_folder(folder, name)
    for slot, change in zip(record.slots, changes, strict=False):
        if change.data is None:
            continue
        with open_parent(kit.places.repo, slot.path) as (folder, _):
            kit.effects.write_new(folder, slot.stem + PART, change.data, slot.after_mode)
            kit.effects.rename(folder, slot.stem + PART, slot.stem)


def _swing(kit: Kit, record: JournalRecord) -> None:
    for slot in record.slots:
        with open_parent(kit.places.repo, slot.path) as (folder, name):
            try:
                _swing_one(kit, slot, folder, name)
            except (FileNotFoundError, FileExistsError) as error:
                raise _changed(slot) from error
            kit.effects.sync_folder(folder)
    for slot in record.slots:
        if slot.before is not None:
            with open_parent(kit.places.repo, slot.path) as (folder, _):
                kit.effects.unlink(folder, slot.stem)


def _swing_one(kit: Kit, slot: Slot, folder: int, name: str) -> None:
    if slot.before is None:
        kit.effects.rename_new(folder, slot.stem, name)
        return
    if slot.after is None:
        kit.effects.rename_new(folder, name, slot.stem)
    else:
        kit.effects.exchange(folder, slot.stem, name)
    if read_state(folder, slot.stem).sha != slot.before:
        raise _changed(slot)


def _changed(slot: Slot) -> StaleBase:
    return StaleBase(
        f"{slot.path} was changed at the very moment of writing; the owner's version stands.",
        paths=(slot.path,),
        remedy=STALE_REMEDY,
    )
