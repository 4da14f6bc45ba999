"""llama.cpp as its own server program, built by whoever measures: ``python -m bench.kernel.child_llama_server JOB``.

What a build can do is said by its own first lines (``system_info``), which stand in the report.
"""

from __future__ import annotations

import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench.kernel import workload
from bench.kernel.llama import BATCH, Llama, measured

PATIENCE_S, LOOK_S = 120.0, 0.05


def command(asked: dict[str, Any], setting: dict[str, Any], slot_tokens: int, port: int) -> list[str]:
    return [
        asked["server"],
        "--model",
        asked["path"],
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--threads",
        str(asked["threads"]),
        "--parallel",
        str(setting["slots"]),
        "--ctx-size",
        str(slot_tokens * setting["slots"]),
        "--batch-size",
        str(BATCH),
        "--ubatch-size",
        str(setting["ubatch"]),
        "--flash-attn",
        setting["flash"],
        "--kv-unified" if setting["unified"] else "--no-kv-unified",
        "--repack" if setting["repack"] else "--no-repack",
        "--fit",
        "off",
        "--no-webui",
    ]


def wait_for(child: subprocess.Popen[bytes], address: str) -> None:
    """Until the model is loaded. Raises ``RuntimeError`` when the server ends before, or takes too long."""
    end = time.monotonic() + PATIENCE_S
    while child.poll() is None and time.monotonic() < end:
        try:
            urllib.request.urlopen(f"{address}/health", timeout=5).close()
        except OSError:  # refused, or still loading (503)
            time.sleep(LOOK_S)
        else:
            return
    raise RuntimeError(f"the server does not answer (exit status {child.poll()})")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def main() -> None:
    asked = workload.job()
    seen: dict[str, float] = {}
    log = Path(asked["result"]).with_name("server.log")

    @contextmanager
    def opened(setting: dict[str, Any], slot_tokens: int) -> Iterator[Llama]:
        port = free_port()
        argv = command(asked, setting, slot_tokens, port)
        with log.open("ab") as out, subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out) as child:
            try:
                wait_for(child, f"http://127.0.0.1:{port}")
                yield Llama(f"http://127.0.0.1:{port}", setting["together"])
                for name, size in workload.memory(child.pid).items():
                    seen[name] = max(seen.get(name, 0.0), size)
            finally:
                child.kill()

    try:
        result = measured(asked, opened)
    finally:
        told = log.read_text(encoding="utf-8", errors="replace")
        print(told[-1000:])
    version = subprocess.run([asked["server"], "--version"], capture_output=True, text=True, check=True)
    result["info"] = {
        "version": " ".join((version.stdout + version.stderr).split()),
        "system": next((line for line in told.splitlines() if "system_info" in line), "says nothing of itself"),
        **{kind: asked[kind] for kind in ("solo", "many") if kind in asked},
    }
    workload.deliver(asked, {**result, "memory": seen})


if __name__ == "__main__":
    main()
