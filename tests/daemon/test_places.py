from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from pathlib import Path

import pytest

from daemon.settings.places import host_env, make_folders, places_for
from ledger.errors import ConfigError, RepositoryError
from tests.daemon.other_user import SOMEBODY, environ_for_somebody, python_for_somebody
from tests.daemon.other_user import theirs as theirs
from tests.repos import git, make_repo


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "XDG_RUNTIME_DIR": str(runtime)}


def test_places_of_a_repository(tmp_path: Path, environ: dict[str, str]) -> None:
    repo = make_repo(tmp_path / "repo", {"pkg/a.py": ""})
    places = places_for(repo / "pkg", environ)
    assert places.repo == repo
    assert places.git_dir == places.common_dir == repo / ".git"
    assert places.repo_id == hashlib.sha256(str(repo / ".git").encode()).hexdigest()[:12]
    home = Path(environ["HOME"])
    assert places.state == home / ".local/state/ouroboros" / places.repo_id
    assert places.cache == home / ".cache/ouroboros"
    assert places.config == home / ".config/ouroboros"
    assert places.socket == tmp_path / "run/ouroboros" / f"{places.repo_id}.sock"
    assert not home.exists(), "asking creates nothing"


def test_folders_can_be_moved_and_relative_ones_count_as_unset(tmp_path: Path, environ: dict[str, str]) -> None:
    repo = make_repo(tmp_path / "repo")
    moved = {**environ, "XDG_STATE_HOME": str(tmp_path / "s"), "XDG_CACHE_HOME": "relative"}
    places = places_for(repo, moved)
    assert places.state == tmp_path / "s/ouroboros" / places.repo_id
    assert places.cache == Path(environ["HOME"]) / ".cache/ouroboros"


def test_a_linked_worktree_shares_the_identity(tmp_path: Path, environ: dict[str, str]) -> None:
    repo = make_repo(tmp_path / "repo")
    git(repo, "worktree", "add", "-q", str(tmp_path / "second"))
    one, two = places_for(repo, environ), places_for(tmp_path / "second", environ)
    assert one.repo_id == two.repo_id and one.repo != two.repo
    assert two.common_dir == one.common_dir and two.git_dir != one.git_dir


@pytest.mark.parametrize("name", ["new\nline", "end\n"])
def test_a_path_with_a_line_break_is_refused(tmp_path: Path, environ: dict[str, str], name: str) -> None:
    repo = make_repo(tmp_path / name / "repo")
    with pytest.raises(RepositoryError, match="holds a line break"):
        places_for(repo, environ)


def test_a_git_folder_whose_name_has_a_line_break_is_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    repo = make_repo(tmp_path / "repo")
    (repo / ".git").rename(tmp_path / "odd\nfalse")
    (repo / ".git").write_text(f"gitdir: {tmp_path}/odd\nfalse")
    with pytest.raises(RepositoryError):
        places_for(repo, environ)


def test_a_link_to_a_repository_is_the_repository(tmp_path: Path, environ: dict[str, str]) -> None:
    repo = make_repo(tmp_path / "repo")
    (tmp_path / "link").symlink_to(repo)
    assert places_for(tmp_path / "link", environ) == places_for(repo, environ)


def test_inherited_git_variables_do_not_redirect(tmp_path: Path, environ: dict[str, str]) -> None:
    repo, other = make_repo(tmp_path / "repo"), make_repo(tmp_path / "other")
    assert places_for(repo, {**environ, "GIT_DIR": str(other / ".git")}).repo == repo


@pytest.mark.parametrize("kind", ["nothing", "file", "no repository", "bare", "git folder"])
def test_what_is_not_a_checkout_is_refused_in_a_sentence(tmp_path: Path, environ: dict[str, str], kind: str) -> None:
    path = tmp_path / "x"
    if kind == "file":
        path.write_text("")
    elif kind != "nothing":
        path.mkdir()
    if kind == "bare":
        git(path, "init", "-q", "--bare")
    if kind == "git folder":
        path = make_repo(path) / ".git"
    ceiling = {**environ, "GIT_CEILING_DIRECTORIES": str(tmp_path)}
    with pytest.raises(RepositoryError) as caught:
        places_for(path, ceiling)
    assert caught.value.remedy and caught.value.message.endswith(".") and "fatal" not in caught.value.message


def test_without_git_there_is_a_clear_sentence(tmp_path: Path, environ: dict[str, str]) -> None:
    repo = make_repo(tmp_path / "repo")
    with pytest.raises(RepositoryError, match="git cannot be started"):
        places_for(repo, {**environ, "PATH": str(tmp_path)})


def test_a_runtime_folder_of_others_is_not_used(tmp_path: Path, environ: dict[str, str]) -> None:
    repo = make_repo(tmp_path / "repo")
    (tmp_path / "run").chmod(0o777)
    assert not places_for(repo, environ).runtime.is_relative_to(tmp_path)


def test_a_socket_path_that_is_too_long_is_not_used(tmp_path: Path, environ: dict[str, str]) -> None:
    repo = make_repo(tmp_path / "repo")
    deep = tmp_path / ("d" * 80)
    deep.mkdir(mode=0o700)
    places = places_for(repo, {**environ, "XDG_RUNTIME_DIR": str(deep)})
    assert len(os.fsencode(places.socket)) <= 107


def test_our_folders_are_private(tmp_path: Path, environ: dict[str, str]) -> None:
    places = places_for(make_repo(tmp_path / "repo"), environ)
    places.state.mkdir(parents=True, mode=0o755)
    make_folders(places)
    for folder in (places.state, places.cache, places.runtime, places.keys, places.journal, places.spool):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_link_in_place_of_our_folder_is_refused(tmp_path: Path, environ: dict[str, str]) -> None:
    places = places_for(make_repo(tmp_path / "repo"), environ)
    (tmp_path / "theirs").mkdir()
    places.runtime.symlink_to(tmp_path / "theirs")
    with pytest.raises(ConfigError):
        make_folders(places)


