from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.control.messages import ApproveRequest, OpRef, RejectRequest
from daemon.control.token import Token, keep, own_state, read, renew
from daemon.lifecycle import one_boot
from daemon.settings.config import Config, Settings
from ledger.errors import ConfigError
from ledger.places import Places
from tests.repos import host_env, make_places, make_repo

SOMEBODY = 12345


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return make_places(tmp_path / "ours", make_repo(tmp_path / "repo"))


def names(places: Places) -> set[str]:
    return {path.name for path in places.state.iterdir()}


def test_it_is_random_private_and_new_with_every_boot(places: Places) -> None:
    before = names(places)
    one = renew(places)
    found = places.token.lstat()
    assert (stat.S_IMODE(found.st_mode), found.st_nlink, found.st_uid) == (0o600, 1, os.getuid())
    assert len(places.token.read_text().strip()) == 64 and int(one.reveal(), 16)
    two = renew(places)
    assert not two.matches(one.reveal()) and names(places) - before == {"control.token"}
    told = read(places.token)
    assert told is not None and told.matches(two.reveal())


def test_its_mode_is_right_whatever_the_umask_is(places: Places) -> None:
    before = os.umask(0o277)
    try:
        renew(places)
    finally:
        os.umask(before)
    assert stat.S_IMODE(places.token.lstat().st_mode) == 0o600


def test_init_makes_one_and_leaves_one_alone(places: Places) -> None:
    assert keep(places)
    made = places.token.read_text()
    assert not keep(places) and places.token.read_text() == made


def test_where_there_is_none(places: Places) -> None:
    assert read(places.token) is None
    own_state(places)


def test_it_never_prints_itself() -> None:
    token = Token("ab" * 32)
    assert "abab" not in f"{token!r} {token} {[token]}"
    assert token.matches("ab" * 32)
    for other in ("", "ab" * 31, "ab" * 33, "AB" * 32, "\udcff", "ä" * 64):
        assert not token.matches(other)


def _link(path: Path) -> None:
    target = path.with_name("elsewhere")
    target.write_text("ab" * 32)
    target.chmod(0o600)
    path.symlink_to(target)


def _second_name(path: Path) -> None:
    path.write_text("ab" * 32)
    path.chmod(0o600)
    os.link(path, path.with_name("also"))


def _loose(path: Path) -> None:
    path.write_text("ab" * 32)
    path.chmod(0o644)


def _of_another(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a file of another user")
    path.write_text("ab" * 32)
    path.chmod(0o600)
    os.chown(path, SOMEBODY, SOMEBODY)


ODD = {
    "a link": _link,
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a folder": Path.mkdir,
    "a pipe": os.mkfifo,
    "a second name": _second_name,
    "another mode": _loose,
    "another owner": _of_another,
}


@pytest.mark.parametrize("kind", ODD)
def test_what_is_no_private_file_of_ours_is_refused_and_left_alone(places: Places, kind: str) -> None:
    ODD[kind](places.token)
    before = places.token.lstat()
    for step in (renew, keep, own_state, lambda places: read(places.token)):
        with pytest.raises(ConfigError, match="control token") as caught:
            step(places)
        assert str(places.token) in caught.value.message and caught.value.remedy
        assert "ab" * 32 not in str(caught.value)
    assert places.token.lstat() == before


@pytest.mark.parametrize("text", ["", "abc", "g" * 64, "a" * 65, "a" * 5000])
def test_a_torn_one_is_not_shown_and_the_next_boot_replaces_it(places: Places, text: str) -> None:
    places.token.write_text(text)
    places.token.chmod(0o600)
    with pytest.raises(ConfigError, match="does not hold a token"):
        read(places.token)
    made = renew(places)
    told = read(places.token)
    assert told is not None and told.matches(made.reveal())


def test_a_disk_that_takes_nothing_is_told(places: Places) -> None:
    """As an ordinary user would meet it: root may write everywhere."""
    code = (
        "import os, sys\nfrom pathlib import Path\nfrom daemon.control.token import renew\n"
        "from ledger.errors import ConfigError\nfrom types import SimpleNamespace\n"
        "try:\n    renew(SimpleNamespace(token=Path('/proc/control.token')))\n"
        "except ConfigError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "cannot be written" in done.stdout, done.stderr


# --- answers without a daemon ----------------------------------------------------------------------------------------


def _state_of_another(places: Places) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(places.state, SOMEBODY, SOMEBODY)


def _state_link(places: Places) -> None:
    moved = places.state.with_name("moved")
    places.state.rename(moved)
    places.state.symlink_to(moved)


NOT_OURS = {
    "open to others": lambda places: places.state.chmod(0o755),
    "another owner": _state_of_another,
    "a link": _state_link,
    "a token that others can read": lambda places: _loose(places.token),
}


@pytest.mark.parametrize("kind", NOT_OURS)
async def test_without_a_daemon_nobody_answers_for_a_state_folder_that_is_not_his_alone(
    places: Places, kind: str
) -> None:
    NOT_OURS[kind](places)
    before = names(places)
    config = Config(settings=Settings(), places=places, env=host_env(), secret={}.get)
    for answer in (
        one_boot.decide(config, ApproveRequest(op="abcdef")),
        one_boot.decide(config, RejectRequest(op="abcdef")),
        one_boot.undo(config, OpRef(op="abcdef")),
    ):
        with pytest.raises(ConfigError, match="cannot be trusted"):
            await answer
    assert names(places) == before, "nothing was begun"
