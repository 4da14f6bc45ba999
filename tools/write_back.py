"""After a command: its changes are undone, and those that the policy allows are written again like any other edit.

So every change is checked on the tree that the edit tools expect, whatever the command left there: links, pipes,
folders in place of files, git folders, odd names, modes. Files that git ignores (build products) may stay where the
policy allows them, and are no part of the change.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from ledger.errors import GitFailed, PolicyRefused, ToolError
from ledger.vocabulary import Decision, Verdict
from tools import contained
from tools.tree_snapshot import Sight, differing, take_snapshot
from tools.workspace import Workspace

TOO_MUCH, UNREAD, NOT_A_FILE = "tools.too_much", "tools.unread", "workspace.no_follow"
UNREADABLE = "tools.left_unreadable"
MORE_ENTRIES = 20_000
"""Files and folders that one command may add."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Limits of one command: number of files it may change, and their bytes in sum."""

    files: int
    size: int


@dataclass(slots=True)
class Settled:
    """Result. ``kept``: path to ``new``, ``changed`` or ``deleted``; ``refused``: undone paths with the verdict."""

    kept: dict[str, str] = field(default_factory=dict)
    refused: dict[str, Verdict] = field(default_factory=dict)
    modes: list[str] = field(default_factory=list)  # files whose mode alone was changed; it was put back


@dataclass(frozen=True, slots=True)
class _New:
    data: bytes
    executable: bool


