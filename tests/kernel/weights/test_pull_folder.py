"""Fetching weights of several files, whose publisher names no sums: pinned by the first complete pull."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from kernel.cancel import CancelToken
from kernel.weights import store
from kernel.weights.convert import convert_weights
from kernel.weights.pull import PullResult, pull_weights
from kernel.weights.registry import HuggingFaceSource, PublishedFile, Source, Weights, load_registry
from kernel.weights.settings import PullSettings
from kernel.weights.store import read_sums
from ledger.errors import OuroError, ProviderUnavailable
from tests.kernel.tiny_ouro import write_tiny_ouro
from tests.kernel.weights.converting import config_in, made, quiet
from tests.kernel.weights.hosts import Host, serving

SETTINGS = PullSettings(spare_disk_mb=0, connect_timeout_s=2.0, idle_timeout_s=2.0)
NEEDED = ("config.json", "tokenizer.json", "model.safetensors")
OPTIONAL = ("tokenizer_config.json", "chat_template.jinja", "generation_config.json")


@pytest.fixture(scope="module")
def published(kernel_extra: None, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A model's repository, by file."""
    folder = write_tiny_ouro(tmp_path_factory.mktemp("hub") / "ouro").folder
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def described(files: dict[str, bytes], *sources: Source) -> Weights:
    """As the registry describes Ouro: only the size of the tensors is known."""
    size = len(files["model.safetensors"])
    return Weights(
        folder="ouro",
        files=(
            *(PublishedFile(name=name) for name in NEEDED[:2]),
            *(PublishedFile(name=name, optional=True) for name in OPTIONAL),
            PublishedFile(name=NEEDED[2], bytes=size),
        ),
        sources=sources,
    )


def fetch(models: Path, weights: Weights) -> PullResult:
    return pull_weights("ouro", weights, models_dir=models, progress=quiet, settings=SETTINGS)


def there(models: Path) -> set[str]:
    return {path.name for path in (models / "ouro").iterdir()} if (models / "ouro").exists() else set()


def test_the_registry_knows_all_four() -> None:
    registry = load_registry()
    for name, repo, size in (
        ("ouro-1.4b", "ByteDance/Ouro-1.4B", 2_869_336_434),
        ("ouro-1.4b-thinking", "ByteDance/Ouro-1.4B-Thinking", 2_869_336_434),
        ("ouro-2.6b", "ByteDance/Ouro-2.6B", 5_336_011_242),
        ("ouro-2.6b-thinking", "ByteDance/Ouro-2.6B-Thinking", 5_336_011_242),
    ):
        weights = registry.find(name)
        assert (weights.folder, weights.bytes, weights.pinned) == (name, size, False)
        assert {file.name for file in weights.files if not file.optional} == set(NEEDED)
        (source,) = weights.sources
        assert isinstance(source, HuggingFaceSource) and source.repo == repo
        assert source.url("config.json") == f"https://huggingface.co/{repo}/resolve/main/config.json"


def test_all_files_come_and_their_sums_are_kept(published: dict[str, bytes], tmp_path: Path) -> None:
    with serving(Host(b"", files=published)) as host:
        weights = described(published, host.source)
        assert store.short_sum(tmp_path, weights) == "unpinned" and not store.is_published(tmp_path, weights)
        pulled = fetch(tmp_path, weights)
        assert host.names == [*NEEDED[:2], *OPTIONAL, NEEDED[2]]
        asked = len(host.names)
        assert fetch(tmp_path, weights) == pulled and len(host.names) == asked
    assert pulled.path == tmp_path / "ouro"
    assert pulled.note.startswith("Its publisher gives no checksums: those of the first pull are kept in sums.json")
    assert there(tmp_path) == {*published, "sums.json"}  # two of the optional ones are not published
    sums = read_sums(tmp_path / "ouro")
    assert {name: (file.bytes, file.sha256) for name, file in sums.items()} == {
        name: (len(data), hashlib.sha256(data).hexdigest()) for name, data in published.items()
    }
    assert store.is_published(tmp_path, weights)

    folder = convert_weights("ouro", weights, form="bf16", models_dir=tmp_path, progress=quiet, cancel=CancelToken())
    assert folder.name == f"ouro-{store.short_sum(tmp_path, weights)}-v3-bf16"
    assert config_in(folder).gate
    assert json.loads((folder / store.STAMP).read_text())["sums"] == {n: f.sha256 for n, f in sums.items()}


def test_what_rotted_later_is_noticed_and_fetched_again(published: dict[str, bytes], tmp_path: Path) -> None:
    with serving(Host(b"", files=published)) as host:
        weights = described(published, host.source)
        fetch(tmp_path, weights)
        path = tmp_path / "ouro" / "model.safetensors"
        path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))
        with pytest.raises(OuroError, match=r"model\.safetensors is not the file that its publisher released"):
            convert_weights("ouro", weights, form="bf16", models_dir=tmp_path, progress=quiet, cancel=CancelToken())
        assert made(tmp_path) == []
        del host.names[:]
        fetch(tmp_path, weights)
        assert host.names == ["model.safetensors"]
        assert path.read_bytes() == published["model.safetensors"]


