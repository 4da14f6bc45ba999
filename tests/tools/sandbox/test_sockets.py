"""Unix sockets of their own are there for tests, where nobody else's can come into their sight."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.sandbox.boxes import shell
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.probe import interpreter
from tools.sandbox.sockets import RACY_NS, Searched, unix_sockets_for
from tools.sandbox.types import Mount

TALKING = """
import multiprocessing.connection, os, socket, tempfile
left, right = socket.socketpair()
left.send(b"pair")
print(right.recv(9).decode(), end=" ")
path = os.path.join(tempfile.mkdtemp(), "s")
try:
    with multiprocessing.connection.Listener(path) as listener, multiprocessing.connection.Client(path) as client:
        listener.accept().send("own")
        print(client.recv())
except OSError as error:
    print(error.strerror)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """An old one, as an installation is."""
    made = tmp_path / "installed"
    (made / "inner/deep").mkdir(parents=True)
    (made / "inner/file").touch()
    time.sleep(2 * RACY_NS / 1e9)
    yield made


def bound(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    here = os.getcwd()
    os.chdir(path.parent)
    try:
        made.bind(path.name)
    finally:
        os.chdir(here)
    return made


def test_a_folder_is_searched_once_and_again_where_it_has_changed(folder: Path) -> None:
    searched = Searched()
    assert not searched.hold_socket(folder) and len(searched.folders) == 3
    assert not searched.hold_socket(folder)
    with bound(folder / "inner/deep/s"):
        assert searched.hold_socket(folder) and searched.hold_socket(folder / "inner/deep/s")
    (folder / "inner/deep/s").unlink()
    assert not searched.hold_socket(folder)


def test_what_was_changed_just_now_is_not_remembered(tmp_path: Path) -> None:
    searched = Searched()
    (tmp_path / "new").mkdir()
    assert not searched.hold_socket(tmp_path) and not searched.folders


def test_links_are_not_followed_and_pipes_are_none(folder: Path, tmp_path: Path) -> None:
    with bound(tmp_path / "s"):
        (folder / "link").symlink_to(tmp_path)
        (folder / "other").symlink_to(tmp_path / "s")
        os.mkfifo(folder / "pipe")
        assert not Searched().hold_socket(folder)
        assert Searched().hold_socket(folder / "link")
    assert not Searched().hold_socket(folder / "nothing here")


def test_which_mounts_leave_a_job_its_sockets(folder: Path, tmp_path: Path) -> None:
    installed = Mount(source=folder, target=folder, closed=True)
    assert unix_sockets_for([]) and unix_sockets_for([installed])
    assert not unix_sockets_for([installed, Mount(source=tmp_path, target=tmp_path)])
    with bound(folder / "inner/s"):
        assert not unix_sockets_for([installed])
        assert unix_sockets_for([Mount(source=folder, target=folder, ours=True, closed=True)]), (
            "a test's own, left there"
        )


@pytest.mark.parametrize(("closed", "said"), [(True, "own"), (False, "Address family not supported by protocol")])
async def test_tests_talk_over_sockets_of_their_own(
    bwrap: Bwrap, work: Path, folder: Path, closed: bool, said: str
) -> None:
    program, mounts = interpreter()
    shown = Mount(source=folder, target=folder, closed=closed)
    done = await bwrap.run(shell(work, f"{program} -I - <<'END'\n{TALKING}\nEND", *mounts, shown))
    assert (done.code, done.output.decode().strip()) == (0, f"pair {said}")