class Aftermath:
    """One command on a workspace: created before it runs, settled after it. Blocks; nothing else may write meanwhile.

    ``judged`` gives the policy's verdict on writing a path, ``known`` whether the op has read or written a file,
    ``written`` are the paths that it has written. Raises ``ToolError`` when the workspace has too many files.
    """

    def __init__(
        self,
        workspace: Workspace,
        *,
        judged: Callable[[str], Verdict],
        known: Callable[[str], bool],
        written: Iterable[str],
        mounts: Collection[str],
        bounds: Bounds,
    ) -> None:
        self._workspace, self._judged, self._known = workspace, judged, known
        self._mounts, self._bounds = frozenset(mounts), bounds
        self._written = frozenset(written)
        self._limit = len(workspace.tracked) + MORE_ENTRIES * 10
        self._saved = {path: new for path in self._written if (new := self._taken(path)) is not None}
        self._before = take_snapshot(workspace.root, mounts=mounts, limit=self._limit, stamp=workspace.folder / "now")
        self._settled = Settled()
        if self._before.flooded:
            raise ToolError(f"The workspace holds more than {self._limit} files: no command is run on so many.")

    def settle(self) -> Settled:
        """Check what differs. Never raises for what the command did: an unreadable tree is undone as a whole."""
        try:
            return self._settle()
        except (OSError, GitFailed, RecursionError) as error:
            self._settled = Settled()
            self._refuse(
                ".", _no(UNREADABLE, f"what it left cannot be looked at ({_why(error)}), so all of it is undone")
            )
            self._undo()
            return self._settled

    def _settle(self) -> Settled:
        root = self._workspace.root
        limit = len(self._before.files) + len(self._before.folders) + MORE_ENTRIES
        after = take_snapshot(root, mounts=self._mounts, limit=limit)
        if after.flooded:
            self._start_over()
            return self._settled
        self._remove_deep(after)
        self._remove_folders(after)
        changed = differing(root, self._before, after)
        if changed:
            self._judge(changed, after)
        return self._settled

    def _start_over(self) -> None:
        self._refuse(".", _no(TOO_MUCH, f"it left more than {MORE_ENTRIES} new files and folders behind"))
        self._restore(self._before.files, keep=())

    def _undo(self) -> None:
        """Restore the state before the command without reading what is there now."""
        self._workspace.start_over(self._mounts)
        for path in (self._workspace.tracked | self._saved.keys()) - self._before.files.keys():
            contained.delete_file(self._workspace.root, path)
        self._write_saved(self._saved.keys())

    def _remove_deep(self, after: Sight) -> None:
        """Remove folders that are too deep to be read, each from its topmost new folder on."""
        for deep in sorted(after.beyond - self._before.beyond):
            parts = deep.split("/")
            ways = ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
            top = next((way for way in ways if way not in self._before.folders), deep)
            if top in after.folders:
                self._refuse(
                    top, _no(TOO_MUCH, f"{_shown(top)} holds paths of more than {contained.LONGEST_PATH} bytes")
                )
                contained.remove_tree(self._workspace.root / top)
                _forget(after, top)

    def _remove_folders(self, after: Sight) -> None:
        """Remove new folders that the policy refuses, from the disk and with all below them from ``after``."""
        for folder in sorted(after.folders - self._before.folders):
            above = folder.rpartition("/")[0]
            if above and above not in after.folders:
                after.folders.discard(folder)  # removed with its parent
            elif (verdict := self._verdict(folder)) is not None:
                self._refuse(folder, verdict)
                contained.remove_tree(self._workspace.root / folder)
                after.folders.discard(folder)
        gone = {path for path in after.files if "/" in path and path.rpartition("/")[0] not in after.folders}
        for path in gone:
            del after.files[path]

    def _judge(self, changed: list[str], after: Sight) -> None:
        new: dict[str, _New | None] = {}
        verdicts = {path: self._verdict(path) for path in changed if path in after.files}
        for path in verdicts:
            if after.files[path].special:  # before git reads the tree: it would block at a pipe
                (self._workspace.root / path).unlink(missing_ok=True)
        ignored = self._ignored(changed, after)
        keep = set(ignored)
        size = 0
        for path in changed:
            now = after.files.get(path)
            verdict = verdicts.get(path)
            if verdict is None and now is not None and not now.regular:
                verdict = _no(NOT_A_FILE, f"{_shown(path)} is no regular file")
            if verdict is not None:
                self._refuse(path, verdict)
                keep.discard(path)
            elif path not in ignored:
                size += now.size if now is not None else 0
                fits = size <= self._bounds.size and len(new) < self._bounds.files
                new[path] = self._taken(path) if now is not None and fits else None
        same = self._before.files.keys() - set(changed)
        folders = {f"{folder}/" for folder in after.folders & self._before.folders}  # git knows no empty folder
        self._restore([path for path in changed if path not in keep], keep=same | keep | folders)
        if size > self._bounds.size or len(new) > self._bounds.files:
            why = f"one command may change {self._bounds.files} files and {self._bounds.size} bytes"
            self._refuse(".", _no(TOO_MUCH, f"{len(new)} files with {size} bytes were changed; {why}"))
            return
        for path in sorted(new, key=lambda path: (new[path] is not None, path)):  # deletions first: they make room
            self._write_again(path, new[path])

    def _ignored(self, changed: list[str], after: Sight) -> frozenset[str]:
        """Files that git ignores and that neither the commit nor the op has."""
        own = self._workspace.tracked | self._written
        there = {path for path in changed if path not in own and path in after.files and after.files[path].regular}
        return frozenset(there - self._workspace.untracked()) if there else frozenset()

    def _restore(self, paths: Iterable[str], *, keep: Collection[str]) -> None:
        """Restore ``paths``: to what the op had written, else to the commit's file, else to nothing."""
        wanted = set(paths)
        of_commit = {
            path for path in wanted & self._workspace.tracked if path not in self._saved and path in self._before.files
        }
        self._workspace.put_back(of_commit, keep=keep, mounts=self._mounts)
        self._write_saved(wanted & self._saved.keys())

    def _write_saved(self, paths: Iterable[str]) -> None:
        for path in paths:
            saved = self._saved[path]
            contained.write_file(self._workspace.root, path, saved.data, 0o755 if saved.executable else 0o644)

    def _write_again(self, path: str, new: _New | None) -> None:
        """Apply one change to the restored tree, with the checks of every edit."""
        old = self._taken(path)
        if new is not None and old is not None and new.data == old.data:
            if new.executable != old.executable:
                self._settled.modes.append(path)
            return
        existed = path in self._before.files
        verdict = self._verdict(path)
        if verdict is None and existed and not self._known(path):
            verdict = _no(UNREAD, f"{_shown(path)} has not been read yet; call read_file on it, then change it")
        if verdict is None:
            try:
                self._write(path, new, old)
                self._settled.kept[path] = "deleted" if new is None else "changed" if existed else "new"
                return
            except PolicyRefused as error:
                verdict = _no(error.rule, error.message)
            except OSError as error:
                verdict = _no(NOT_A_FILE, f"{_shown(path)} cannot be written: {error.strerror}")
        self._refuse(path, verdict)

    def _write(self, path: str, new: _New | None, old: _New | None) -> None:
        root = self._workspace.root
        if new is None:
            contained.delete_file(root, path)
            return
        executable = new.executable if old is None else old.executable
        contained.write_file(root, path, new.data, 0o755 if executable else 0o644)

    def _taken(self, path: str) -> _New | None:
        """Content and executable bit of a regular file, read without following a link."""
        try:
            data = contained.read_file(self._workspace.root, path)
            if data is None:
                return None
            mode = (self._workspace.root / path).lstat().st_mode
        except (PolicyRefused, OSError):
            return None
        return _New(data, bool(mode & stat.S_IXUSR))

    def _verdict(self, path: str) -> Verdict | None:
        """The policy's refusal, None when it allows the path; non-UTF-8 names are checked in escaped form."""
        verdict = self._judged(_shown(path))
        return None if verdict.decision is Decision.ALLOW else verdict

    def _refuse(self, path: str, verdict: Verdict) -> None:
        self._settled.refused[path] = verdict


def _forget(sight: Sight, top: str) -> None:
    """Remove a folder and everything below it from a snapshot."""
    sight.folders = {path for path in sight.folders if path != top and not path.startswith(f"{top}/")}
    sight.files = {path: seen for path, seen in sight.files.items() if not path.startswith(f"{top}/")}


def _why(error: Exception) -> str:
    return (error.strerror or "unreadable") if isinstance(error, OSError) else str(error)[:200].rstrip(".")


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", errors="backslashreplace")


def _no(rule: str, reason: str) -> Verdict:
    return Verdict(gate=0, rule=rule, decision=Decision.DENY, reason=f"{reason}.")
