"""A repair task: a small repository with a red test, and tests that the repairer does not see.

    FOLDER/NAME/repo/       the repository's files as the repairer gets them
    FOLDER/NAME/oracle/     files that are laid over the repaired tree to judge it; may be absent
    FOLDER/NAME/task.json   {"red": ["tests/test_a.py::test_b"], "kind": "", "known_red": [], "python": null}

``red`` are the test functions that fail and have to pass, ``known_red`` those that fail for another reason and do not
count, ``python`` the environment that runs the tests (null: found as for any repository): a folder, which is read. A
program that a task names is not started: who wrote the task is not the owner of this machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pydantic import Field, ValidationError

from ledger.errors import ConfigError
from ledger.ids import sha256_hex
from ledger.paths import read_regular
from ledger.vocabulary import Frozen

LARGEST_BYTES = 1024 * 1024


class TaskFile(Frozen):
    """``task.json``."""

    red: tuple[str, ...] = Field(min_length=1)
    kind: str = ""
    known_red: tuple[str, ...] = ()
    python: str | None = None


class Task(Frozen):
    """One task, as found in its folder."""

    name: str
    folder: Path
    about: TaskFile

    @property
    def repo(self) -> Path:
        return self.folder / "repo"

    @property
    def oracle(self) -> Path:
        return self.folder / "oracle"


def read_tasks(folder: Path, only: tuple[str, ...] = ()) -> tuple[Task, ...]:
    """The tasks below ``folder``, by name; ``only`` those named. Raises ``ConfigError`` for one that is not whole."""
    if not folder.is_dir():
        raise ConfigError(f"{folder} is not a folder.", remedy="Name a folder of tasks; `ouro bench mine` makes one.")
    places = sorted(place.parent for place in folder.glob("*/task.json"))
    known = {place.name for place in places}
    if not places:
        raise ConfigError(f"There are no tasks in {folder}.", remedy="A task is a folder with repo/ and task.json.")
    for name in only:
        if name not in known:
            raise ConfigError(
                f"There is no task {name!r} in {folder}.", remedy=f"There is: {', '.join(sorted(known))}."
            )
    return tuple(_read(place) for place in places if not only or place.name in only)


def drawn(tasks: Sequence[Task], most: int | None) -> tuple[Task, ...]:
    """``most`` of the tasks, in their order: always the same ones, a smaller draw being part of a larger one. Pure."""
    names = {task.name for task in sorted(tasks, key=lambda task: sha256_hex(task.name.encode()))[:most]}
    return tuple(task for task in tasks if task.name in names)


def _read(place: Path) -> Task:
    file = place / "task.json"
    try:
        data = read_regular(file, LARGEST_BYTES + 1)
        if len(data) > LARGEST_BYTES:
            raise ConfigError(f"{file} is larger than {LARGEST_BYTES} bytes.", remedy="See `ouro bench repair --help`.")
        about = TaskFile.model_validate_json(data)
    except OSError as error:
        raise ConfigError(f"{file} cannot be read: {error.strerror}.", remedy="Put a file there.") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{file}: {where}: {first['msg']}.", remedy="See `ouro bench repair --help`.") from error
    if not (place / "repo").is_dir():
        raise ConfigError(f"{place} has no folder repo/.", remedy="Put the task's files there.")
    python = about.python
    if python is not None and ("\0" in python or not (place / python / "bin").is_dir()):
        raise ConfigError(
            f"{file}: python is no folder of an environment.",
            remedy="Name one, like .venv: a program that a task names is not started.",
        )
    return Task(name=place.name, folder=place, about=about)
