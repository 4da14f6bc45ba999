"""The recipe for a phase in docs/extending.md, followed in a copy of the product; and the documented edges."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path

from governance.phases.table import MACHINE
from governance.pipeline.fsm import ABORTS
from tests.test_extending import ROOT, copy_product, run_in

END_TO_END = """
import asyncio, json, sys
from pathlib import Path
import daemon
from daemon.record.replay import replay
from daemon.views.narrate import describe
from tests.e2e.serving import served
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, repo_with
from tests.repos import commit

def minus(prefix, suffix):
    return ["subtotal - discount"] if prefix.endswith("return ") else []

async def main(base):
    repo = repo_with(base / "shop", SHOP)
    commit(repo, "Speed up totals", {"shop/cart.py": PLUS})
    async with served(config_for(base, repo), Infilling(minus)) as (service, api):
        await api.scan(FixRequest())
        ending = await ended(service.core)
        ledger = service.core.ledger
        entries = await ledger.entries(op_id=ending.op.id)
        measured = [e for e in entries if e.phase == "MEASURE"]
        shown = await api.show(OpRef(op=ending.op.id))
        return {
            "where": daemon.__file__, "state": ending.state, "why": ending.reason,
            "lines": ending.dossier.measured.lines,
            "went": [e.payload["to"] for e in entries if e.payload.get("event") == "phase.entered"],
            "recorded": [describe(e) for e in measured], "shown": [s.phase for s in shown.steps],
            "replayed": (await replay(ledger, op_id=None)).differences, "whole": (await ledger.verify()).ok,
        }

from daemon.control.messages import OpRef, FixRequest
print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
"""


def test_a_phase_is_its_file_its_output_and_a_line(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    copy_product(tree)
    section = (ROOT / "docs/extending.md").read_text().partition("## A phase")[2].partition("\n## ")[0]
    output, field, module = map(textwrap.dedent, re.findall(r"```python\n(.*?)   ```", section, flags=re.S))
    put_before(tree / "governance/pipeline/dossier.py", "class Gating(Output):", f"{output}\n\n")
    put_before(tree / "governance/pipeline/dossier.py", "    gating: Gating |", textwrap.indent(field, "    "))
    (tree / "governance/phases/measure.py").write_text(module)
    put_before(
        tree / "governance/phases/table.py", "from governance.pipeline", "from governance.phases import measure\n"
    )
    put_before(tree / "governance/phases/table.py", "    gate.SPEC,", "    measure.SPEC,\n")
    done = run_in(tree, END_TO_END)
    assert done.returncode == 0, done.stderr[-3_000:]
    seen = json.loads(done.stdout)
    assert seen["where"].startswith(str(tree))
    assert seen["state"] == "COMPLETE", seen["why"]
    assert seen["went"][4:8] == ["GENERATE", "VALIDATE", "MEASURE", "GATE"]
    assert seen["lines"] == 2 and "candidate.measured · lines 2" in seen["recorded"]
    assert seen["replayed"] == [] and seen["whole"]


def put_before(path: Path, mark: str, text: str) -> None:
    before, found, after = path.read_text().partition(mark)
    assert found
    path.write_text(before + text + found + after)


def test_the_page_lists_every_edge() -> None:
    rows = "\n".join(
        f"| {phase} | {', '.join(f'{kind}: {then}' for kind, then in edges.items() if kind not in ABORTS)} |"
        for phase, edges in MACHINE.edges.items()
    )
    table = f"| phase | result: next |\n|---|---|\n{rows}\n"
    assert table in (ROOT / "docs/architecture.md").read_text(), f"docs/architecture.md needs:\n{table}"
