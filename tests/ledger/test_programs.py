"""Programs are found where neither the repository nor everybody else writes, by whatever path one gets there."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import ProgramMissing
from ledger.places import HostEnv
from ledger.programs import find_program, folder_identities, trusted_path

SYSTEM = "/usr/bin:/bin"


def program(path: Path, mode: int = 0o755) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(mode)
    return path


def env(*folders: Path | str, repo: Path | None = None) -> HostEnv:
    found = folder_identities([repo] if repo else [])
    return HostEnv(variables={}, path=":".join(map(str, folders)), repository=found)


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    program(tmp_path / "repo/bin/tool")
    return tmp_path / "repo"


def test_the_first_that_may_be_run_is_taken(tmp_path: Path, repo: Path) -> None:
    good, other = program(tmp_path / "a/tool"), program(tmp_path / "b/tool")
    program(tmp_path / "z/tool", mode=0o644)
    assert find_program("tool", env(repo / "bin", tmp_path / "z", good.parent, other.parent, repo=repo)) == good
    assert find_program(str(other), env(repo=repo)) == other


@pytest.mark.parametrize("entry", ["", ".", "bin", "../repo/bin", "./bin", "bin/"])
def test_relative_entries_are_not_searched(repo: Path, entry: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(repo)
    with pytest.raises(ProgramMissing):
        find_program("tool", env(entry))
    assert trusted_path(f"{entry}:/bin", frozenset())[0] == "/bin"


@pytest.mark.parametrize("way", ["plain", "dots", "slashes", "linked folder", "linked program", "links of links"])
def test_the_repository_is_known_by_every_path(tmp_path: Path, repo: Path, way: str) -> None:
    (tmp_path / "out").mkdir()
    folder: Path | str = tmp_path / "out"
    if way == "plain":
        folder = repo / "bin"
    if way == "dots":
        folder = f"{tmp_path}/out/../repo/./bin"
    if way == "slashes":
        folder = f"/{repo}//bin/"
    if way == "linked folder":
        (folder := tmp_path / "link").symlink_to(repo / "bin")
    if way == "linked program":
        (tmp_path / "out/tool").symlink_to(repo / "bin/tool")
    if way == "links of links":
        (tmp_path / "second").symlink_to("repo")
        (tmp_path / "first").symlink_to("second/bin")
        (tmp_path / "out/tool").symlink_to("../first/tool")
    with pytest.raises(ProgramMissing, match="lies in the repository") as refused:
        find_program("tool", env(folder, repo=repo))
    assert refused.value.refused and str(refused.value.message).endswith("so it is not run.") and refused.value.remedy
    assert find_program("tool", env(folder)), "the trap itself works"


def test_a_link_of_the_repository_to_a_program_outside_is_its_word_too(tmp_path: Path, repo: Path) -> None:
    (repo / "chosen").symlink_to("/usr/bin/env")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/tool").symlink_to(repo / "chosen")
    with pytest.raises(ProgramMissing, match="lies in the repository"):
        find_program("tool", env(tmp_path / "out", repo=repo))


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_folder_of_everybody_is_not_searched(tmp_path: Path, mode: int) -> None:
    program(tmp_path / "all/tool")
    (tmp_path / "all").chmod(mode)
    with pytest.raises(ProgramMissing, match="is writable by every user"):
        find_program("tool", env(tmp_path / "all"))


def test_below_a_folder_of_everybody_only_where_others_cannot_rename(tmp_path: Path) -> None:
    found = program(tmp_path / "all/mine/tool")
    (tmp_path / "all").chmod(0o1777)
    assert find_program("tool", env(found.parent)) == found
    (tmp_path / "all").chmod(0o777)
    with pytest.raises(ProgramMissing, match="which is writable by every user"):
        find_program("tool", env(found.parent))


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a folder to another user")
def test_what_another_user_put_into_a_folder_of_everybody(tmp_path: Path) -> None:
    found = program(tmp_path / "all/theirs/tool")
    (tmp_path / "all").chmod(0o1777)
    os.chown(found.parent, 12345, 12345)
    with pytest.raises(ProgramMissing, match="another user"):
        find_program("tool", env(found.parent))


def test_a_program_that_everybody_can_change_is_not_run(tmp_path: Path) -> None:
    program(tmp_path / "a/tool", mode=0o777)
    with pytest.raises(ProgramMissing, match="is writable by every user"):
        find_program("tool", env(tmp_path / "a"))


def test_what_is_nowhere_is_missing_and_not_refused(tmp_path: Path) -> None:
    with pytest.raises(ProgramMissing, match="no-such-tool was not found") as missing:
        find_program("no-such-tool", env(tmp_path, "/usr/bin"))
    assert not missing.value.refused
    for name in ("a\0b", "bin/tool", "../x", "/nowhere/tool"):
        with pytest.raises(ProgramMissing):
            find_program(name, env(tmp_path))


def test_a_folder_that_was_left_out_before_is_named(tmp_path: Path, repo: Path) -> None:
    """The search path that children get is clean already: what was on it before is remembered."""
    path, left_out = trusted_path(f"{repo}/bin:/usr/bin", folder_identities([repo]))
    clean = replace(env(repo=repo), path=path, left_out=left_out)
    assert path == "/usr/bin"
    with pytest.raises(ProgramMissing, match="is in a folder that lies in the repository"):
        find_program("tool", clean)


BOUND = """
import sys
from pathlib import Path
from ledger.places import HostEnv
from ledger.programs import find_program, folder_identities
repo, point = map(Path, sys.argv[1:])
print(find_program("tool", HostEnv(variables={}, path=str(point))))
print(find_program("tool", HostEnv(variables={}, path=str(point), repository=folder_identities([repo]))))
"""


@pytest.mark.parametrize("part", ["", "bin"])
def test_a_mount_of_the_repository_or_of_a_part_of_it(tmp_path: Path, repo: Path, part: str) -> None:
    point = tmp_path / "other place"
    point.mkdir()
    script = 'mount --bind "$1/$2" "$3" && shift 3 && exec "$@"'
    shown = point / ("" if part else "bin")
    argv = ["unshare", "-m", "sh", "-c", script, "sh", repo, part, point, sys.executable, "-c", BOUND, repo, shown]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2])
    if done.stdout == "":
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()[-100:]}")
    assert done.stdout.strip() == str(shown / "tool"), "the trap itself works"
    assert "lies in the repository" in done.stderr


NAMES = st.sampled_from("abc")
ENTRIES = st.lists(
    st.tuples(st.sampled_from(["repo", "out"]), NAMES, st.sampled_from(["repo", "out", ".."]), NAMES), max_size=8
)


@given(ENTRIES, st.lists(st.tuples(st.sampled_from(["repo", "out"]), NAMES), max_size=4))
@settings(max_examples=60)
def test_whatever_links_there_are_nothing_below_the_repository_is_found(
    links: list[tuple[str, str, str, str]], path: list[tuple[str, str]]
) -> None:
    with tempfile.TemporaryDirectory() as name:
        base = Path(os.path.realpath(name))
        program(base / "repo/tool")
        program(base / "out/tool")
        for where, link, to, target in links:
            if not os.path.lexists(base / where / link):
                (base / where / link).symlink_to(base / to / target if to != ".." else Path("..", "repo"))
        folders = [str(base / where / link) for where, link in path]
        try:
            found = find_program("tool", env(*folders, repo=base / "repo"))
        except ProgramMissing:
            return
        assert not Path(os.path.realpath(found)).is_relative_to(base / "repo")
        assert not Path(os.path.realpath(found.parent)).is_relative_to(base / "repo")
