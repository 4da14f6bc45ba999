"""Reading small files that somebody else may have written."""

from __future__ import annotations

import os
from pathlib import Path

from ledger.paths import read_text


def test_a_file_is_read_as_far_as_the_limit_goes(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"home = x\n\xff\0")
    assert read_text(file) == "home = x\n\ufffd\0"
    assert read_text(file, most=4) == "home"
    with file.open("wb") as big:
        big.truncate(1 << 40)
    found = read_text(file, most=10)
    assert found is not None and len(found) == 10
    (tmp_path / "link").symlink_to(file)
    assert read_text(tmp_path / "link", most=3) == "\0\0\0"


def test_what_is_no_file_is_nothing_and_nobody_waits(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to_pipe").symlink_to("pipe")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "device").symlink_to("/dev/zero")
    for name in ("pipe", "to_pipe", "circle", "device", "gone", ".", "nul\0", "x" * 5000):
        assert read_text(tmp_path / name) is None, name
