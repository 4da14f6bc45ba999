"""The GGUF file as transformers loads it, kept as a folder: ``python -m bench.kernel.published JOB`` makes it.

transformers dequantises a GGUF file with NumPy, which takes minutes; nobody would do that at every start.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.kernel import workload
from daemon.settings.config import prepare_process

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

FORMS = ("fp32", "bf16")


def folder_of(cache: Path, model: str, form: str) -> Path:
    return cache / f"{model}-transformers-{form}"


def file_of(models: Path, model: str) -> Path:
    return models / f"{model}-instruct-q4_k_m.gguf"


def make(models: Path, cache: Path, model: str) -> None:
    """Both forms. A folder is written beside its place first, so that half a one is never taken."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    if all(folder_of(cache, model, form).is_dir() for form in FORMS):
        return
    file = file_of(models, model)
    whole = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
    quantizer = getattr(whole, "hf_quantizer", None)
    if quantizer is not None:  # transformers 5 calls even what it has dequantised quantised, and would not write it
        quantizer.remove_quantization_config(whole)
    tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    for form in FORMS:
        place = folder_of(cache, model, form)
        partial = place.with_name(f".{place.name}.partial")
        whole = whole.to(getattr(torch, "bfloat16" if form == "bf16" else "float32"))
        whole.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        if not place.is_dir():
            partial.rename(place)


def load(cache: Path, model: str, form: str) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = folder_of(cache, model, form)
    dtype = torch.bfloat16 if form == "bf16" else torch.float32
    made: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
    return made.eval(), AutoTokenizer.from_pretrained(folder)


def main() -> None:
    prepare_process()
    asked = workload.job()
    make(Path(asked["models"]), Path(asked["cache"]), asked["model"])
    workload.deliver(asked, {})


if __name__ == "__main__":
    main()
