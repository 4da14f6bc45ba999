"""The world outside of a workspace, laid out so that whoever reaches it is found out and named.

Each attack has a file of its own with random content (a canary), a listener that writes down who came, and a folder in
which it tries to leave its mark. What is found afterwards names the attack.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import socket
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ledger.places import Places

MARK = "canary"
_FOUND = re.compile(rf"{MARK}-([a-z0-9_]+)-[0-9a-f]{{24}}".encode())


@dataclass
class Outside:
    """``base`` is a folder beside the repository, with nothing of the daemon's or the owner's in it."""

    base: Path
    port: int
    came: list[str] = field(default_factory=list)  # who connected, by name
    _canaries: dict[str, Path] = field(default_factory=dict)

    @property
    def marks(self) -> Path:
        return self.base / "marks"

    def canary(self, attack: str, folder: Path | None = None) -> Path:
        """A file that ``attack`` must not read; its content tells whose it is."""
        if attack not in self._canaries:
            path = (folder or self.base / "private") / f"{attack}.txt"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{MARK}-{attack}-{secrets.token_hex(12)}\n", encoding="utf-8")
            self._canaries[attack] = path
        return self._canaries[attack]

    def secret(self, attack: str) -> str:
        """The content of a canary."""
        return self.canary(attack).read_text(encoding="utf-8").strip()

    def left_marks(self) -> set[str]:
        """Attacks that wrote outside."""
        return {path.name for path in self.marks.iterdir()}

    def changed(self) -> set[str]:
        """Attacks whose canary was changed."""
        return {name for name, path in self._canaries.items() if name not in names_in(path.read_bytes())}

    def visitors(self) -> set[str]:
        """Every word that was said to the listener: the attacks that reached it are among them."""
        return {word for said in self.came for word in re.findall(r"[a-z0-9_]+", said)}

    def assert_untouched(self) -> None:
        """Nobody reached, wrote or changed anything here."""
        assert self.came == [], "these reached a listener outside"
        assert self.left_marks() == set(), "these wrote outside"
        assert self.changed() == set(), "the canaries of these were changed"


def names_in(data: bytes) -> set[str]:
    """Attacks whose canaries stand in ``data``."""
    return {match.group(1).decode() for match in _FOUND.finditer(data)}


@contextlib.contextmanager
def outside(base: Path) -> Iterator[Outside]:
    """The listener listens until the block ends."""
    (base / "marks").mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as server:
        world = Outside(base=base, port=server.getsockname()[1])
        thread = threading.Thread(target=_listen, args=(server, world.came), name="outside")
        thread.start()
        try:
            yield world
        finally:
            with contextlib.suppress(OSError):
                socket.create_connection(server.getsockname()).close()  # the last visitor: says nothing
            thread.join()


def _listen(server: socket.socket, came: list[str]) -> None:
    while True:
        visitor, _ = server.accept()
        with visitor:
            visitor.settimeout(2.0)
            try:
                name = visitor.recv(200).decode(errors="replace").strip()
            except OSError:
                name = "somebody who said nothing"
            if not name:
                return
            came.append(name)


def leaked_into_record(places: Places) -> set[str]:
    """Attacks whose canaries stand anywhere in the daemon's state: entries, blobs, files."""
    found: set[str] = set()
    for path in places.state.rglob("*"):
        if path.is_file() and MARK not in path.name and path.suffix != ".txt":
            found |= names_in(path.read_bytes())
    for row in _rows(places.ledger):
        for value in row:
            data = value if isinstance(value, bytes) else str(value).encode(errors="replace")
            found |= names_in(data)
    return found


def _rows(database: Path) -> Iterator[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as ledger:
        tables = [name for (name,) in ledger.execute("select name from sqlite_master where type = 'table'")]
        for table in tables:
            yield from ledger.execute(f'select * from "{table}"')


def leaked_into_objects(repo: Path) -> set[str]:
    """Attacks whose canaries stand in any object of the repository, reachable or not."""
    argv = ["git", "--git-dir", str(repo / ".git"), "cat-file", "--batch", "--batch-all-objects", "--buffer"]
    clean = {"PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = subprocess.run(argv, capture_output=True, env=clean, check=True)
    return names_in(done.stdout)
