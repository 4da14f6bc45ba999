"""``kill -9`` at any moment while signals come and ops act, fail and end.

Every signal ends exactly once, in done, dead or quarantine; nothing is acted on twice; what may have acted is shown.
"""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest

CHILD = Path(__file__).with_name("killed_child.py")
ROOT = Path(__file__).parents[3]
ATTEMPTS = 3  # the child's


def run_child(folder: Path, number: int, *, kill_after_s: float | None) -> list[list[str]]:
    """One life of the child: killed some time after it has opened the ledger, or until all is worked off."""
    argv = [sys.executable, str(CHILD), str(folder), str(number), "run" if kill_after_s is not None else "drain"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, bufsize=0) as child:
        assert child.stdout is not None
        first = child.stdout.readline() if kill_after_s is not None else b""
        try:
            out, err = child.communicate(timeout=kill_after_s if kill_after_s is not None else 600)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
        else:
            assert child.returncode == 0, err.decode()
    return [line.split() for line in (first + out).decode().splitlines(keepends=True) if line.endswith("\n")]


def kill_rounds(folder: Path, rounds: int) -> Counter[str]:
    """The rounds, then all that must hold. Returns how many signals ended where."""
    said: list[list[str]] = []
    chance = random.Random(rounds)
    for number in range(rounds):
        said += run_child(folder, number, kill_after_s=chance.uniform(0.0, 0.5))
    said += run_child(folder, rounds, kill_after_s=None)
    assert said[-2:] == [["rebuilt", "True"], ["verified", "True"]]
    acked, fell, aside = (
        Counter(words[1] for words in said if words[0] == what) for what in ("acked", "fell", "aside")
    )
    assert len(acked) > rounds, "the children were killed before they did anything"
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as stored:
        rows = stored.execute("SELECT id, key, state, json_extract(row, '$.history') FROM intake_items").fetchall()
    state = {signal_id: where for signal_id, _, where, _ in rows}
    tried = {signal_id: len(json.loads(history)) for signal_id, _, _, history in rows}
    acted = Counter(line.split()[1] for line in (folder / "effects").read_text().splitlines())
    assert set(acked) <= set(state), "an acknowledged signal is lost"
    assert set(state.values()) <= {"done", "dead", "quarantined"}
    assert max(Counter(key for _, key, _, _ in rows).values()) == 1, "a condition has two signals"
    assert set(acted.values()) <= {1}, "a signal was acted on twice"
    for signal_id, where in state.items():
        assert acted[signal_id] == (where == "done"), (
            f"{signal_id} is {where} and was acted on {acted[signal_id]} times"
        )
        assert where != "dead" or tried[signal_id] == ATTEMPTS, f"{signal_id} was given up after {tried[signal_id]}"
        assert tried[signal_id] <= ATTEMPTS
        assert fell[signal_id] <= tried[signal_id], f"{signal_id}: a kill was not counted as an attempt"
    shown = {words[1]: words[2] for words in said if words[0] == "shown"}
    assert shown == {signal_id: where for signal_id, where in state.items() if where != "done"}
    assert {signal_id for signal_id, where in state.items() if where == "quarantined"} == set(aside)
    return Counter(state.values())


def test_a_few_kills(tmp_path: Path) -> None:
    assert kill_rounds(tmp_path, 4)["done"]


@pytest.mark.long
def test_two_hundred_kills(tmp_path: Path) -> None:
    ended = kill_rounds(tmp_path, 200)
    print(ended)
    assert min(ended[where] for where in ("done", "dead", "quarantined")) > 10
