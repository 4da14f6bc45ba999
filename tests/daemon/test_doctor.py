from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from daemon.lifecycle.doctor import Check, Examination, examine
from daemon.settings.places import places_for
from governance.changes.settings import ChangeSettings
from governance.changes.signing import ensure_identity
from tests.repos import git, make_repo
from tools.sandbox.remedy import BETTER, INSTALL, NOTHING
from tools.sandbox.types import Wall


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "run").mkdir(mode=0o700)
    return {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "XDG_RUNTIME_DIR": str(tmp_path / "run")}


def named(found: Examination) -> dict[str, Check]:
    return {check.name: check for check in found.checks}


async def test_everything_is_looked_at(tmp_path: Path, environ: dict[str, str]) -> None:
    repo = make_repo(tmp_path / "repo", {"test_a.py": "def test(): pass\n"})
    checks = named(await examine(repo, environ))
    expected = {"python", "git", "settings", "repository", "socket", "keys", "tests", "sandbox", "disk", "memory"}
    assert expected | {"inotify", "weights", "torch"} <= set(checks)
    assert all(checks[name].ok for name in ("python", "git", "settings", "repository", "socket", "keys"))
    assert "on main" in checks["repository"].detail
    assert not checks["weights"].ok and checks["weights"].remedy.startswith("ouro model pull ")


async def test_a_failed_essential_check_fails_the_examination(tmp_path: Path, environ: dict[str, str]) -> None:
    found = await examine(make_repo(tmp_path / "repo"), environ)
    assert not found.ok  # no weights in this home
    only_notes = tuple(check.model_copy(update={"essential": False}) for check in found.checks)
    assert Examination(checks=only_notes).ok


async def test_a_provider_without_weights_needs_none(tmp_path: Path, environ: dict[str, str]) -> None:
    repo = make_repo(tmp_path / "repo")
    environ["OURO_KERNEL__PROVIDER"] = "openai"
    checks = named(await examine(repo, environ))
    assert not checks["kernel"].ok and "kernel.openai.model" in checks["kernel"].remedy
    assert "without a key" in checks["kernel"].detail and "weights" not in checks
    there = {"OURO_KERNEL__OPENAI__MODEL": "m", "OURO_KERNEL__OPENAI__BASE_URL": "http://127.0.0.1:9/v1"}
    check = named(await examine(repo, {**environ, **there}))["kernel"]
    assert not check.ok and "every call is denied" in check.remedy and "OPENAI_API_KEY" in check.detail
    free = {f"OURO_KERNEL__OPENAI__PRICE_{way}_USD_MICRO": "0" for way in ("INPUT", "OUTPUT")}
    check = named(await examine(repo, {**environ, **there, **free}))["kernel"]
    assert check.ok and not check.remedy


