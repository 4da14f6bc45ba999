"""A published file becomes a folder that can be loaded: whole or not at all, by a real child process."""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from kernel.cancel import Cancelled, CancelToken
from kernel.weights import store
from kernel.weights.convert_child import ConversionJob
from kernel.weights.gguf_file import read_head
from ledger.errors import OuroError, ProviderUnavailable
from tests.kernel.tiny import LAYERS, WIDTH, Tiny, entry, write_tiny
from tests.kernel.weights.converting import made, run, run_own
from tests.kernel.weights.hosts import weights_of

BIG_INNER = 32_000  # large enough to be caught in the middle


def children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


@pytest.fixture(scope="module")
def big(kernel_extra: None, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return write_tiny(tmp_path_factory.mktemp("big"), inner=BIG_INNER)


def test_it_is_done_once_and_tells_how_far_it_is(kernel_extra: None, tmp_path: Path) -> None:
    model = write_tiny(tmp_path)
    seen: list[tuple[int, int, str]] = []
    folder = run(model, progress=lambda *step: seen.append(step))
    assert seen and seen[-1] == (len(seen), len(seen), "converting tiny")
    (model.folder / model.weights.file).unlink()
    assert run(model) == folder


def test_missing_weights_name_the_command(empty: Path) -> None:
    model = Tiny(folder=empty, weights=weights_of(b"x"), numbers={})
    with pytest.raises(ProviderUnavailable, match="ouro model pull tiny") as caught:
        run(model)
    assert caught.value.kind == "weights"


def test_a_file_that_rotted_is_refused(kernel_extra: None, tmp_path: Path) -> None:
    model = write_tiny(tmp_path)
    path = model.folder / model.weights.file
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(OuroError) as caught:
        run(model)
    assert "could not be converted: tiny.gguf is not the file that its publisher released" in caught.value.message
    assert "ouro model pull tiny" in caught.value.remedy
    assert made(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"hello" * 100, "is not a GGUF file"), (b"GGUF\x09\0\0\0" + bytes(64), "GGUF version 9 is not known")],
)
def test_a_file_of_another_kind_is_refused(kernel_extra: None, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "other.gguf"
    path.write_bytes(content)
    with pytest.raises(OuroError, match=said):
        run(Tiny(folder=tmp_path, weights=entry(path), numbers={}))
    assert made(tmp_path) == []


def gguf(folder: Path, architecture: str = "qwen2", **fields: object) -> Path:
    """A file with a head that can be read, and one tensor; ``fields``: ``add_`` methods of the writer."""
    import numpy as np
    from gguf import GGUFWriter

    path = folder / "odd.gguf"
    writer = GGUFWriter(path, architecture)
    for name, value in fields.items():
        getattr(writer, f"add_{name}")(value)
    writer.add_tensor("token_embd.weight", np.ones((64, 64), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


SIZES = {
    "block_count": 1,
    "context_length": 128,
    "embedding_length": 64,
    "feed_forward_length": 96,
    "head_count": 4,
    "head_count_kv": 2,
    "rope_freq_base": 1e4,
    "layer_norm_rms_eps": 1e-6,
}


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"architecture": "gemma2"}, "Weights of the architecture 'gemma2' cannot be converted"),
        ({}, r"has no value for 'qwen2\.embedding_length'"),
        (SIZES, r"lack model\.layers\.0\.input_layernorm\.weight, .* and 10 more"),
        (SIZES | {"head_count_kv": 3}, "4 query heads cannot share 3 key heads"),
    ],
)
def test_a_file_that_does_not_hold_a_decoder(
    kernel_extra: None, tmp_path: Path, fields: dict[str, Any], said: str
) -> None:
    with pytest.raises(OuroError, match=said) as caught:
        run_own(gguf(tmp_path, **fields), tmp_path)
    assert caught.value.message.startswith("The weights of odd could not be converted: ") and caught.value.remedy
    assert made(tmp_path) == []


