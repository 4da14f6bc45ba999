"""Who takes part, and the job that each one's child is given."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatch
from typing import Any

from bench.kernel.published import file_of

OURS: dict[str, dict[str, Any]] = {
    "auto": {},
    "none": {"quantise": "none"},
    "int8": {"quantise": "int8"},
    "int4": {"quantise": "int4"},
    "int4-kv8": {"quantise": "int4", "kv_int8": True},
}


@dataclass(frozen=True)
class Contestant:
    """``fields`` come into the job beside what all jobs have."""

    name: str
    module: str
    python: str = sys.executable
    fields: dict[str, Any] = field(default_factory=dict)

    @property
    def is_llama(self) -> bool:
        return self.module.startswith("child_llama")

    def job(self, options: Namespace, model: str, **more: Any) -> dict[str, Any]:
        return {
            "model": model,
            "models": str(options.models),
            "cache": str(options.cache),
            "threads": options.threads,
            "path": str(file_of(options.models, model)),
            "lengths": options.lengths,
            **self.fields,
            **more,
        }


def contestants(options: Namespace) -> list[Contestant]:
    """Those whose name one of ``--only`` matches."""
    return [c for c in _all(options) if any(fnmatch(c.name, pattern) for pattern in options.only)]


def _all(options: Namespace) -> Iterator[Contestant]:
    for name, settings in OURS.items():
        yield Contestant(f"ours/{name}", "child_ours", fields={"settings": settings})
    if options.llama_python:
        yield Contestant("llama.cpp", "child_llama", options.llama_python)
    if options.llama_server:
        yield Contestant(
            "llama.cpp-built", "child_llama_server", fields={"server": str(options.llama_server.resolve())}
        )
    for form in ("bf16", "fp32"):
        yield Contestant(f"transformers/{form}", "child_transformers", fields={"form": form})