async def test_weights_of_the_owners_own_are_looked_for_where_they_are_said_to_lie(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    repo, file = make_repo(tmp_path / "repo"), tmp_path / "own.gguf"
    environ["OURO_KERNEL__MODEL"] = str(file)
    check = named(await examine(repo, environ))["weights"]
    assert not check.ok and check.essential and str(file) in check.detail and ".gguf" in check.remedy
    file.write_bytes(b"GGUF" + bytes(60))
    check = named(await examine(repo, environ))["weights"]
    assert check.ok and str(file) in check.detail, check


async def test_every_settings_file_that_is_read_is_named(tmp_path: Path, environ: dict[str, str]) -> None:
    repo = make_repo(tmp_path / "repo")
    places = places_for(repo, environ)
    assert named(await examine(repo, environ))["settings"].detail == "defaults (no file)"
    places.config.mkdir(parents=True, exist_ok=True)
    for name in ("config.toml", f"{places.repo_id}.toml"):
        (places.config / name).write_text("")
        assert str(places.config / name) in named(await examine(repo, environ))["settings"].detail


async def test_what_init_makes_is_fine(tmp_path: Path, environ: dict[str, str]) -> None:
    """A public key may be read by everybody; a private one may not."""
    repo = make_repo(tmp_path / "repo", {"test_a.py": "def test(): pass\n"})
    identity = ensure_identity(places_for(repo, environ), ChangeSettings())
    public = identity.key.with_suffix(".pub")
    assert public.stat().st_mode & 0o044 and named(await examine(repo, environ))["keys"].ok
    identity.key.chmod(0o640)
    check = named(await examine(repo, environ))["keys"]
    assert not check.ok and check.remedy == f"chmod 600 {identity.key}"


async def test_an_unknown_model_and_a_repository_without_tests(tmp_path: Path, environ: dict[str, str]) -> None:
    repo = make_repo(tmp_path / "repo", {"a.py": "x = 1\n"})
    checks = named(await examine(repo, {**environ, "OURO_KERNEL__MODEL": "nope"}))
    assert not checks["weights"].ok and "ouro model pull" not in checks["weights"].remedy
    assert "qwen2.5-coder-1.5b" in checks["weights"].remedy
    assert not checks["test files"].ok and not checks["test files"].essential
    with_test = make_repo(tmp_path / "other", {"sub/a_test.py": "def test(): pass\n"})
    assert "test files" not in named(await examine(with_test, environ))


@pytest.mark.parametrize("kind", ["none", "bare", "merge", "config", "loose key"])
async def test_what_is_wrong_is_named_and_the_rest_still_looked_at(
    tmp_path: Path, environ: dict[str, str], kind: str
) -> None:
    repo = tmp_path / "repo"
    if kind == "none":
        repo.mkdir()
        environ["GIT_CEILING_DIRECTORIES"] = str(tmp_path)
    elif kind == "bare":
        repo.mkdir()
        git(repo, "init", "-q", "--bare")
    else:
        make_repo(repo)
    if kind == "merge":
        (repo / ".git" / "MERGE_HEAD").write_text(git(repo, "rev-parse", "HEAD") + "\n")
    if kind == "config":
        (repo / ".ouro").mkdir()
        (repo / ".ouro" / "config.toml").write_text("nonsense = 1\n")
    if kind == "loose key":
        await examine(repo, environ)
        keys = next((tmp_path / "home/.local/state/ouroboros").glob("*/keys"))
        (keys / "signing_ed25519").write_text("x")
        (keys / "signing_ed25519").chmod(0o644)
    found = await examine(repo, environ)
    wrong = {
        "none": "repository",
        "bare": "repository",
        "merge": "repository",
        "config": "settings",
        "loose key": "keys",
    }
    check = named(found)[wrong[kind]]
    assert not check.ok and check.essential and check.remedy and not found.ok
    assert named(found)["git"].ok
    if kind in ("merge", "config"):
        assert "sandbox" in named(found)


async def test_programs_that_the_repository_names_are_told_with_what_to_do(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    repo = make_repo(tmp_path / "repo")
    assert "git settings" not in named(await examine(repo, environ))
    git(repo, "config", "filter.strip.clean", "strip-output")
    check = named(await examine(repo, environ))["git settings"]
    assert not check.ok and not check.essential and "git config --global filter.strip.clean" in check.remedy
    (tmp_path / "home").mkdir(exist_ok=True)
    git(repo, "config", "--file", str(tmp_path / "home/.gitconfig"), "filter.strip.clean", "strip-output")
    assert "git settings" not in named(await examine(repo, environ))


def walls_of(found: Examination) -> dict[str, Check]:
    return {c.name.removeprefix("wall "): c for c in found.checks if c.name.startswith("wall ")}


def programs(folder: Path, *names: str) -> str:
    """A search path with some programs of this machine and no others."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(os.path.realpath(found))
    return str(folder)


async def test_every_wall_has_a_line_with_its_proof(tmp_path: Path, environ: dict[str, str]) -> None:
    found = await examine(make_repo(tmp_path / "repo"), environ)
    if not named(found)["sandbox"].detail.startswith("bwrap"):
        pytest.skip("bubblewrap does not work here: its walls are NOT tested")
    walls = walls_of(found)
    assert set(walls) == {wall.value for wall in Wall} and all(check.detail for check in walls.values())
    assert {name for name, check in walls.items() if not check.ok} == (
        {"process_limit"} if os.geteuid() == 0 else set()
    )
    assert all(check.remedy == "" if check.ok else "ordinary user" in check.remedy for check in walls.values())


async def test_without_bubblewrap_the_walls_that_are_missing_are_named(tmp_path: Path, environ: dict[str, str]) -> None:
    environ["PATH"] = programs(tmp_path / "bin", "git", "python3", "prlimit")
    found = await examine(make_repo(tmp_path / "repo"), environ)
    if not named(found)["sandbox"].ok:
        pytest.skip("the kernel has no Landlock: a machine without bubblewrap is NOT tested")
    walls = walls_of(found)
    assert named(found)["sandbox"].detail.startswith("landlock") and INSTALL in named(found)["sandbox"].remedy
    for name in ("process_namespace", "scratch_limit"):
        assert not walls[name].ok and walls[name].remedy == BETTER and not walls[name].essential
    assert walls["network"].ok and walls["write_outside"].ok


async def test_without_any_back_end_no_wall_holds(tmp_path: Path, environ: dict[str, str]) -> None:
    environ |= {"PATH": programs(tmp_path / "bin", "git", "python3"), "OURO_SANDBOX__BACKEND": "bwrap"}
    found = await examine(make_repo(tmp_path / "repo"), environ)
    assert not found.ok and INSTALL in named(found)["sandbox"].remedy and NOTHING in named(found)["sandbox"].remedy
    assert len(walls_of(found)) == len(Wall) and not any(check.ok for check in walls_of(found).values())