def test_a_file_that_is_cut_off_behind_its_head(kernel_extra: None, tmp_path: Path) -> None:
    model = write_tiny(tmp_path)
    path = tmp_path / "tiny.gguf"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(OuroError, match=r"tiny\.gguf is cut off: \d+ bytes are missing"):
        run_own(path, tmp_path)
    assert made(tmp_path) == []
    assert model.weights.bytes == path.stat().st_size + 500


def patched(path: Path, old: bytes, new: bytes) -> None:
    raw = path.read_bytes()
    assert raw.count(old) == 1 and len(old) == len(new)
    path.write_bytes(raw.replace(old, new))


def test_a_tensor_that_the_decoder_does_not_have(kernel_extra: None, tmp_path: Path) -> None:
    write_tiny(tmp_path)
    path = tmp_path / "tiny.gguf"
    patched(path, b"blk.1.attn_q.bias", b"blk.1.attn_x.bias")
    with pytest.raises(OuroError, match=r"lack model\.layers\.1\.self_attn\.q_proj\.bias"):
        run_own(path, tmp_path)
    (tmp_path / "more").mkdir()
    write_tiny(tmp_path / "more", architecture="llama", pre="smollm", rope_factors=[1.0] * 8)
    path = tmp_path / "more" / "tiny.gguf"
    patched(path, b"rope_freqs.weight", b"rope_waves.weight")
    with pytest.raises(OuroError, match=r"have tensors that are not part of the decoder: rope_waves\.weight"):
        run_own(path, tmp_path)
    assert made(tmp_path) == []


@pytest.mark.parametrize(("kind", "said"), [(99, r"of a kind \(99\) that is not known"), (24, "of the kind I8, which")])
def test_numbers_of_a_kind_that_cannot_be_read(kernel_extra: None, tmp_path: Path, kind: int, said: str) -> None:
    import struct

    write_tiny(tmp_path)
    path = tmp_path / "tiny.gguf"
    shape = struct.pack("<IQ", 1, WIDTH)  # dimensions, then the kind
    patched(path, *(b"output_norm.weight" + shape + struct.pack("<I", one) for one in (0, kind)))
    with pytest.raises(OuroError, match=said):
        run_own(path, tmp_path)
    assert made(tmp_path) == []


def test_a_head_that_is_cut_off_is_refused_wherever_it_is_cut(kernel_extra: None, tmp_path: Path) -> None:
    model = write_tiny(tmp_path)
    whole = (tmp_path / model.weights.file).read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in (5, 12, 30, 200, 1000, 3000):
        cut.write_bytes(whole[:length])
        with pytest.raises(OuroError, match=r"not a GGUF file|The head of cut\.gguf is cut off or damaged"):
            read_head(cut)


def test_a_tokenizer_with_unknown_rules_is_refused(kernel_extra: None, tmp_path: Path) -> None:
    with pytest.raises(OuroError, match="tokenizer \\(gpt2/other\\) that cannot be converted"):
        run(write_tiny(tmp_path, pre="other"))
    assert made(tmp_path) == []


def test_a_killed_child_leaves_nothing(big: Tiny) -> None:
    before = children()
    killed: list[int] = []

    def kill(done: int, total: int, what: str) -> None:
        if not killed:
            assert done < total
            killed.extend(children() - before)
            os.kill(killed[0], signal.SIGKILL)

    with pytest.raises(OuroError, match="could not be converted: its process was killed by SIGKILL") as caught:
        run(big, progress=kill)
    assert len(killed) == 1
    assert "memory" in caught.value.remedy
    assert made(big.folder) == []


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_for_the_whole_group_is_the_parents_to_answer(big: Tiny, stop: signal.Signals) -> None:
    """The child goes on until its parent ends it."""
    before = children()
    asked: set[int] = set()

    def both(done: int, total: int, what: str) -> None:
        if not asked:
            asked.update(children() - before)
            for child in asked:
                os.kill(child, stop)

    folder = run(big, progress=both)
    assert len(asked) == 1 and store.is_converted(folder)
    shutil.rmtree(folder)


