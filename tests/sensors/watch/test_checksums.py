"""Whether a file really changed: by what it holds, without following or waiting for anything, and in bounded memory."""

from __future__ import annotations

import os
from pathlib import Path

from sensors.watch.scope import Checksums, checksum


def sums(limit: int = 100, whole_bytes: int = 1_000) -> Checksums:
    return Checksums(limit=limit, whole_bytes=whole_bytes)


def test_only_another_content_or_mode_is_a_change(tmp_path: Path) -> None:
    path, known = tmp_path / "a", sums()
    path.write_text("one")
    assert known.changed([str(path)]) == [str(path)]
    path.write_text("one")
    os.utime(path, (1, 1))
    assert known.changed([str(path)]) == []
    path.chmod(0o755)
    assert known.changed([str(path)]) == [str(path)]
    path.unlink()
    assert known.changed([str(path)]) == [str(path)]
    assert known.changed([str(path)]) == []


def test_a_large_file_is_told_by_its_size_and_time_and_is_not_read(tmp_path: Path) -> None:
    path, known = tmp_path / "large", sums(whole_bytes=10)
    path.write_text("x" * 11)
    os.utime(path, (5, 5))
    assert known.changed([str(path)])
    path.write_text("y" * 11)
    os.utime(path, (5, 5))
    assert known.changed([str(path)]) == []
    os.utime(path, (6, 6))
    assert known.changed([str(path)])


def test_links_are_not_followed_and_pipes_not_waited_for(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("one")
    link.symlink_to("target")
    os.mkfifo(tmp_path / "pipe")
    told = [checksum(str(tmp_path / name), 1_000) for name in ("link", "pipe", "", "none")]
    assert told == ["link target", "special", "folder", "gone"]
    known = sums()
    known.changed([str(link)])
    target.write_text("two")
    assert known.changed([str(link)]) == []


def test_what_was_asked_about_last_is_what_is_remembered(tmp_path: Path) -> None:
    paths = [str(tmp_path / str(number)) for number in range(20)]
    for path in paths:
        Path(path).write_text("x")
    known = sums(limit=5)
    assert known.changed(paths) == paths
    assert known.changed(paths[-5:]) == []
    assert known.changed([paths[-5], paths[0]]) == [paths[0]]
    assert known.changed([paths[-5]]) == []  # asked about lately: it was the next oldest that went
    assert known.changed([paths[-4]]) == [paths[-4]]
    assert len(known._known) == 5
