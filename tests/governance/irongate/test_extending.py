"""The recipe for a gate in docs/extending.md, followed to the letter in a copy of the product."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tests.test_extending import ROOMS, ROOT, blocks, copy_product, run_in

FILE = "governance/irongate/candidate/g21_unfinished.py"
REGISTRY = "governance/irongate/registry.py"
LAST = '    "candidate.g20_unattended",\n'
ROW = "| 21 unfinished work | candidate | added notes that something is left to do |"
WALKS = (
    "tests/governance/approval/test_approval.py",  # the next one imports it
    "tests/governance/test_refusals_told.py",
    "tests/governance/irongate/test_registry.py",
    "tests/governance/irongate/test_battery.py",
    "tests/governance/irongate/test_properties.py",
)

END_TO_END = """
import asyncio, json, sys
from pathlib import Path
from daemon.record.replay import replay
from governance.irongate.registry import docs_table
from ledger.events.check import GatesJudged
from sensors.requests.manual import manual_signal
from tests.e2e.serving import served
from tests.e2e.talking import Talking, after_a_look, swap
from tests.e2e.world import PLUS, SHOP, config_for, ended, repo_with
from tests.repos import git

CART, TEST = "shop/cart.py", "tests/test_cart.py::test_total_with_discount"
OLD, NEW = "    return subtotal + discount", "    return subtotal - discount  # FIXME: below zero"

async def main(base):
    repo = repo_with(base / "shop", {**SHOP, CART: PLUS})
    head = git(repo, "rev-parse", "HEAD")
    model = Talking(after_a_look(swap(CART, OLD, NEW), CART), files=[CART], changes=[CART])
    config = config_for(base, repo, pipeline={"validate_retries": 0, "generate_retries": 0})
    async with served(config, model) as (service, _):
        goal = manual_signal("Mend total", files=[CART], closed_when=[TEST], base=head, clock=service.clock)
        await service.core.router.submit(goal)
        ending = await ended(service.core)
        ledger = service.core.ledger
        judged = await ledger.events(GatesJudged)
        verdicts = [verdict for _, event in judged for verdict in event.verdicts if verdict.gate == 21]
        report = await replay(ledger, op_id=ending.op.id)
        told = await service.told(ending.op.id)
    return {
        "state": ending.state, "landed": git(repo, "rev-parse", "HEAD") != head, "told": "gate21.note" in told,
        "feedback": [feedback.rule for feedback in ending.dossier.feedback],
        "verdicts": [[verdict.rule, verdict.decision, verdict.evidence] for verdict in verdicts],
        "replayed": report.decisions, "differences": report.differences, "table": docs_table(), "reason": ending.reason,
    }

print(json.dumps(asyncio.run(main(Path(sys.argv[1]))), default=list))
"""


def follow_recipe(tree: Path) -> None:
    """Add the recipe's gate to a copy of the product."""
    section = (ROOT / "docs/extending.md").read_text(encoding="utf-8").partition("## A gate\n")[2].partition("\n## ")[0]
    files = blocks(section)
    assert list(files) == [FILE], "nothing but the gate's own file"
    (tree / FILE).write_text(files[FILE], encoding="utf-8")
    line = re.search(r"the line `(.+?)` in `MODULES`", section)
    assert line is not None
    registry = (tree / REGISTRY).read_text(encoding="utf-8")
    assert LAST in registry
    (tree / REGISTRY).write_text(registry.replace(LAST, f"{LAST}    {line[1]}\n"), encoding="utf-8")


def changed_files(tree: Path) -> set[str]:
    """Files of the copy's rooms that the product does not have, or has otherwise."""
    paths = [path for room in ROOMS for path in (tree / room).rglob("*.py")]
    names = {str(path.relative_to(tree)): path.read_bytes() for path in paths}
    return {name for name, data in names.items() if not (ROOT / name).is_file() or (ROOT / name).read_bytes() != data}


def test_a_gate_is_its_file_and_a_line(tmp_path: Path) -> None:
    seen = {}
    for when in ("without", "with"):
        tree = tmp_path / when / "tree"
        copy_product(tree)
        if when == "with":
            follow_recipe(tree)
            assert changed_files(tree) == {FILE, REGISTRY}
        done = run_in(tree, END_TO_END)
        assert done.returncode == 0, done.stderr[-3_000:]
        seen[when] = json.loads(done.stdout)
    before, after = seen["without"], seen["with"]
    assert (before["state"], before["landed"], before["verdicts"]) == ("COMPLETE", True, []), before["reason"]
    assert (after["state"], after["landed"], after["told"]) == ("POSTMORTEM", False, True), after["reason"]
    assert after["verdicts"] == [["gate21.note", "repair", ["shop/cart.py:4"]]] * 2, "one for each attempt"
    assert "gate21.note" in after["feedback"]
    assert after["replayed"] and (before["differences"], after["differences"]) == ([], [])
    assert after["table"] == f"{before['table']}\n{ROW}"


def test_the_tests_that_go_through_all_gates_go_through_it(tmp_path: Path) -> None:
    """With the row in docs/repair.md that one of them asks for."""
    tree = tmp_path / "tree"
    copy_product(tree)
    follow_recipe(tree)
    for path in WALKS:
        shutil.copy(ROOT / path, tree / path)
    shutil.copy(ROOT / "pyproject.toml", tree)
    page = (ROOT / "docs/repair.md").read_text(encoding="utf-8")
    (tree / "docs").mkdir()
    (tree / "docs/repair.md").write_text(
        re.sub(r"^\| 20 .*\n", rf"\g<0>{ROW}\n", page, flags=re.MULTILINE), encoding="utf-8"
    )
    argv = [sys.executable, "-m", "pytest", "-vv", "-p", "no:cacheprovider", "-k", "not test_total or 21", *WALKS]
    done = subprocess.run(argv, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3_000:]
    assert "test_total_deterministic_and_replayable[21] PASSED" in done.stdout
