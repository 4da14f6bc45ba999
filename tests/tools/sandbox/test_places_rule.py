"""Which folders may be shown because a setting names them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ledger.places import Places
from tools.sandbox.places_rule import forbidden_place

ME = Path("/home/me")
PLACES = Places(
    repo=ME / "work/proj", git_dir=ME / "work/proj/.git", common_dir=ME / "work/proj/.git", repo_id="0" * 12,
    state=ME / ".local/state/ouroboros/0", cache=ME / ".cache/ouroboros", config=ME / ".config/ouroboros",
    runtime=Path("/run/user/1000/ouroboros"), home=ME,
)  # fmt: skip


@pytest.mark.parametrize(
    "path",
    [
        "/", "/home", ME, ME / "work", ME / "work/proj", ME / ".ssh", ME / ".ssh/hooks", ME / ".config",
        ME / ".config/gh/hooks", ME / ".local/state", PLACES.state, PLACES.keys,
        ME / ".cache/ouroboros/hooks", "/home/you", "/home/you/hooks", Path("/root", "hooks"), "/run/hooks", "/etc",
        "/etc/git",
        "/tmp", "/tmp/hooks", "/var/tmp/hooks", "/dev/shm", "/proc/self", "/run/user/1000/ouroboros/x",
    ],
)  # fmt: skip
def test_nobody_may_have_these_shown(path: Path | str) -> None:
    for named_by_owner in (True, False):
        assert forbidden_place(Path(path), PLACES, named_by_owner=named_by_owner)


@pytest.mark.parametrize("path", [ME / "hooks", ME / "work/hooks", "/usr/share/hooks", "/opt/team/hooks"])
def test_these_are_plain_folders(path: Path | str) -> None:
    assert forbidden_place(Path(path), PLACES, named_by_owner=False) is None


@pytest.mark.parametrize("path", [ME / ".githooks", ME / ".config/git/hooks", ME / ".local/bin"])
def test_dotted_folders_are_shown_where_the_owner_names_them(path: Path) -> None:
    assert forbidden_place(path, PLACES, named_by_owner=True) is None
    assert "the repository's own settings" in (forbidden_place(path, PLACES, named_by_owner=False) or "")


def test_links_are_seen_through(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (tmp_path / "elsewhere/keys").mkdir(parents=True)
    home.mkdir()
    (home / ".ssh").symlink_to(tmp_path / "elsewhere/keys")
    (home / "hooks").symlink_to(home / ".ssh")
    places = replace(PLACES, home=home)
    assert forbidden_place(home / "hooks", places, named_by_owner=True)
