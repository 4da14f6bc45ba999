"""A failing test prints secrets in every shape and a model quotes some: what is seen of them in prompts and record."""

from __future__ import annotations

from pathlib import Path

from governance.irongate.secrets import redaction as secrets
from tests.leaks import leaks, played
from tests.secret_corpus import TOLD_BY_THEIR_END, corpus

BACKENDS = ("landlock",)  # what was said is looked at behind the sandbox, whichever it was
USERS = ("anybody",)


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    if not wall:
        secrets.findings = lambda text, *, guesses=False: ()
    made = [secret for secret in corpus(10) if secret.name not in TOLD_BY_THEIR_END]
    seen = await played(base, made, backend=backend)
    return sorted(set(leaks(seen, made)))
