"""llama.cpp as a wheel: ``python -m bench.kernel.child_llama JOB``.

Runs in an environment that has xllamacpp and nothing else. The server lives in the process; no HTTP is spoken but for
counting tokens.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import xllamacpp

from bench.kernel import workload
from bench.kernel.llama import BATCH, Llama, measured

FLASH = {
    "auto": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}


class InProcess(Llama):
    """``slots``, ``flash``, ``ubatch``, ``unified``, ``repack``: see ``tune``."""

    def __init__(self, path: str, threads: int, setting: dict[str, Any], slot_tokens: int) -> None:
        params = xllamacpp.CommonParams()
        params.model.path = path
        params.verbosity = 0
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.n_parallel = setting["slots"]
        params.n_ctx = slot_tokens * setting["slots"]
        params.n_batch, params.n_ubatch = BATCH, setting["ubatch"]
        params.flash_attn_type = FLASH[setting["flash"]]
        params.kv_unified = setting["unified"]
        params.no_extra_bufts = not setting["repack"]
        params.fit_params = False
        self._server = xllamacpp.Server(params)
        super().__init__(self._server.listening_address, setting["together"])

    def complete(self, request: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._server.handle_completions(request)
        return answer

    def close(self) -> None:
        """Gives the model's memory back, so that two servers never stand side by side."""
        del self._server


def main() -> None:
    asked = workload.job()

    @contextmanager
    def opened(setting: dict[str, Any], slot_tokens: int) -> Iterator[Llama]:
        contestant = InProcess(asked["path"], asked["threads"], setting, slot_tokens)
        yield contestant
        contestant.close()

    result = measured(asked, opened)
    result["info"] = {
        "version": f"xllamacpp {xllamacpp.__version__}",
        "system": xllamacpp.get_system_info(),
        "build": {key: str(value) for key, value in xllamacpp.BUILD_INFO.items()},
        **{kind: asked[kind] for kind in ("solo", "many") if kind in asked},
    }
    workload.deliver(asked, result)


if __name__ == "__main__":
    main()
