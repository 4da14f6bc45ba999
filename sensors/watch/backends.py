"""Two ways to notice changes: inotify, one watch a folder in one thread, and polling where inotify is not available.

Both are of watchdog. Its ordinary observer would take one thread a folder, or watch ignored trees recursively; so the
inotify descriptor (one thread, any number of watches) is driven directly. Callbacks come from other threads.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from watchdog.observers.inotify_c import InotifyEvent, WatchDescriptor

Notify = Callable[[str, bool], None]  # absolute path, is it a folder that appeared
Overflow = Callable[[], None]

PASSED_OVER = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP})
"""Of a folder that is gone, may not be read, or lies deeper than a path reaches."""


class Backend(Protocol):
    """Watches folders until it is stopped."""

    def add(self, folder: str) -> None:
        """Watch the entries of a folder. Raises ``OSError`` when there are no watches left; a folder that is gone, or
        that may not be read, is passed over."""
        ...

    def drop(self, folder: str) -> None:
        """Watch a folder and all below it no longer."""
        ...

    def stop(self) -> None:
        """Watch nothing any more and end the threads. Blocks."""
        ...

    @property
    def folders(self) -> frozenset[str]:
        """What is watched."""
        ...


class OutOfWatches(OSError):
    """The limit that the settings give is reached."""


class InotifyBackend:
    """One watch a folder. Implements watchdog's ``WatchCallback``."""

    def __init__(self, *, notify: Notify, overflow: Overflow, limit: int) -> None:
        from watchdog.observers.inotify_c import CallbackId, InotifyConstants, InotifyFD, Mask

        self._notify = notify
        self._overflow = overflow
        self._limit = limit
        self._lock = threading.Lock()
        self._path_of: dict[WatchDescriptor, str] = {}
        self._watch_of: dict[str, WatchDescriptor] = {}
        self._id = CallbackId(id(self))
        c = InotifyConstants
        # CLOSE_WRITE and not MODIFY: a file is looked at when it was written, not at each block of it.
        kinds = c.IN_CLOSE_WRITE | c.IN_CREATE | c.IN_MOVED_FROM | c.IN_MOVED_TO | c.IN_DELETE
        self._mask = Mask(kinds | c.IN_ONLYDIR | c.IN_DONT_FOLLOW | c.IN_EXCL_UNLINK)
        self._inotify = InotifyFD()
        self._inotify.start()

    @property
    def folders(self) -> frozenset[str]:
        with self._lock:
            return frozenset(self._watch_of)

    def add(self, folder: str) -> None:
        with self._lock:
            if folder in self._watch_of:
                return
            if len(self._watch_of) >= self._limit:
                raise OutOfWatches(f"more than {self._limit} folders")
            try:
                watch = self._inotify.add_callback(os.fsencode(folder), self._mask, self, self._id)
            except OSError as error:
                if error.errno in PASSED_OVER:
                    return
                raise
            old = self._path_of.get(watch)
            if old is not None:  # the same folder under its earlier name
                self._watch_of.pop(old, None)
            self._path_of[watch] = folder
            self._watch_of[folder] = watch

    def drop(self, folder: str) -> None:
        with self._lock:
            below = [path for path in self._watch_of if path == folder or path.startswith(f"{folder}/")]
            gone = [(path, self._watch_of.pop(path)) for path in below]
            for _, watch in gone:
                self._path_of.pop(watch, None)
        self._inotify.remove_callbacks([(watch, self._id) for _, watch in gone])

    def stop(self) -> None:
        self._inotify.stop()
        self._inotify.join()

    # --- called by watchdog's thread ---

    def on_event(self, event: InotifyEvent) -> None:
        with self._lock:
            folder = self._path_of.get(event.wd)
        if folder is None or not event.name:
            return
        path = f"{folder}/{os.fsdecode(event.name)}"
        if not event.is_directory:
            self._notify(path, False)
        elif event.is_create or event.is_moved_to:
            self._notify(path, True)
        else:
            self.drop(path)  # a moved folder keeps its watch, under a name that is wrong from now on
            self._notify(path, False)

    def on_watch_deleted(self, wd: WatchDescriptor) -> None:
        with self._lock:
            path = self._path_of.pop(wd, None)
            if path is not None and self._watch_of.get(path) == wd:
                del self._watch_of[path]

    def on_queue_overflow(self) -> None:
        self._overflow()


class PollingBackend:
    """Looks at the folders again and again: the named fallback. ``skip`` prunes what is not to be entered."""

    def __init__(self, *, notify: Notify, skip: Callable[[str], bool], interval_s: float) -> None:
        from watchdog.events import FileSystemEvent, FileSystemEventHandler
        from watchdog.observers.polling import PollingObserverVFS

        def entries(path: str | None) -> Iterator[os.DirEntry[str]]:
            try:
                with os.scandir(path) as found:
                    kept = [e for e in found if not (e.is_dir(follow_symlinks=False) and skip(e.path))]
            except OSError as error:
                if error.errno in PASSED_OVER:
                    return iter(())
                raise
            return iter(kept)

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: FileSystemEvent) -> None:
                if event.event_type not in ("created", "modified", "moved", "deleted"):
                    return
                for path in (event.src_path, event.dest_path):
                    if path and not (event.is_directory and event.event_type == "modified"):
                        notify(os.fsdecode(path), False)

        self._observer = PollingObserverVFS(os.lstat, entries, polling_interval=interval_s)
        self._handler = Handler()
        self._roots: set[str] = set()
        self._observer.start()

    @property
    def folders(self) -> frozenset[str]:
        return frozenset(self._roots)

    def add(self, folder: str) -> None:
        """Look at a folder and everything below it that is not skipped."""
        if folder not in self._roots and os.path.isdir(folder):  # noqa: PTH112  # text in, text out
            self._roots.add(folder)
            self._observer.schedule(self._handler, folder, recursive=True)

    def drop(self, folder: str) -> None:
        """Nothing to do: the next look does not find it."""

    def stop(self) -> None:
        self._observer.stop()
        self._observer.join()
