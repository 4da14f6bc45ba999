"""torch's libraries are there before torch is imported, and torch works with them."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import sys
from pathlib import Path
from kernel.engine.runtime import load_torch_libraries

load_torch_libraries()
print("torch" in sys.modules, "libtorch_cpu" in Path("/proc/self/maps").read_text())
import torch
print(float((torch.ones(64, 64) @ torch.ones(64, 64)).sum()))
"""


def test_libraries_come_before_the_import(kernel_extra: None) -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True", "262144.0"]
