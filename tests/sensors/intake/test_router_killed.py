"""``kill -9`` at any moment: what was acknowledged is done in the end, and what is done is not done again."""

from __future__ import annotations

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


def run_child(folder: Path, number: int, *, kill_after_s: float | None) -> list[tuple[str, str]]:
    argv = [sys.executable, str(CHILD), str(folder), str(number), "run" if kill_after_s is not None else "drain"]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, bufsize=0) as child:
        assert child.stdout is not None
        first = child.stdout.readline() if kill_after_s is not None else b""
        try:
            out, err = child.communicate(timeout=kill_after_s if kill_after_s is not None else 300)
        except subprocess.TimeoutExpired:
            child.kill()
            out, err = child.communicate()
        else:
            assert child.returncode == 0, err.decode()
    lines = (first + out).decode().splitlines(keepends=True)
    return [(w, i) for w, i in (line.split() for line in lines if line.endswith("\n"))]


def kill_rounds(folder: Path, rounds: int) -> None:
    said: list[tuple[str, str]] = []
    chance = random.Random(rounds)
    for number in range(rounds):
        said += run_child(folder, number, kill_after_s=chance.uniform(0.0, 0.4))
    said += run_child(folder, rounds, kill_after_s=None)
    assert said[-1] == ("verified", "True")
    counts = {word: Counter(i for w, i in said if w == word) for word in ("acked", "acted", "done", "undecided")}
    assert len(counts["acked"]) > rounds, "the children were killed before they did anything"
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as stored:
        states = dict(stored.execute("SELECT id, state FROM intake_items"))
    assert {states.get(signal_id) for signal_id in counts["acked"]} == {"done"}
    lost = set(counts["acked"]) - set(counts["acted"])
    assert not lost, f"{len(lost)} acknowledged signals were never worked on"
    for signal_id, times in counts["acted"].items():
        assert times <= 1 + counts["undecided"][signal_id], f"{signal_id} was worked on again without having crashed"
    finished: set[str] = set()
    for word, signal_id in said:
        if word == "acted":
            assert signal_id not in finished, f"{signal_id} was worked on after it was done"
        elif word == "done":
            finished.add(signal_id)


def test_a_few_kills(tmp_path: Path) -> None:
    kill_rounds(tmp_path, 3)


@pytest.mark.long
def test_two_hundred_kills(tmp_path: Path) -> None:
    kill_rounds(tmp_path, 200)
