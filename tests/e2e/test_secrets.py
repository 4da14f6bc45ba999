"""Whatever a failing test prints and a model quotes: no secret reaches prompt, record, log, views or commit."""

from __future__ import annotations

from pathlib import Path

from tests.leaks import leaks, played
from tests.secret_corpus import TOLD_BY_THEIR_END, corpus


async def test_none_of_them_is_seen_anywhere(tmp_path: Path) -> None:
    secrets = [secret for secret in corpus() if secret.name not in TOLD_BY_THEIR_END]  # messages are cut anywhere
    assert len(secrets) >= 150
    seen = await played(tmp_path, secrets)
    assert list(leaks(seen, secrets)) == []
    assert "not complete" not in seen, seen["ending"]
    for place in ("prompts", "entries", "blobs", "log file", "commits", "show"):
        assert "[redacted:" in seen[place], f"nothing of them came to {place}: the trap proves nothing"
