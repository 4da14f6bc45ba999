"""One tiny model for the whole room, converted once in most forms."""

from __future__ import annotations

import warnings
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from daemon.settings.config import prepare_process
from kernel.cancel import CancelToken
from kernel.providers.local.provider import LocalProvider
from kernel.weights.convert import convert_weights
from kernel.weights.store import Form
from tests.kernel.local_scene import provider
from tests.kernel.tiny import NAME, Tiny, write_tiny

FORMS: tuple[Form, ...] = ("fp32", "bf16", "int8")


@pytest.fixture(scope="session")
def kernel_extra() -> None:
    """Skips where the libraries of the kernel are not installed; imports them once, their own warnings aside."""
    missing = [name for name in ("torch", "transformers", "gguf") if find_spec(name) is None]
    if missing:
        pytest.skip(f"the kernel extra is not installed: {', '.join(missing)}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        prepare_process()
        import torch
        import transformers.models.qwen2.modeling_qwen2  # noqa: F401

        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(kernel_extra: None, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The tiny model below its folder, converted by the real child process."""
    model = write_tiny(tmp_path_factory.mktemp("tiny"))
    for form in FORMS:
        convert_weights(NAME, model.weights, form=form, models_dir=model.folder, progress=_quiet, cancel=CancelToken())
    return model


@pytest.fixture
async def local(tiny: Tiny) -> AsyncIterator[LocalProvider]:
    made = provider(tiny)
    yield made
    await made.aclose()


def _quiet(done: int, total: int, what: str) -> None:
    """Progress that nobody looks at."""


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    """A models folder with nothing in it."""
    folder = tmp_path / "models"
    folder.mkdir()
    return folder
