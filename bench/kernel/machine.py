"""What the figures were measured on."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FLAGS = (
    "avx2",
    "fma",
    "f16c",
    "avx512f",
    "avx512bw",
    "avx512_vnni",
    "avx_vnni",
    "avx512_bf16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
)


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    told = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines) if value}
    flags = set(told.get("flags", "").split())
    memory = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()[0].split()[1]
    cache = Path("/sys/devices/system/cpu/cpu0/cache/index3/size")
    return {
        "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "processor": told.get("model name", platform.machine()),
        "cores": len(os.sched_getaffinity(0)),
        "flags": [flag for flag in FLAGS if flag in flags],
        "missing": [flag for flag in FLAGS if flag not in flags],
        "memory_gb": round(int(memory) / (1 << 20), 1),
        "l3": cache.read_text(encoding="utf-8").strip() if cache.exists() else "unknown",
        "python": platform.python_version(),
        "linux": platform.release(),
        "load": os.getloadavg(),
    }


def shown(found: dict[str, Any]) -> str:
    """Two lines."""
    return (
        f"{found['at']} · {found['processor']}, {found['cores']} cores, L3 {found['l3']}, {found['memory_gb']} GB · "
        f"Linux {found['linux']}, Python {found['python']} · load {found['load'][0]:.1f}\n"
        f"Processor has {', '.join(found['flags'])}; not {', '.join(found['missing'])}."
    )
