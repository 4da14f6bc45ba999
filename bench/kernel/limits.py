"""What the machine could do at most, in a process of its own: ``python -m bench.kernel.limits JOB``."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from bench.kernel import workload
from daemon.settings.config import prepare_process

GIGABYTE = 1 << 30
ROWS, SIDE = 512, 4096


def best_s(work: Callable[[], object], times: int = 7) -> float:
    """The quickest: a neighbour only ever makes one slower."""
    work()
    took = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        took.append(time.perf_counter() - began)
    return min(took)


def bandwidth(size: int) -> float:
    """Read, in GB/s: the quickest of several sums over a buffer that is far larger than any cache."""
    import torch

    numbers = torch.arange(size // 4, dtype=torch.int32)  # written once, so that every page is real
    ways: list[Callable[[], object]] = [
        numbers.view(torch.int64).sum, numbers.view(torch.float32).sum, numbers.sum, numbers.amax, numbers.view(torch.int64).amax,
    ]  # fmt: skip
    return size / min(best_s(way, 4) for way in ways) / 1e9


def int8_peak() -> float:
    """Products of unsigned by signed bytes, in 10^12 operations a second."""
    import torch

    weight = torch.randint(-127, 128, (SIDE, SIDE), dtype=torch.int8)
    packed = torch.ops.onednn.qlinear_prepack(weight, None)
    scale, zero = torch.ones(SIDE), torch.zeros(SIDE, dtype=torch.int32)
    x = torch.randint(0, 256, (ROWS, SIDE), dtype=torch.uint8)

    def product() -> object:
        return torch.ops.onednn.qlinear_pointwise(
            x, 1.0, 128, packed, scale, zero, None, 1.0, 0, torch.float32, "none", [], ""
        )

    return 2 * ROWS * SIDE * SIDE / best_s(product) / 1e12


def float_peak(form: str) -> float:
    """``float32`` or ``bfloat16``, in 10^12 operations a second."""
    import torch

    x, weight = (torch.randn(rows, SIDE).to(getattr(torch, form)) for rows in (ROWS, SIDE))
    return 2 * ROWS * SIDE * SIDE / best_s(lambda: torch.nn.functional.linear(x, weight), 4) / 1e12


def main() -> None:
    prepare_process()
    import torch

    asked: dict[str, Any] = workload.job()
    torch.set_num_threads(asked["threads"])
    with torch.inference_mode():
        result = {
            "read_gb_s": bandwidth(int(asked["gigabytes"] * GIGABYTE)),
            "int8_tera": int8_peak(),
            "fp32_tera": float_peak("float32"),
            "bf16_tera": float_peak("bfloat16"),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "capability": torch.backends.cpu.get_cpu_capability(),
        }
    workload.deliver(asked, result)


if __name__ == "__main__":
    main()
