"""A benchmark that becomes worse with a commit, from the result file that git ignores to the commit that mends it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from daemon.control.messages import OpRef
from governance.pipeline.ending import Ending
from ledger.vocabulary import OpOutcome, RootCause, Source
from tests.e2e.serving import Serving, served
from tests.e2e.talking import InTurn, Talking, after_a_look, swap
from tests.e2e.world import SHOP, config_for, ended, repo_with
from tests.repos import commit, git

CART, BENCH, RESULT = "shop/cart.py", "bench/speed.py", "out/speed.jsonl"
LINE = "    subtotal = sum(prices)"
LOOP = f"{LINE}\n    for price in prices:\n        subtotal += 0 * price"
COUNTED = """\
import json
import sys

sys.path.insert(0, ".")
from shop.cart import total

steps = 0


def counted(frame, event, argument):
    global steps
    steps += event == "line"
    return counted


sys.settrace(counted)
total(list(range(100)))
sys.settrace(None)
with open(sys.argv[1], "w") as file:
    json.dump({"steps": {"value": steps, "unit": "lines"}}, file)
"""
FILES = {**SHOP, BENCH: COUNTED, ".gitignore": ".venv\n__pycache__/\nout/\n"}
QUICK = {
    "test_failure": {"debounce_s": 0.1},
    "router": {"coalesce_s": 0},
    "sensors": {
        "performance_regression": {
            "enabled": True, "result": RESULT, "command": ["python", BENCH, "{result}"], "least_samples": 3, "runs": 1,
        }
    },
}  # fmt: skip


def measure(repo: Path) -> None:
    """The owner's benchmark, as he would run it; he keeps a line a commit."""
    (repo / "out").mkdir(exist_ok=True)
    subprocess.run([sys.executable, BENCH, "out/now.json"], cwd=repo, check=True)
    steps = json.loads((repo / "out" / "now.json").read_text())["steps"]
    line = json.dumps({"name": "steps", **steps, "commit": git(repo, "rev-parse", "HEAD")})
    with (repo / RESULT).open("a") as file:
        file.write(f"{line}\n")


def with_history(path: Path) -> Path:
    repo = repo_with(path, FILES)
    for n in range(3):
        commit(repo, f"step {n}", {"notes.txt": f"{n}\n"})
        measure(repo)
    return repo


async def slowed(service: Serving, repo: Path) -> str:
    await service.until("metrics_taken")
    await service.sensors._watcher.ready.wait()
    slow = commit(repo, "Be careful", {CART: SHOP[CART].replace(LINE, LOOP)})
    measure(repo)
    await service.until("sensor_said", sensor="performance_regression")
    return slow


async def approved(service: Serving, api: object) -> Ending:
    ending = await ended(service.core)
    while ending.request is not None:
        await api.approve(OpRef(op=ending.op.id))  # type: ignore[attr-defined]
        ending = await ended(service.core)
    return ending


async def test_what_made_a_benchmark_worse_is_mended_and_measured_again(tmp_path: Path) -> None:
    repo = with_history(tmp_path / "shop")
    model = Talking(after_a_look(swap(CART, LOOP, LINE), CART), changes=[CART])
    async with served(config_for(tmp_path, repo, **QUICK), model, watch=True) as (service, api):
        slow = await slowed(service, repo)
        ending = await approved(service, api)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert (ending.op.origin, ending.op.targets) == (Source("performance_regression"), (CART,))
        assert ending.dossier.verification is not None
        assert "steps is 2 lines: within noise" in ending.dossier.verification.closure_reason
        assert (await service.core.ledger.verify()).ok
    assert git(repo, "rev-parse", "HEAD^") == slow
    assert (repo / CART).read_text() == SHOP[CART]
    assert "steps is" in " ".join(m.text for m in model.asked[0])


@pytest.mark.long
async def test_green_tests_do_not_make_it_fast_and_what_measures_is_not_to_be_changed(tmp_path: Path) -> None:
    """Code that is as slow, a benchmark that counts less, a result that is simply written."""
    repo = with_history(tmp_path / "shop")
    attempts = [
        swap(CART, "        subtotal += 0 * price", "        subtotal += price * 0"),
        swap(BENCH, "total(list(range(100)))", "total(list(range(1)))"),
        f"So be it.\n\n.ouro-measured.json\n```\n{json.dumps({'steps': 1})}\n```\n",
    ]
    talk = InTurn(attempts, CART, BENCH)

    model = Talking(talk)
    async with served(config_for(tmp_path, repo, **QUICK), model, watch=True) as (service, api):
        slow = await slowed(service, repo)
        ending = await approved(service, api)
        assert ending.state is OpOutcome.POSTMORTEM, (ending.cause, ending.reason)
        assert ending.cause is RootCause.CLOSURE_OPEN, ending.reason
        runs = await service.entries(ending.op.id, "validated")
        assert {run.payload["status"] for run in runs} == {"green"}
    assert "steps is 203 lines, wanted is at most" in talk.told[1]
    assert "what measures was changed: bench/speed.py" in talk.told[2]
    assert git(repo, "rev-parse", "HEAD") == slow
