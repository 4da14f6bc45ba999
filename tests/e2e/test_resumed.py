"""Searches that are killed (SIGKILL) go on behind what they had tried in vain, with what the record says of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.talking import looked, swap
from tests.e2e.world import PLUS, SHOP, repo_with
from tests.repos import commit, git

# The right text fits one hole of a late step only; until then every answer takes a while and gives nothing.
LATE = {"prefix_ends": "subtotal + ", "texts": ["-discount"]}
SCRIPT = json.dumps({"infill": True, "infill_delay_s": 0.5, "infills": [LATE]})
ARGV = (sys.executable, "-c", "from daemon.cli import main; main()", "--json", "fix")


def world(base: Path, script: str = SCRIPT) -> tuple[Path, dict[str, str]]:
    repo = repo_with(base / "shop", SHOP)
    commit(repo, "Speed up totals", {"shop/cart.py": PLUS})
    (base / "script.json").write_text(script)
    folders = {name: base / name.lower() for name in ("HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR")}
    for folder in folders.values():
        folder.mkdir(mode=0o700)
    env = {name: str(folder) for name, folder in folders.items()} | {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2]),
        "OURO_KERNEL__PROVIDER": "scripted", "OURO_KERNEL__SCRIPTED__SCRIPT": str(base / "script.json"),
        "OURO_REPAIR__MOVES": "false", "OURO_APPROVAL__NOTIFY_DELAY_S": "0", "OURO_APPROVAL__UNATTENDED": "listed",
    }  # fmt: skip
    return repo, env


def payloads(lines: Iterator[str]) -> Iterator[dict[str, Any]]:
    """Of the entries that the program tells as they are written."""
    for line in lines:
        entry = json.loads(line).get("entry") if line.startswith("{") else None
        if entry:
            yield entry["payload"]


def test_a_killed_search_goes_on_where_it_was(tmp_path: Path) -> None:
    repo, env = world(tmp_path)
    head, steps = git(repo, "rev-parse", "HEAD"), 0
    with subprocess.Popen(ARGV, cwd=repo, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True) as first:
        assert first.stdout is not None
        for payload in payloads(first.stdout):
            if payload.get("event") == "searched":
                steps = payload["steps"]
                assert payload["found"] == 0
            if steps == 2:
                break
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(30)
    assert steps == 2 and git(repo, "rev-parse", "HEAD") == head
    done = subprocess.run(ARGV, cwd=repo, env=env, capture_output=True, text=True, timeout=240, check=False)
    told = list(payloads(iter(done.stdout.splitlines())))
    later = [payload["steps"] for payload in told if payload.get("event") == "searched"]
    assert later and later[0] in (3, 4), "nothing that was tried in vain is tried again; what was under way may be"
    asked = [payload["wave"] for payload in told if payload.get("event") == "infilled"]
    assert "lines" not in asked[:1], asked
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr
    assert "subtotal + -discount" in (repo / "shop/cart.py").read_text()
    assert git(repo, "rev-parse", "HEAD^") == head and git(repo, "status", "--porcelain") == ""


CART, TEST = "shop/cart.py", "tests/test_cart.py"
RETURN = "    return subtotal + discount"
LOOKS = [{"name": call.name, "arguments": call.arguments} for call in looked(CART, TEST)]


def wrong(amount: int) -> str:
    return swap(CART, RETURN, f"    return subtotal + {amount} * discount")


def conversation(*answers: dict[str, Any]) -> str:
    """A model that has no advice on files and plan, and looks around in front of each answer."""
    advice = [json.dumps({"files": []}), json.dumps({"approach": "Mend the cause.", "ordered_changes": []})]
    turns = [{"text": text} for text in advice] + [turn for answer in answers for turn in ({"calls": LOOKS}, answer)]
    return json.dumps({"tools": True, "turns": turns})


def test_a_killed_l2_goes_on_behind_its_last_round(tmp_path: Path) -> None:
    """The second one is told of what the first one had tried, and its round is the next one."""
    repo, env = world(tmp_path, conversation(*({"text": wrong(n)} for n in (2, 3)), {"text": "", "delay_s": 60}))
    env |= {"OURO_PIPELINE__VALIDATE_RETRIES": "0", "OURO_PIPELINE__GENERATE_RETRIES": "0"}
    head = git(repo, "rev-parse", "HEAD")
    with subprocess.Popen(ARGV, cwd=repo, env=env, stdout=subprocess.PIPE, text=True, start_new_session=True) as first:
        assert first.stdout is not None
        events = (payload.get("event") for payload in payloads(first.stdout))
        assert "repair.round" in events, "it reads to the end of the first round"
        os.killpg(first.pid, signal.SIGKILL)
        first.wait(30)
    good = {"text": swap(CART, RETURN, "    return subtotal - discount"), "expect": ["subtotal + 3 * discount"]}
    (tmp_path / "script.json").write_text(conversation({"text": wrong(2)}, good))
    done = subprocess.run(ARGV, cwd=repo, env=env, capture_output=True, text=True, timeout=240, check=False)
    rounds = [each for each in payloads(iter(done.stdout.splitlines())) if each.get("event") == "repair.round"]
    assert [(each["round"], each["trouble"]) for each in rounds] == [(2, "none")], done.stdout[-3_000:]
    assert done.returncode == 0, done.stdout[-2_000:] + done.stderr
    assert "subtotal - discount" in (repo / CART).read_text() and git(repo, "rev-parse", "HEAD^") == head