@pytest.mark.parametrize("at_step", [0, 1])
def test_a_cancelled_conversion_ends_at_once_and_leaves_nothing(big: Tiny, at_step: int) -> None:
    """Also before the first step, while the child is silent."""
    cancel, seen = CancelToken(), list[int]()
    timer = threading.Timer(0.4, cancel.cancel)

    def step(done: int, total: int, what: str) -> None:
        seen.append(total - done)
        if at_step:
            cancel.cancel()

    if not at_step:
        timer.start()
    with pytest.raises(Cancelled):
        run(big, progress=step, cancel=cancel)
    timer.cancel()
    assert 0 not in seen, "it was converted to the end all the same"
    assert made(big.folder) == []


_PARENT = """
import sys
from pathlib import Path
from kernel.cancel import CancelToken
from kernel.weights.convert import convert_weights
from kernel.weights.registry import Weights
convert_weights("tiny", Weights.model_validate_json(sys.argv[2]), form="bf16", models_dir=Path(sys.argv[1]),
        progress=lambda *step: print(step, flush=True), cancel=CancelToken())
"""


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    """It hangs in a pipe that nobody writes to; what wakes it is the end of its standard input."""
    os.mkfifo(tmp_path / "weights.gguf")
    pipe = tmp_path / "weights.gguf"
    job = ConversionJob(source=pipe, sums={pipe: "0" * 64}, folder=tmp_path, form="bf16", tied_head=False, workers=1)
    argv = [sys.executable, "-c", "import sys; from kernel.weights.convert_child import main; main(sys.argv[1])"]
    with subprocess.Popen(
        [*argv, job.model_dump_json()], cwd=Path(__file__).parents[3], stdin=subprocess.PIPE
    ) as child:
        assert child.stdin is not None
        child.stdin.close()
        try:
            assert child.wait(20) == 1
        finally:
            child.kill()


def test_what_a_killed_process_left_is_swept_by_the_next(big: Tiny, tiny: Tiny) -> None:
    argv = [sys.executable, "-c", _PARENT, str(big.folder), big.weights.model_dump_json()]
    with subprocess.Popen(argv, cwd=Path(__file__).parents[3], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None and parent.stdout.readline()
        (child,) = (int(pid) for pid in Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split())
        pidfd = os.pidfd_open(child)
        try:
            parent.kill()
            parent.wait()
            assert select.select([pidfd], [], [], 5)[0], "the child goes on without its parent"
        finally:
            os.close(pidfd)
    assert [name[:8] for name in made(big.folder)] == [".making-"]
    small = big.folder / "small.gguf"
    shutil.copy(tiny.folder / tiny.weights.file, small)
    folder = run(Tiny(folder=big.folder, weights=entry(small), numbers={}))
    assert made(big.folder) == [folder.name]
    shutil.rmtree(folder)


def test_what_older_converters_made_is_swept(kernel_extra: None, tmp_path: Path) -> None:
    model = write_tiny(tmp_path)
    parent = tmp_path / "converted"
    for name in ("tiny-0a1b2c3d-v1-bf16", "tiny-0a1b2c3d-v2-int4-avx512", "other-0a1b2c3d-v999-int8", "mine"):
        (parent / name).mkdir(parents=True)
    folder = run(model)
    assert made(tmp_path) == sorted(["mine", "other-0a1b2c3d-v999-int8", folder.name])


def test_two_at_once_do_not_disturb_one_another(kernel_extra: None, tmp_path: Path) -> None:
    model = write_tiny(tmp_path)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(run(model))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2 and found[0] == found[1]
    assert made(tmp_path) == [found[0].name]
    assert store.is_converted(found[0])


def test_width_is_that_of_the_file(tiny: Tiny) -> None:
    head = read_head(tiny.folder / tiny.weights.file)
    assert head.tensors["blk.0.ffn_up.weight"].shape == (tiny.inner, WIDTH)
    assert head.number("qwen2.block_count") == LAYERS
