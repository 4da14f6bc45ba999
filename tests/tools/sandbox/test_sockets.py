"""Which unix sockets a mount would show, and that none of them is seen."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tools.sandbox.boxes import shell
from tools.sandbox.bwrap import Bwrap
from tools.sandbox.sockets import bound_sockets, covers
from tools.sandbox.tree import Placed, Step
from tools.sandbox.types import Mount


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "shared folder"
    (made / "inner").mkdir(parents=True)
    return made


@pytest.fixture
def server(folder: Path) -> Iterator[Path]:
    path = folder / "inner" / "a socket"
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
        made.listen(1)
        yield path


def shows(source: Path, target: str, step: Step = Step.READ_ONLY) -> Placed:
    return Placed(step, str(source), Path(target))


def covered(*steps: Placed) -> list[str]:
    found = covers(steps, bound_sockets())
    assert all((cover.step, cover.source) == (Step.READ_ONLY, "/dev/null") for cover in found)
    return [str(cover.target) for cover in found]


def test_a_socket_is_covered_wherever_a_mount_shows_it(folder: Path, server: Path) -> None:
    assert covered(shows(folder, "/a")) == ["/a/inner/a socket"]
    assert covered(shows(folder, "/a", Step.WRITABLE), shows(folder / "inner", "/b")) == [
        "/a/inner/a socket",
        "/b/a socket",
    ]
    assert covered(shows(server, "/the/socket")) == ["/the/socket"]
    assert covered(shows(folder.parent / "other", "/a")) == []


def test_links_on_the_way_do_not_matter(folder: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(folder)
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(link / "s"))
        assert covered(shows(folder, "/a")) == ["/a/s"] == covered(shows(link, "/a"))


def test_what_a_deeper_step_hides_is_not_covered_there(folder: Path, server: Path) -> None:
    hidden = Placed(Step.EMPTY, "", Path("/a/inner"))
    assert covered(shows(folder, "/a"), hidden, Placed(Step.SEAL, "", Path("/a/inner"))) == []
    assert covered(shows(folder, "/a"), shows(folder.parent, "/a/inner")) == ["/a/inner/shared folder/inner/a socket"]


def test_a_name_that_is_no_socket_any_more_is_left_alone(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(folder / "s"))
        (folder / "s").unlink()
        (folder / "s").write_text("a file")
        assert covered(shows(folder, "/a")) == []


async def test_nothing_inside_sees_it_and_the_run_is_built(bwrap: Bwrap, work: Path, server: Path) -> None:
    script = f"test -S '{server}' && echo socket; ls '{server.parent}'; cat '{server}'"
    done = await bwrap.run(shell(work, script, Mount(source=server.parent, target=server.parent)))
    assert done.output.startswith(b"a socket\n") and server.is_socket()


async def test_a_socket_in_a_folder_of_the_daemon_that_a_mount_would_show(
    bwrap: Bwrap, work: Path, tmp_path: Path
) -> None:
    """The folder is empty inside: there is nothing to cover, and no place for it."""
    runtime = bwrap.hidden[2]
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(runtime / "s"))
        done = await bwrap.run(shell(work, f"ls {runtime}; echo end", Mount(source=tmp_path, target=tmp_path)))
    assert (done.code, done.output) == (0, b"end\n")