def test_a_publisher_who_changes_a_file_is_not_followed(published: dict[str, bytes], tmp_path: Path) -> None:
    changed = published | {"config.json": published["config.json"].replace(b"0.02", b"0.03")}
    with serving(Host(b"", files=published)) as host:
        weights = described(published, host.source)
        fetch(tmp_path, weights)
        (tmp_path / "ouro" / "config.json").unlink()
        assert not store.is_published(tmp_path, weights)
        host.files = changed
        with pytest.raises(ProviderUnavailable, match="not the released one"):
            fetch(tmp_path, weights)
        assert not (tmp_path / "ouro" / "config.json").exists()
        host.files = published
        fetch(tmp_path, weights)


def test_an_interrupted_pull_counts_for_nothing_and_goes_on(published: dict[str, bytes], tmp_path: Path) -> None:
    data = published["model.safetensors"]
    with serving(Host(b"", files=published, cut_after=len(data) // 2)) as host:
        weights = described(published, host.source)
        with pytest.raises(ProviderUnavailable, match="RemoteProtocolError"):
            fetch(tmp_path, weights)
        host.cut_after = None
        host.files = {name: content for name, content in published.items() if name != "model.safetensors"}
        with pytest.raises(ProviderUnavailable, match="status 404"):
            fetch(tmp_path, weights)
        partial = store.partial_path(tmp_path / "ouro" / "model.safetensors")
        assert there(tmp_path) == {"config.json", "tokenizer.json", "tokenizer_config.json", partial.name}
        assert not store.is_published(tmp_path, weights)
        partial.write_bytes(data[:1000])
        host.files = published
        del host.names[:], host.asked[:]
        fetch(tmp_path, weights)
        assert host.names == [*OPTIONAL[1:], "model.safetensors"]
        assert host.asked[-1] == "bytes=1000-"
        assert (tmp_path / "ouro" / "model.safetensors").read_bytes() == data


PAGE = b"<!DOCTYPE html><html><body>Please log in</body></html>"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "chat_template.jinja", "model.safetensors"])
def test_a_page_of_the_network_is_not_taken_for_a_file(published: dict[str, bytes], tmp_path: Path, name: str) -> None:
    page = PAGE + bytes(len(published[name]) - len(PAGE)) if name == "model.safetensors" else PAGE
    with serving(Host(b"", files=published | {name: page})) as host:
        weights = described(published, host.source)
        with pytest.raises(ProviderUnavailable, match=f"The download is not a valid {name}"):
            fetch(tmp_path, weights)
    assert name not in there(tmp_path) and not any(file.endswith(".partial") for file in there(tmp_path))
    assert not store.is_published(tmp_path, weights)


def test_the_sum_that_the_hub_announces_must_be_right(published: dict[str, bytes], tmp_path: Path) -> None:
    """It names that of a large file on the way there; small files have a tag of another kind."""
    small = {"X-Linked-Etag": '"2aae6c35c94fcfb415dbe95f408b9ce91ee846ed"'}
    with serving(Host(b"", files=published, headers=small)) as host:
        fetch(tmp_path / "small", described(published, host.source))
    with serving(Host(b"", files=published, headers={"X-Linked-Etag": '"' + "0" * 64 + '"'})) as host:
        with pytest.raises(ProviderUnavailable, match="its sha256 differs"):
            fetch(tmp_path / "wrong", described(published, host.source))
        assert there(tmp_path / "wrong") == set()
    right = hashlib.sha256(published["model.safetensors"]).hexdigest()
    weights = described(published)
    only = weights.model_copy(update={"files": weights.files[-1:]})
    with serving(Host(b"", files=published, headers={"X-Linked-Etag": f'"{right}"'})) as host:
        fetch(tmp_path / "right", only.model_copy(update={"sources": (host.source,)}))


def test_a_file_of_another_size_is_refused(published: dict[str, bytes], tmp_path: Path) -> None:
    longer = published | {"model.safetensors": published["model.safetensors"] + b"more"}
    with (
        serving(Host(b"", files=longer)) as host,
        pytest.raises(ProviderUnavailable, match=r"bytes; \d+ were expected"),
    ):
        fetch(tmp_path, described(published, host.source))
    assert "model.safetensors" not in there(tmp_path)


def test_a_damaged_record_is_named(published: dict[str, bytes], tmp_path: Path) -> None:
    with serving(Host(b"", files=published)) as host:
        weights = described(published, host.source)
        fetch(tmp_path, weights)
        (tmp_path / "ouro" / "sums.json").write_text("{")
        with pytest.raises(OuroError, match=r"sums\.json is damaged") as caught:
            fetch(tmp_path, weights)
        assert "Delete it" in caught.value.remedy
