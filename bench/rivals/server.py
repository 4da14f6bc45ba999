"""The model that rivals talk to."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

CONTEXT = 16_384
_COUNTS = re.compile(r"^llamacpp:(prompt_tokens_total|tokens_predicted_total) (\S+)$", re.M)


@dataclass(frozen=True, slots=True)
class Server:
    """``address`` without a path; OpenAI's form is spoken below ``/v1``."""

    address: str

    def tokens(self) -> tuple[int, int]:
        """Read and written for answers that were finished since it was started; zeros when it is too busy to say."""
        try:
            with urllib.request.urlopen(f"{self.address}/metrics", timeout=10) as answer:
                found = dict(_COUNTS.findall(answer.read().decode()))
        except OSError:
            return 0, 0
        return int(float(found["prompt_tokens_total"])), int(float(found["tokens_predicted_total"]))


@contextmanager
def served(python: Path, weights: Path, threads: int) -> Iterator[Server]:
    """A server for the length of the block, its model loaded."""
    argv = [str(python), str(Path(__file__).with_name("child_server.py")), str(weights), str(threads), str(CONTEXT)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        if child.stdout is None or child.stdin is None:
            raise RuntimeError("the server has no pipes")
        try:
            address = child.stdout.readline().strip()
            if not address.startswith("http"):
                raise RuntimeError(f"the server did not start: {address or child.wait()}")
            yield Server(address)
        finally:
            child.kill()