@pytest.mark.parametrize("folder", ["state", "cache", "runtime"])
@pytest.mark.parametrize("kind", ["a file", "a link to nowhere"])
def test_what_is_in_the_way_of_our_folder_is_named(
    tmp_path: Path, environ: dict[str, str], folder: str, kind: str
) -> None:
    places = places_for(make_repo(tmp_path / "repo"), environ)
    path: Path = getattr(places, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    if kind == "a file":
        path.write_text("")
    else:
        path.symlink_to("nowhere")
    with pytest.raises(ConfigError, match=str(path)) as caught:
        make_folders(places)
    assert caught.value.remedy


# --- a folder for the socket that somebody laid beforehand ------------------------------------------------------------


def _of_somebody(path: Path) -> None:
    path.mkdir(mode=0o700)
    os.chown(path, SOMEBODY, SOMEBODY)


def _open_to_others(path: Path) -> None:
    path.mkdir()
    path.chmod(0o777)


LAID = {
    "another user's": (_of_somebody, "it belongs to another user"),
    "a link": (lambda path: path.symlink_to("/tmp"), "it is not a folder"),
    "a link to nowhere": (lambda path: path.symlink_to("nowhere"), "it is not a folder"),
    "a file": (lambda path: path.write_text(""), "it is not a folder"),
    "open to others": (_open_to_others, "others can write to it"),
}


@pytest.mark.parametrize("place", ["run", "tmp"])
@pytest.mark.parametrize("kind", LAID)
def test_a_socket_folder_that_was_laid_beforehand_is_refused(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, place: str, kind: str
) -> None:
    if kind == "another user's" and os.geteuid() != 0:
        pytest.skip("only root can lay a folder of another user; root's is tried the other way round below")
    monkeypatch.setattr("daemon.settings.places.SHARED", tmp_path / "tmp")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o1777)
    lay, why = LAID[kind]
    laid = tmp_path / "run" / "ouroboros" if place == "run" else tmp_path / "tmp" / f"ouroboros-{os.getuid()}"
    lay(laid)
    if place == "tmp":
        environ = {**environ, "XDG_RUNTIME_DIR": str(tmp_path / "none")}
        if Path(f"/run/user/{os.getuid()}").exists():
            pytest.skip("this user has a runtime folder, so that the shared one is not asked")
    with pytest.raises(ConfigError) as caught:
        places_for(make_repo(tmp_path / "repo"), environ)
    assert str(laid) in caught.value.message and why in caught.value.message and caught.value.remedy


@pytest.mark.parametrize(("mode", "refused"), [(0o1777, False), (0o777, True), (0o755, False)])
def test_the_shared_folder_itself_has_to_keep_what_is_ours(
    tmp_path: Path, environ: dict[str, str], monkeypatch: pytest.MonkeyPatch, mode: int, refused: bool
) -> None:
    if Path(f"/run/user/{os.getuid()}").exists():
        pytest.skip("this user has a runtime folder, so that the shared one is not asked")
    monkeypatch.setattr("daemon.settings.places.SHARED", tmp_path / "tmp")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(mode)
    environ, repo = {**environ, "XDG_RUNTIME_DIR": str(tmp_path / "none")}, make_repo(tmp_path / "repo")
    if refused:
        with pytest.raises(ConfigError, match="sticky"):
            places_for(repo, environ)
    else:
        assert places_for(repo, environ).runtime.parent == tmp_path / "tmp"


AS_SOMEBODY = """
import os, sys
from pathlib import Path
from daemon.settings import places
from ledger.errors import ConfigError
places.SHARED = Path(sys.argv[1])
try:
    print(places._runtime({}, "0" * 12))
except ConfigError as error:
    print(error)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can lay what an ordinary user finds")
@pytest.mark.parametrize("kind", ["root's", "a link to his own", "his own"])
def test_an_ordinary_user_finds_a_socket_folder_that_root_laid(theirs: Path, kind: str) -> None:
    shared = theirs / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    laid = shared / f"ouroboros-{SOMEBODY}"
    if kind == "root's":
        laid.mkdir()
    elif kind == "his own":
        _of_somebody(laid)
    else:
        _of_somebody(theirs / "own")
        laid.symlink_to(theirs / "own")
    done = subprocess.run(
        [python_for_somebody(), "-c", AS_SOMEBODY, str(shared)], env=environ_for_somebody(), cwd=theirs,
        user=SOMEBODY, group=SOMEBODY, extra_groups=[], capture_output=True, text=True, check=True,
    )  # fmt: skip
    if kind == "his own":
        assert done.stdout.strip() == str(laid)
    else:
        assert f"{laid}: it " in done.stdout and "XDG_RUNTIME_DIR" in done.stdout


def test_the_environment_for_children_is_scrubbed() -> None:
    environ = {
        "PATH": "/bin",
        "LANG": "C",
        "GIT_DIR": "x",
        "OURO_PIPELINE__WORKERS": "1",
        "AWS_SECRET_ACCESS": "x",
        "api_key": "x",
        "GH_TOKEN": "x",
        "DB_PASSWORD": "x",
        "NOTIFY_SOCKET": "x",
        "WATCHDOG_USEC": "1",
    }
    assert dict(host_env(environ, ()).variables) == {"PATH": "/bin", "LANG": "C"}
    assert host_env({}, ()).path
