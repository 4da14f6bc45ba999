"""Asking again before each run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ledger.errors import GitFailed, SandboxError
from tests.tools.testing.plain import PlainSandbox
from tools.sandbox.types import Job
from tools.testing.environment.guard import Guard, Guarded


def test_all_is_asked_once_and_again_after_each_change(tmp_path: Path) -> None:
    file, link, folder = tmp_path / "file", tmp_path / "link", tmp_path / "folder"
    file.touch()
    folder.mkdir()
    link.symlink_to("folder")
    asked: list[int] = []
    said: list[str | None] = [None]

    def look() -> str | None:
        asked.append(1)
        return said[0]

    guard = Guard(look=look, files=[file, tmp_path / "later"], steps=[folder, link])
    for change in (
        lambda: None,
        lambda: file.write_text("x"),
        lambda: (tmp_path / "later").touch(),
        lambda: (link.unlink(), link.symlink_to("folder")),
        lambda: (folder.rmdir(), folder.symlink_to("file")),
        lambda: os.replace(link, file),
    ):
        change()
        asked.clear()
        assert [guard.trouble(), guard.trouble()] == [None, None] and asked == [1]
    (tmp_path / "later").write_text("y")
    said[0] = "It is not."
    assert [guard.trouble(), guard.trouble()] == ["It is not.", "It is not."]
    said[0] = None
    assert guard.trouble() is None


async def test_nothing_else_that_sees_the_environment_is_run_then(tmp_path: Path) -> None:
    """Hooks, for instance."""
    said: list[str | None] = [None]
    plain = PlainSandbox(tmp_path)
    box = Guarded(plain, Guard(look=lambda: said[0], files=[tmp_path / "file"], steps=()))
    job = Job(argv=("/bin/true",), cwd=tmp_path, timeout_s=20)
    assert (await box.run(job)).code == 0 and (box.name, box.walls, box.maps_paths) == ("none", frozenset(), False)
    said[0] = "It is not."
    assert (await box.run(job)).code == 0
    (tmp_path / "file").touch()
    with pytest.raises(SandboxError, match="It is not"):
        await box.run(job)
    assert len(plain.jobs) == 2 and box.missing == plain.missing


def test_what_cannot_be_told_is_a_no(tmp_path: Path) -> None:
    def look() -> str | None:
        raise GitFailed("git cannot be started.", argv=("git",), code=-1, stderr="")

    said = Guard(look=look, files=(), steps=()).trouble()
    assert said is not None and said.endswith("cannot be determined: git cannot be started.")
