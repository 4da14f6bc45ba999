"""The compiled functions beside the same in plain torch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kernel.engine.model.products import IDENTITY, SILU_GATE, InputTransform, RmsNorm
from kernel.weights.four_bits import pack_blocks, quantise_rows
from tests.kernel.weights.converting import unpacked

ROWS, COLUMNS = 72, 192  # 18 blocks of rows: more than one thread takes at once


@pytest.fixture(autouse=True)
def _kernel(kernel_extra: None) -> None:
    """All of it needs torch."""


def front(name: str) -> InputTransform:
    import torch

    if name == "norm":
        return RmsNorm(torch.rand(COLUMNS, generator=torch.Generator().manual_seed(5)) + 0.5, 1e-6)
    return SILU_GATE if name == "gated" else IDENTITY


def states(tokens: int, name: str) -> Any:
    import torch

    return torch.randn(tokens, COLUMNS * (2 if name == "gated" else 1), generator=torch.Generator().manual_seed(tokens))


def bias() -> Any:
    import torch

    return torch.randn(ROWS, generator=torch.Generator().manual_seed(9))


def weight() -> Any:
    import torch

    return torch.randn(ROWS, COLUMNS, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("tokens", [1, 2, 3, 4, 5, 7, 40])
@pytest.mark.parametrize("name", ["as is", "norm", "gated"])
@pytest.mark.parametrize("biased", [True, False])
def test_four_bits_compute_what_the_blocks_stand_for(tokens: int, name: str, biased: bool) -> None:
    import torch

    from kernel.engine.model.products import Int4Product

    blocks = torch.from_numpy(pack_blocks(quantise_rows(weight().numpy())))
    x = states(tokens, name)
    exact = front(name)(x.clone()) @ unpacked({"w.int4": blocks}, "w").t() + (bias() if biased else 0)
    found = Int4Product(blocks, bias() if biased else None)(x.clone(), front(name))
    assert found.shape == exact.shape
    assert torch.linalg.norm(found - exact) < 0.01 * torch.linalg.norm(exact)


@pytest.mark.parametrize("tokens", [1, 3, 40])
@pytest.mark.parametrize("name", ["as is", "norm", "gated"])
@pytest.mark.parametrize("levels", [None, 63])
def test_eight_bits_compute_the_product(tokens: int, name: str, levels: int | None) -> None:
    import torch

    from kernel.engine.model.products import Int8Product, state_levels

    scale = weight().abs().amax(dim=1) / 127
    whole = (weight() / scale[:, None]).round()
    x = states(tokens, name)
    exact = front(name)(x.clone()) @ (whole * scale[:, None]).t() + bias()
    found = Int8Product(whole.char(), scale, bias(), levels)(x.clone(), front(name))
    assert torch.linalg.norm(found - exact) < 2.54 / (levels or state_levels()) * torch.linalg.norm(exact)


def test_an_outlier_costs_only_its_own_group_precision() -> None:
    import torch

    from kernel.engine.model.products import Int4Product

    blocks = torch.from_numpy(pack_blocks(quantise_rows(weight().numpy())))
    whole = unpacked({"w.int4": blocks}, "w")
    x = states(1, "as is")
    x[0, 0] = 5000
    left = x.clone()
    left[0, :32] = 0  # the group of the outlier
    rest = Int4Product(blocks)(x) - x[:, :32] @ whole[:, :32].t()
    assert float((rest - left @ whole.t()).abs().max()) < 0.005 * 5000 * float(whole[:, :32].abs().max())
    whole[:, :32] = 0
    blocks = torch.from_numpy(pack_blocks(quantise_rows(whole.numpy())))
    assert float((Int4Product(blocks)(x) - left @ unpacked({"w.int4": blocks}, "w").t()).abs().max()) < 0.5


def test_a_row_of_zeros_gives_the_bias() -> None:
    import torch

    from kernel.engine.model.products import Int4Product, Int8Product

    blocks = torch.from_numpy(pack_blocks(quantise_rows(weight().numpy())))
    nothing = torch.zeros(2, COLUMNS)
    whole = torch.ones(ROWS, COLUMNS, dtype=torch.int8)
    for product in (Int4Product(blocks, bias()), Int8Product(whole, torch.ones(ROWS), bias())):
        for kind in (IDENTITY, RmsNorm(torch.ones(COLUMNS), 1e-6)):
            assert torch.allclose(product(nothing, kind), bias().expand(2, -1), atol=1e-6)


@pytest.mark.parametrize("way", ["dot_vnni", "dot_avx2", "dot_portable"])
def test_every_way_to_multiply_gives_the_same_integers(way: str) -> None:
    """Ways that this processor has no instruction for are left out; integers are exact, so all agree to the bit."""
    import numpy as np
    from llvmlite import binding
    from numba import carray, cfunc

    from kernel.engine.compiled import tile as tiles
    from kernel.engine.compiled.functions import Signature

    has = binding.get_host_cpu_features()
    if (way == "dot_vnni" and not has.get("avx512vnni")) or (way == "dot_avx2" and not has.get("avx2")):
        pytest.skip(f"this processor has no {way}")
    two = tiles.make_tile(2, getattr(tiles, way))

    @cfunc(Signature)
    def run(arguments: Any) -> None:
        a = carray(arguments, 7)
        two(a[0], a[1], a[2], a[3], a[4], a[5], a[6])

    blocks = pack_blocks(quantise_rows(weight().numpy()[:4]))
    random = np.random.default_rng(2)
    numbers = random.integers(-127, 128, (2, COLUMNS), dtype=np.int8)
    scales = np.ones((2, COLUMNS // 64, 4), np.float32)
    for group in range(COLUMNS // 32):
        scales[:, group // 2, 2 + group % 2] = numbers[:, group * 32 : group * 32 + 32].sum(axis=1)
    out = np.zeros((2, 4), np.float32)
    arguments = np.array(
        [blocks.ctypes.data, COLUMNS // 64, numbers.ctypes.data, scales.ctypes.data, out.ctypes.data, 4, 0], np.int64
    )
    run.ctypes(arguments.ctypes.data_as(run.ctypes.argtypes[0]))
    import torch

    exact = numbers.astype(np.float64) @ unpacked({"w.int4": torch.from_numpy(blocks)}, "w").double().t().numpy()
    assert np.abs(out - exact).max() < 1e-3 * np.abs(exact).max()


def test_the_gate_is_silu_from_end_to_end() -> None:
    """Numbers of any size: eight bits of each row's largest are what may be lost."""
    import torch

    from kernel.engine.model.products import Int8Product

    size = 64
    identity = Int8Product(torch.eye(size, dtype=torch.int8), torch.ones(size))
    gate = torch.linspace(-120, 120, 512)[:, None].expand(-1, size)
    x = torch.cat((gate, torch.ones(512, size)), dim=1).contiguous()
    exact = SILU_GATE(x.clone())
    found = identity(x.clone(), SILU_GATE)
    assert ((found - exact).abs() <= exact.abs() / 200 + 1e-6).all()


def test_compiled_code_is_kept(tmp_path: Path) -> None:
    """A second process finds it and compiles nothing."""
    script = (
        "import sys; from pathlib import Path; from kernel.engine.compiled.team import set_code_cache, thread_team\n"
        "set_code_cache(Path(sys.argv[1])); functions = thread_team()._functions\n"
        "print(sum(f.cache_hits for f in functions.values()))"
    )

    def run() -> str:
        command = [sys.executable, "-c", script, str(tmp_path / "kept")]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    assert run() == "0"
    assert run() == "4"


def test_without_torch_threads_it_runs_alone() -> None:
    import torch

    from kernel.engine.compiled.team import ThreadTeam, thread_team

    whole = thread_team()
    alone = ThreadTeam(whole._functions, None)
    x, numbers, step = torch.randn(3, 64), torch.empty(3, 64, dtype=torch.uint8), torch.empty(3, 1)
    alone.call("rows_by_token", 2, 0, 3, 64, x.data_ptr(), 0, 0, numbers.data_ptr(), step.data_ptr(), 127)
    assert ((numbers.float() - 128) * step - x).abs().max() < 0.02
