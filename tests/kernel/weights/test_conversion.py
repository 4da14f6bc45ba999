"""A published file becomes a folder that can be loaded: whole or not at all, by a real child process."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kernel.cancel import Cancelled, CancelToken
from kernel.weights import store
from kernel.weights.conversion import Job
from kernel.weights.convert import convert
from kernel.weights.gguf_file import read_head
from ledger.errors import OuroError, ProviderUnavailable
from tests.kernel.tiny import LAYERS, PADDED_VOCABULARY, WIDTH, Tiny, entry, write_tiny
from tests.kernel.weights.hosts import weights_of

BIG_INNER = 32_000  # large enough to be caught in the middle
Progress = Callable[[int, int, str], None]


def run(
    model: Tiny, form: store.Form = "bf16", *, progress: Progress | None = None, cancel: CancelToken | None = None
) -> Path:
    def quiet(done: int, total: int, what: str) -> None:
        """Nobody looks."""

    return convert(
        "tiny", model.weights, form=form, models_dir=model.folder,
        progress=progress or quiet, cancel=cancel or CancelToken(),
    )  # fmt: skip


def made(folder: Path) -> list[str]:
    """What lies in the folder of converted weights."""
    return sorted(p.name for p in (folder / "converted").iterdir() if p.name != ".lock")


def children() -> set[int]:
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        found |= {int(pid) for pid in (task / "children").read_text().split()}
    return found


def tensors(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


def as_bf16(values: Any) -> Any:
    import torch

    return torch.from_numpy(values).bfloat16()


@pytest.fixture(scope="module")
def big(kernel_extra: None, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    return write_tiny(tmp_path_factory.mktemp("big"), inner=BIG_INNER)


def test_every_tensor_of_the_bf16_form_is_the_stored_one_rounded(tiny: Tiny) -> None:
    import torch

    folder = store.converted_folder(tiny.folder, "qwen2.5-coder-0.5b", tiny.weights, "bf16")
    found = tensors(folder)
    assert len(found) == len(tiny.numbers) == 3 + 12 * LAYERS
    for name, expected in (
        ("model.embed_tokens.weight", tiny.numbers["token_embd.weight"]),
        ("lm_head.weight", tiny.numbers["output.weight"]),
        ("model.norm.weight", tiny.numbers["output_norm.weight"]),
        ("model.layers.1.self_attn.k_proj.bias", tiny.numbers["blk.1.attn_k.bias"]),
        ("model.layers.1.mlp.gate_proj.weight", tiny.numbers["blk.1.ffn_gate.weight"]),
        ("model.layers.0.mlp.down_proj.weight", tiny.numbers["blk.0.ffn_down.weight"]),
    ):
        assert torch.equal(found[name], as_bf16(expected)), name
    config = json.loads((folder / "config.json").read_text())
    assert (config["vocab_size"], config["hidden_size"], config["tie_word_embeddings"]) == (
        PADDED_VOCABULARY,
        64,
        False,
    )
    assert (folder / "chat_template.jinja").read_text() == "{{ messages }}"
    assert not list((tiny.folder / "converted").glob(".making-*"))


def test_the_int8_form_is_within_half_a_step_of_the_stored_numbers(tiny: Tiny) -> None:
    import torch

    found = tensors(store.converted_folder(tiny.folder, "qwen2.5-coder-0.5b", tiny.weights, "int8"))
    whole = torch.from_numpy(tiny.numbers["blk.0.attn_q.weight"])
    weight = found["model.layers.0.self_attn.q_proj.weight"]
    scale = found["model.layers.0.self_attn.q_proj.weight_scale"]
    assert weight.dtype == torch.int8
    assert ((weight * scale[:, None] - whole).abs() <= scale[:, None] * 0.5001).all()
    assert torch.equal(
        found["model.layers.0.input_layernorm.weight"], torch.from_numpy(tiny.numbers["blk.0.attn_norm.weight"])
    )
    assert torch.equal(found["model.embed_tokens.weight"], as_bf16(tiny.numbers["token_embd.weight"]))


@pytest.mark.parametrize("form", ["bf16", "int8"])
def test_a_head_that_the_publisher_tied_is_taken_for_both(kernel_extra: None, tmp_path: Path, form: store.Form) -> None:
    """The file stores such a matrix twice, the output one with more bits."""
    import torch

    model = write_tiny(tmp_path, tied_head=True)
    folder = run(model, form)
    found = tensors(folder)
    assert torch.equal(found["model.embed_tokens.weight"], as_bf16(model.numbers["output.weight"]))
    assert ("lm_head.weight" in found) == (form == "int8")
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is True


def test_a_file_without_an_output_matrix_shares_the_embedding(kernel_extra: None, tmp_path: Path) -> None:
    folder = run(write_tiny(tmp_path, output=False))
    assert "lm_head.weight" not in tensors(folder)
    assert json.loads((folder / "config.json").read_text())["tie_word_embeddings"] is True


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


def test_a_head_that_is_cut_off_is_refused_wherever_it_is_cut(kernel_extra: None, tmp_path: Path) -> None:
    model = write_tiny(tmp_path)
    whole = (tmp_path / model.weights.file).read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in (5, 12, 30, 200, 1000, 3000):
        cut.write_bytes(whole[:length])
        with pytest.raises(OuroError):
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

    with pytest.raises(OuroError, match="could not be converted: no message") as caught:
        run(big, progress=kill)
    assert len(killed) == 1
    assert "disk space" in caught.value.remedy
    assert made(big.folder) == []


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
from kernel.weights.convert import convert
from kernel.weights.registry import Weights
convert("tiny", Weights.model_validate_json(sys.argv[2]), form="bf16", models_dir=Path(sys.argv[1]),
        progress=lambda *step: print(step, flush=True), cancel=CancelToken())
"""


def test_the_child_ends_with_its_parent(tmp_path: Path) -> None:
    """It hangs in a pipe that nobody writes to; what wakes it is the end of its standard input."""
    os.mkfifo(tmp_path / "weights.gguf")
    job = Job(
        published=tmp_path / "weights.gguf", sha256="0" * 64, folder=tmp_path, form="bf16", tied_head=False, workers=1
    )  # fmt: skip
    argv = [sys.executable, "-c", "import sys; from kernel.weights.conversion import main; main(sys.argv[1])"]
    with subprocess.Popen(
        [*argv, job.model_dump_json()], cwd=Path(__file__).parents[3], stdin=subprocess.PIPE
    ) as child:  # fmt: skip
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


def test_too_little_space_is_said_before_the_child_starts(kernel_extra: None, tmp_path: Path) -> None:
    model = write_tiny(tmp_path)
    path = tmp_path / model.weights.file
    with path.open("r+b") as file:
        file.truncate(1 << 43)  # sparse
    huge = Tiny(folder=tmp_path, weights=model.weights.model_copy(update={"bytes": 1 << 43}), numbers={})
    with pytest.raises(OuroError, match="GB free"):
        run(huge)
    assert made(tmp_path) == []


def test_width_is_that_of_the_file(tiny: Tiny) -> None:
    head = read_head(tiny.folder / tiny.weights.file)
    assert head.tensors["blk.0.ffn_up.weight"].shape == (tiny.inner, WIDTH)
    assert head.number("qwen2.block_count") == LAYERS
