"""Weights of the owner's, by where they lie: described without reading them, and converted afresh when they change."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from kernel.weights import store
from kernel.weights.own import describe_weights, is_path
from ledger.errors import ConfigError
from tests.kernel.tiny import write_tiny
from tests.kernel.tiny_ouro import write_tiny_ouro
from tests.kernel.weights.converting import config_in, made, run_own


def test_a_path_is_told_from_a_name() -> None:
    assert is_path("/srv/models/x.gguf") and is_path("~/x") and is_path("models/x.gguf")
    assert not is_path("qwen2.5-coder-1.5b") and not is_path("ouro-2.6b-thinking")


def test_a_file_is_used_where_it_lies(kernel_extra: None, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    write_tiny(tmp_path / "mine")
    place = tmp_path / "mine" / "My model, Q4 (2).gguf"
    (tmp_path / "mine" / "tiny.gguf").rename(place)
    name, weights = describe_weights(place)
    models = tmp_path / "models"
    assert name == "My-model-Q4-2"
    assert weights.bytes == place.stat().st_size and not weights.is_folder
    assert store.published_path(models, weights) == store.file_path(models, weights, weights.files[0]) == place
    assert store.is_published(models, weights) and not models.exists()
    assert store.converted_folders(models, name, weights) == ()
    folder = run_own(place, models)
    assert folder == store.converted_folder(models, name, weights, "bf16")
    assert store.converted_folders(models, name, weights) == (folder,)
    assert config_in(folder).family == "qwen2"
    stamp = json.loads((folder / store.STAMP).read_text())
    assert len(stamp["sums"][place.name]) == 64
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_a_changed_file_has_another_folder(kernel_extra: None, tmp_path: Path) -> None:
    write_tiny(tmp_path)
    place = tmp_path / "tiny.gguf"
    first = run_own(place, tmp_path)
    assert run_own(place, tmp_path) == first
    stat = place.stat()
    os.utime(place, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert run_own(place, tmp_path) != first
    moved = tmp_path / "there" / "tiny.gguf"
    moved.parent.mkdir()
    place.rename(moved)
    run_own(moved, tmp_path)
    assert len(made(tmp_path)) == 3


def test_a_folder_changes_with_each_of_its_files(kernel_extra: None, tmp_path: Path) -> None:
    model = write_tiny_ouro(tmp_path / "ouro", shards=2)
    name, weights = describe_weights(model.folder)
    assert name == "ouro" and weights.is_folder
    assert {file.name for file in weights.files} == {path.name for path in model.folder.iterdir()}
    keys = {weights.own_key}
    for file in weights.files:
        (model.folder / file.name).touch()
        keys.add(describe_weights(model.folder)[1].own_key)
    (model.folder / "README.md").write_text("not read by anybody")
    keys.add(describe_weights(model.folder)[1].own_key)
    assert len(keys) == 1 + len(weights.files)


def test_a_home_folder_and_a_link(kernel_extra: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    model = write_tiny_ouro(tmp_path / "ouro")
    (tmp_path / "link").symlink_to(model.folder)
    assert describe_weights("~/ouro") == describe_weights(model.folder) == describe_weights(tmp_path / "link")


def refused(place: Path | str, said: str) -> str:
    with pytest.raises(ConfigError, match=said) as caught:
        describe_weights(place)
    assert caught.value.remedy
    return caught.value.remedy


def test_what_is_not_there_or_something_else(tmp_path: Path) -> None:
    refused("models/x.gguf", r"^models/x\.gguf is not an absolute path\.")
    refused("~nobody-of-that-name/x.gguf", "is in the home of an unknown user")
    os.mkfifo(tmp_path / "pipe.gguf")
    refused(tmp_path / "pipe.gguf", "is not a GGUF file")
    refused(tmp_path / "none.gguf", r"none\.gguf cannot be read: No such file or directory")
    other = tmp_path / "other.gguf"
    other.write_bytes(b"PK\x03\x04" + bytes(100))
    assert ".gguf" in refused(other, r"other\.gguf is not a GGUF file")
    other.write_bytes(b"")
    refused(other, "is not a GGUF file")
    pickle = tmp_path / "model.bin"
    pickle.write_bytes(b"\x80\x04")
    assert "safetensors" in refused(pickle, "is a pickle file, which can run arbitrary code")
    alone = tmp_path / "model.safetensors"
    alone.write_bytes(bytes(16))
    assert str(tmp_path) in refused(alone, "holds tensors only")


def test_folders_that_lack_something(kernel_extra: None, tmp_path: Path) -> None:
    model = write_tiny_ouro(tmp_path / "ouro", shards=2)
    index = json.loads((model.folder / "model.safetensors.index.json").read_text())
    shard = model.folder / index["weight_map"]["lm_head.weight"]
    kept = shard.read_bytes()
    shard.unlink()
    refused(model.folder, f"lacks {shard.name}, which model.safetensors.index.json names")
    for names in ({}, {"lm_head.weight": "../elsewhere.safetensors"}):
        (model.folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
        refused(model.folder, "does not name files of its folder")
    for path in model.folder.glob("model*"):
        path.unlink()
    assert ".gguf" in refused(model.folder, r"There is no model\.safetensors in ")
    (model.folder / "pytorch_model.bin").write_bytes(kept)
    assert "safetensors" in refused(model.folder, "as pickle files, which can run arbitrary code")
    (model.folder / "tokenizer.json").unlink()
    refused(model.folder, r"There is no tokenizer\.json in .*, its tokenizer")
    (model.folder / "config.json").unlink()
    refused(model.folder, r"There is no config\.json in .*, the model's configuration")


def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("nothing is forbidden to root")
    place = tmp_path / "x.gguf"
    place.write_bytes(b"GGUF")
    place.chmod(0)
    refused(place, "Permission denied")
