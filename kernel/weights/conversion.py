"""The work of the converter's child process: a GGUF file becomes a folder that is mapped into memory at load.

Runs in a process of its own because dequantising holds the interpreter for long stretches and leaves memory behind.
Speaks to its parent in lines of JSON: ``{"done": slices, "total": slices}``.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from kernel.weights import store
from kernel.weights.gguf_file import GgufHead, TensorInfo, read_head
from kernel.weights.tensors import dequantise, model_name, row_bytes, to_bf16, to_int8
from kernel.weights.tokenizer_file import write_tokenizer
from ledger.errors import OuroError

if TYPE_CHECKING:
    import numpy as np

SLICE_NUMBERS = 8_000_000  # numbers dequantised at once; bounds the memory of one worker to some 200 MB
_WIDTH = {"BF16": 2, "F32": 4, "I8": 1}


class Job(BaseModel):
    """What the parent asks for."""

    published: Path
    sha256: str
    folder: Path  # exists and is empty
    form: store.Form
    tied_head: bool
    workers: int


@dataclass(frozen=True, slots=True)
class Target:
    """One tensor of the written file: where its bytes go."""

    name: str
    kind: str
    shape: tuple[int, ...]
    start: int

    @property
    def row_bytes(self) -> int:
        return _WIDTH[self.kind] * (self.shape[1] if len(self.shape) == 2 else 1)

    @property
    def size(self) -> int:
        return self.row_bytes * self.shape[0]


def main(argument: str) -> int:
    """Entry of the child; ``argument`` is a ``Job`` as JSON."""
    threading.Thread(target=end_with_parent, daemon=True).start()
    job = Job.model_validate_json(argument)
    try:
        check_sum(job)
        head = read_head(job.published)
        (job.folder / "config.json").write_text(json.dumps(decoder_config(head, job), indent=1), encoding="utf-8")
        write_tokenizer(head, job.folder)
        write_tensors(head, job)
        stamp = {"sha256": job.sha256, "converter": store.CONVERTER_VERSION, "form": job.form}
        (job.folder / store.STAMP).write_text(json.dumps(stamp), encoding="utf-8")
    except (OuroError, OSError) as error:
        print(error, file=sys.stderr)  # the parent shows the last line
        return 1
    return 0


def end_with_parent() -> None:
    """The parent holds the other end of stdin: when it is gone, nobody waits for the result."""
    while os.read(0, 1):
        pass
    os._exit(1)


def check_sum(job: Job) -> None:
    with job.published.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != job.sha256:
        raise OuroError(
            f"{job.published.name} is not the file that its publisher released: its sha256 is {found[:12]}...."
        )


def decoder_config(head: GgufHead, job: Job) -> dict[str, object]:
    """``config.json`` in the form that the model class reads."""
    architecture = head.text("general.architecture")
    if architecture != "qwen2":
        raise OuroError(f"Weights of the architecture {architecture!r} cannot be converted.")

    def number(key: str) -> int:
        return int(head.number(f"{architecture}.{key}"))

    theta = float(head.number(f"{architecture}.rope.freq_base"))
    return {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": architecture,
        "hidden_size": number("embedding_length"),
        "intermediate_size": number("feed_forward_length"),
        "num_hidden_layers": number("block_count"),
        "num_attention_heads": number("attention.head_count"),
        "num_key_value_heads": number("attention.head_count_kv"),
        "max_position_embeddings": number("context_length"),
        "rms_norm_eps": float(head.number(f"{architecture}.attention.layer_norm_rms_epsilon")),
        "rope_theta": theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        "hidden_act": "silu",
        "vocab_size": head.tensors["token_embd.weight"].shape[0],
        "tie_word_embeddings": job.tied_head or "output.weight" not in head.tensors,
        "bos_token_id": int(head.number("tokenizer.ggml.bos_token_id")),
        "eos_token_id": int(head.number("tokenizer.ggml.eos_token_id")),
        "dtype": "bfloat16",
    }


def wanted(head: GgufHead, job: Job) -> Iterator[tuple[str, TensorInfo]]:
    """Parameters of the model and the stored tensor that each is made from.

    int8 keeps the embedding table in bf16 (it is looked up, not multiplied) and so has a head of its own.
    """
    output = head.tensors.get("output.weight", head.tensors["token_embd.weight"])
    for info in head.tensors.values():
        name = model_name(info.name)
        if name is None:
            raise OuroError(f"The weights hold a tensor {info.name!r} that the decoder does not have.")
        if name == "model.embed_tokens.weight":
            yield name, output if job.tied_head else info
        elif name != "lm_head.weight":
            yield name, info
    if job.form == "int8" or not (job.tied_head or output.name == "token_embd.weight"):
        yield "lm_head.weight", output


def layout(head: GgufHead, job: Job) -> list[tuple[TensorInfo, Target, Target | None]]:
    """Source, target and (int8) target of the scales, in the order of the written file."""
    at = 0
    plan: list[tuple[TensorInfo, Target, Target | None]] = []

    def place(name: str, kind: str, shape: tuple[int, ...]) -> Target:
        nonlocal at
        target = Target(name, kind, shape, at)
        at += target.size  # the format allows no gap between tensors
        return target

    for name, info in wanted(head, job):
        if job.form == "int8" and len(info.shape) == 2 and name != "model.embed_tokens.weight":
            scales = place(f"{name}_scale", "F32", (info.shape[0],))
            plan.append((info, place(name, "I8", info.shape), scales))
        else:
            kind = "F32" if job.form == "int8" and len(info.shape) == 1 else "BF16"
            plan.append((info, place(name, kind, info.shape), None))
    return plan


def write_tensors(head: GgufHead, job: Job) -> None:
    """One safetensors file; slices of rows are converted by several threads and written where they belong."""
    import numpy as np

    plan = layout(head, job)
    targets = [t for _, target, scales in plan for t in (target, scales) if t is not None]
    table: dict[str, object] = {
        t.name: {"dtype": t.kind, "shape": t.shape, "data_offsets": [t.start, t.start + t.size]} for t in targets
    }
    raw = np.memmap(job.published, dtype=np.uint8, mode="r")
    text = json.dumps(table).encode()
    text += b" " * (-(len(text) + 8) % 64)  # so that the first tensor starts on a round address
    with (job.folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.flush()
        base, out = 8 + len(text), file.fileno()
        os.ftruncate(out, base + max(t.start + t.size for t in targets))
        with ThreadPoolExecutor(job.workers) as pool:
            slices = [
                pool.submit(convert_slice, raw, out, base, info, target, scales, first)
                for info, target, scales in plan
                for first in range(0, info.shape[0], slice_rows(info))
            ]
            for done, finished in enumerate(as_completed(slices), 1):
                finished.result()
                print(json.dumps({"done": done, "total": len(slices)}), flush=True)
        os.fsync(out)


def slice_rows(info: TensorInfo) -> int:
    columns = info.shape[1] if len(info.shape) == 2 else 1
    return max(1, SLICE_NUMBERS // columns)


def convert_slice(
    raw: np.memmap[tuple[int], np.dtype[np.uint8]],
    out: int,
    base: int,
    info: TensorInfo,
    target: Target,
    scales: Target | None,
    first: int,
) -> None:
    """Dequantise rows ``first`` and on, write them in the target's form."""
    rows = min(slice_rows(info), info.shape[0] - first)
    if len(info.shape) == 1:  # one-dimensional tensors are small and stored as plain floats
        stored = raw[info.offset : info.offset + row_bytes(info.shape[0], info.kind)]
        values = dequantise(stored[None, :], info.kind, info.shape[0])[0, first : first + rows, None]
    else:
        width = row_bytes(info.shape[1], info.kind)
        begin = info.offset + first * width
        values = dequantise(raw[begin : begin + rows * width].reshape(rows, width), info.kind, info.shape[1])
    at = base + target.start + first * target.row_bytes
    if scales is not None:
        numbers, scale = to_int8(values)
        os.pwrite(out, numbers.tobytes(), at)
        os.pwrite(out, scale.tobytes(), base + scales.start + first * scales.row_bytes)
    else:
        os.pwrite(out, (to_bf16(values) if target.kind == "BF16" else values).tobytes(), at)
