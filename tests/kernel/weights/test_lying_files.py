"""Files of weights that claim more than they hold: a sentence, in no time and no room."""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

import pytest

from kernel.engine.model.config import config_from_published
from kernel.weights.gguf_file import read_head
from kernel.weights.published_folder import read_json
from kernel.weights.safetensors_file import read_table
from ledger.errors import OuroError

LENGTH = 2**36  # of a sparse file, which holds nothing
CONFIG = {
    "model_type": "llama",
    "vocab_size": 100,
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 1,
    "num_attention_heads": 4,
    "max_position_embeddings": 64,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1e4,
}


def gguf(values: int = 0, tensors: int = 0, rest: bytes = b"") -> bytes:
    return b"GGUF" + struct.pack("<IQQ", 3, tensors, values) + rest


def entry(kind: int, value: bytes) -> bytes:
    return struct.pack("<Q", 1) + b"a" + struct.pack("<I", kind) + value


@pytest.mark.parametrize(
    "head",
    [
        gguf(values=2**60),
        gguf(tensors=2**60),
        gguf(values=1, rest=entry(9, struct.pack("<IQ", 0, 3 * 10**9))),
        gguf(values=1, rest=entry(9, struct.pack("<IQ", 8, 10**9))),
        gguf(tensors=1, rest=struct.pack("<Q", 1) + b"t" + struct.pack("<I", 2**32 - 1)),
        gguf(values=1, rest=struct.pack("<Q", 2**63 + 5)),
    ],
)
def test_a_head_that_claims_too_much(tmp_path: Path, head: bytes) -> None:
    file = tmp_path / "a.gguf"
    file.write_bytes(head)
    os.truncate(file, LENGTH)
    with pytest.raises(OuroError, match="damaged"):
        read_head(file)


def test_an_alignment_that_is_none(tmp_path: Path) -> None:
    for value in (0, -7):
        key = struct.pack("<Q", 17) + b"general.alignment" + struct.pack("<Ii", 5, value)
        (tmp_path / "a.gguf").write_bytes(gguf(values=1, rest=key))
        assert read_head(tmp_path / "a.gguf").metadata == {"general.alignment": value}


def test_a_shape_without_an_end(tmp_path: Path) -> None:
    table = b'{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}'
    (tmp_path / "a").write_bytes(struct.pack("<Q", len(table)) + table + b"\0" * 8)
    with pytest.raises(OuroError, match="damaged"):
        read_table(tmp_path / "a")


@pytest.mark.parametrize(
    "wrong", [{"num_attention_heads": 0}, {"num_hidden_layers": 10**9}, {"num_attention_heads": float("inf")}]
)
def test_a_configuration_that_cannot_be(wrong: dict[str, float]) -> None:
    assert config_from_published(CONFIG).layers == 1
    with pytest.raises(OuroError, match="does not fit together"):
        config_from_published({**CONFIG, **wrong})


def test_a_description_larger_than_any_model_has(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert read_json(tmp_path / "config.json") == CONFIG
    os.truncate(tmp_path / "config.json", LENGTH)
    with pytest.raises(OuroError, match="larger"):
        read_json(tmp_path / "config.json")
