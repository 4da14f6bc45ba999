"""Task folders that somebody else wrote: nothing in them is started or written through, and none holds a command up."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from daemon.evaluation.judge import lay_over
from daemon.evaluation.report import read_results
from daemon.evaluation.tasks import read_tasks
from daemon.evaluation.trial import laid_out
from ledger.errors import ConfigError
from tests.repos import host_env, make_places, make_repo
from tools.testing.environment.detection import detect
from tools.testing.settings import TestSettings


def task_in(folder: Path, **about: object) -> Path:
    place = folder / "a"
    (place / "repo").mkdir(parents=True)
    (place / "task.json").write_text(json.dumps({"red": ["test_a.py::test_a"], **about}))
    return place


async def test_a_program_that_a_task_names_is_not_started(tmp_path: Path) -> None:
    place, started = task_in(tmp_path / "tasks", python="evil"), tmp_path / "started"
    (place / "evil").write_text(f"#!/bin/sh\ntouch {started}\n")
    (place / "evil").chmod(0o755)
    with pytest.raises(ConfigError, match="no folder of an environment"):
        read_tasks(tmp_path / "tasks")
    assert not started.exists()
    repo = make_repo(tmp_path / "repo", {"x.py": ""})  # the control: as a setting of the owner's it is started
    await detect(make_places(tmp_path / "ours", repo), TestSettings(python=str(place / "evil")), host_env())
    assert started.exists()


async def test_an_environment_that_a_task_names_is_taken(tmp_path: Path) -> None:
    place = task_in(tmp_path / "tasks", python=".venv")
    (place / ".venv" / "bin").mkdir(parents=True)
    (task,) = read_tasks(tmp_path / "tasks")
    _, own = await laid_out(task, tmp_path, dict(os.environ))
    assert own["OURO_TESTS__PYTHON"] == str((place / ".venv").resolve())


def test_hidden_tests_are_not_laid_through_links_of_the_tree(tmp_path: Path) -> None:
    oracle, root, outside = tmp_path / "oracle", tmp_path / "root", tmp_path / "outside"
    for folder in (oracle / "tests", oracle / "lib", root / "tests", outside):
        folder.mkdir(parents=True)
    (oracle / "tests" / "test_b.py").write_text("hidden")
    (oracle / "lib" / "x").write_text("hidden")
    (oracle / "out").symlink_to(outside)
    os.mkfifo(oracle / "pipe")
    (root / "lib").symlink_to(outside)
    (outside / "mine").write_text("mine")
    (root / "tests" / "test_b.py").symlink_to(outside / "mine")
    lay_over(oracle, root)
    assert (root / "tests" / "test_b.py").read_text() == (root / "lib" / "x").read_text() == "hidden"
    assert sorted(path.name for path in outside.iterdir()) == ["mine"] and (outside / "mine").read_text() == "mine"
    assert not (root / "out").is_symlink() and not (root / "pipe").exists()


@pytest.mark.parametrize("kind", ["pipe", "folder", "large", "deep"])
def test_what_is_no_task_is_told_in_a_sentence(tmp_path: Path, kind: str) -> None:
    file = task_in(tmp_path / "tasks") / "task.json"
    file.unlink()
    match kind:
        case "pipe":
            os.mkfifo(file)
        case "folder":
            file.mkdir()
        case "large":
            file.touch()
            os.truncate(file, 2**33)
        case _:
            file.write_text("[" * 100_000)
    with pytest.raises(ConfigError, match=r"task\.json"):
        read_tasks(tmp_path / "tasks")


def test_results_that_are_none_are_told_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xff\n{}")
    os.mkfifo(tmp_path / "b")
    for name in ("a", "b"):
        with pytest.raises(ConfigError, match="cannot be read as results"):
            read_results(tmp_path / name)
