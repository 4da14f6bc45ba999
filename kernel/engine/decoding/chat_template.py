"""Renders a model's chat template in a child process with bounded time and memory.

A template is a program that comes with the weights: it can loop for ever, or fill the memory.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from ledger.children import TooMuch, ask, own_python
from ledger.errors import ProviderBadOutput
from ledger.parsers.json import read_json

CPU_S: Final = 2
TIMEOUT_S: Final = 30.0
MEMORY_BYTES: Final = 512 * 1024**2
MOST_BYTES: Final = 1024**2
_ROOT: Final = Path(__file__).resolve().parents[3]
_CHILD: Final = """import sys
sys.path.insert(0, sys.argv[1])
from kernel.engine.decoding.chat_template import main
main()"""

# For models without a template.
CHATML: Final = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def render_template(template: str, turns: Sequence[Mapping[str, str]], *, start: str) -> str:
    """The turns in the template (ChatML where it is empty); blocks. Raises ``ProviderBadOutput`` where that fails."""
    job = json.dumps({"template": template or CHATML, "turns": list(turns), "start": start}).encode("ascii")
    argv = own_python("-c", _CHILD, str(_ROOT))
    try:
        done = ask(argv, cwd=_ROOT, env={}, timeout_s=TIMEOUT_S, given=job, most_bytes=MOST_BYTES)
    except TimeoutError:
        raise rejected(f"it did not end within {TIMEOUT_S:g} s") from None
    except TooMuch:
        raise rejected(f"it writes more than {MOST_BYTES} bytes") from None
    if done.code < 0:
        raise rejected(f"it needed more than {CPU_S} s or {MEMORY_BYTES >> 20} MiB")
    if done.code:
        last = (done.said.splitlines() or ["no reason given"])[-1]
        raise rejected(last.partition(": ")[2] or last)
    return str(read_json(done.out))


def rejected(why: str) -> ProviderBadOutput:
    """The error for a template that cannot be used."""
    return ProviderBadOutput(
        f"The model's template rejects the conversation: {why.rstrip('.')}.",
        provider="local",
        remedy="Use another model, or drop the turn that the message names.",
    )


def main() -> None:
    """Entry point of the child: a job on standard input, the text as JSON on standard output."""
    for kind, most in ((resource.RLIMIT_AS, MEMORY_BYTES), (resource.RLIMIT_CPU, CPU_S), (resource.RLIMIT_CORE, 0)):
        hard = resource.getrlimit(kind)[1]
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (most, most))
    from jinja2 import TemplateError
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    def refuse(message: str) -> None:
        raise TemplateError(message)

    job = read_json(sys.stdin.buffer.read())
    environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.globals["raise_exception"] = refuse
    text = environment.from_string(job["template"]).render(
        messages=job["turns"], add_generation_prompt=True, tools=None, bos_token=job["start"], eos_token=""
    )
    json.dump(text, sys.stdout)
