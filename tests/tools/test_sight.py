"""What stands in a workspace: nothing is followed, nothing is missed."""

from __future__ import annotations

import os
from pathlib import Path

from tools.tree_snapshot import differing, take_snapshot


def test_a_change_that_times_do_not_tell(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    root.mkdir()
    (root / "a.py").write_text("a = 1\n")
    before = take_snapshot(root, limit=100, stamp=tmp_path / "now")
    assert differing(root, before, before) == []
    (root / "a.py").write_text("a = 2\n")
    assert differing(root, before, before) == ["a.py"], "as if the file system's clock had stood still"


def test_everything_is_seen_and_no_link_is_followed(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    (root / "shut/in").mkdir(parents=True)
    (root / "shut/in/x").write_text("x")
    (root / "mount/y").mkdir(parents=True)
    (root / "away").symlink_to("/usr")
    os.mkfifo(root / "pipe")
    (root / "shut").chmod(0)
    sight = take_snapshot(root, mounts={"mount"}, limit=100)
    assert set(sight.files) == {"shut/in/x", "away", "pipe"} and sight.folders == {"shut", "shut/in"}
    assert [path for path, seen in sight.files.items() if seen.regular] == ["shut/in/x"]
    assert take_snapshot(root, limit=3).flooded and not take_snapshot(root, limit=100).flooded
