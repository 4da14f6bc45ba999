"""The canary on finished text."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kernel.canary import CanaryReading, load_levels, read_text
from kernel.canary.text import split_pieces
from tests.kernel.canary_levels import LEVELS

LOOPING = "The parser reads a line.\n" + "        self.items.append(item)\n" * 30
FUNCTION = '''import json
import os
import sys
from pathlib import Path


def load(path: Path) -> dict[str, int]:
    """Read the counts that were saved."""
    if not path.exists():
        return {}
    with path.open() as stream:
        data = json.load(stream)
    return {name: int(count) for name, count in data.items()}


CODES = {
    "de": "Germany",
    "fr": "France",
    "it": "Italy",
    "es": "Spain",
    "pl": "Poland",
}
'''
MARKDOWN = "| code | meaning | class |\n|---|---|---|\n" + "".join(
    f"| {code} | {meaning} | {kind} |\n"
    for code, meaning, kind in [
        (200, "all is well", "success"),
        (301, "moved for good", "redirection"),
        (404, "nothing stands here", "client error"),
        (418, "a teapot", "joke"),
        (500, "the server broke", "server error"),
        (503, "come back later", "server error"),
    ]
)


@pytest.mark.parametrize("text", [LOOPING, "ha" * 400, "no " * 200, "你好" * 200, "= " * 300])
def test_finished_text_that_loops(text: str) -> None:
    reading = read_text(text, levels=LEVELS)
    assert reading.alarm and reading.proximity >= LEVELS.alarm


@pytest.mark.parametrize("text", ["", " \n", FUNCTION, MARKDOWN, "=" * 100, FUNCTION + MARKDOWN])
def test_finished_text_that_is_well(text: str) -> None:
    assert not read_text(text, levels=LEVELS).alarm


def test_text_may_copy_its_prompt_once_but_not_for_ever() -> None:
    assert not read_text(FUNCTION, f"Fix this.\n\n{FUNCTION}\nAnswer with the code.", levels=LEVELS).alarm
    assert read_text(FUNCTION * 4, f"Fix this.\n\n{FUNCTION}\nAnswer with the code.", levels=LEVELS).alarm


def test_log_probabilities_show_garbage_in_text() -> None:
    words = " ".join(f"word{number}" for number in range(120))
    assert not read_text(words, levels=LEVELS).alarm
    assert read_text(words, logprobs=[-0.2] * 60 + [-9.0] * 60, levels=LEVELS).signal == "surprise"
    assert read_text(words, logprobs=[-9.0] * 30, levels=LEVELS).alarm
    assert not read_text(words, logprobs=[-0.3] * 200, levels=LEVELS).alarm


@settings(deadline=None)
@given(st.text(max_size=300), st.text(max_size=60), st.none() | st.lists(st.floats(-50.0, 0.0), max_size=40))
def test_any_text_can_be_read(text: str, prompt: str, logprobs: list[float] | None) -> None:
    reading = read_text(text, prompt, logprobs, levels=LEVELS)
    assert isinstance(reading, CanaryReading) and 0.0 <= reading.proximity <= 1.0
    assert all(len(piece) <= 24 or piece.strip("\n") == "" for piece in split_pieces(text))


@pytest.mark.parametrize("room", ["kernel", "ledger", "governance"])
def test_no_file_of_our_own_looks_like_a_collapse(room: str) -> None:
    """Real code, with the levels that are shipped."""
    top = Path(__file__).parents[2]
    for path in sorted((top / room).glob("*.py")):
        reading = read_text(path.read_text(encoding="utf-8"), levels=load_levels("text"))
        assert not reading.alarm, f"{path}: {reading}"
