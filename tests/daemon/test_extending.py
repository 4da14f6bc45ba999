"""The recipe for a verb in docs/extending.md, followed to the letter in a copy of the product."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("daemon", "governance", "sensors", "tools", "kernel", "ledger")
IGNORED = shutil.ignore_patterns("__pycache__")
PLAYED = """
import asyncio, io, json, os, subprocess, sys
from pathlib import Path
import daemon
from daemon.control.client import Client
from daemon.control.messages import OpsRequest
from daemon.lifecycle.service import Service
from daemon.repl import run_repl
from daemon.repl.commands import completions, help_text
from daemon.settings.config import load
from ledger.clock import SystemClock
from tests.daemon.scripted_api import ScriptedApi
from tests.repos import make_repo

base = Path(sys.argv[1])
repo = make_repo(base / "repo", {"a.py": "x = 1\\n"})
(base / "run").mkdir(mode=0o700)
environ = {"PATH": os.environ["PATH"], "HOME": str(base), "XDG_RUNTIME_DIR": str(base / "run")}
config = load(repo, environ)

def ouro(*words):
    code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from daemon.cli import main; main()"
    argv = [sys.executable, "-P", "-c", code, str(Path.cwd()), *words]
    return subprocess.run(argv, cwd=repo, env=environ, capture_output=True, text=True, timeout=60).stdout

async def main():
    told = {"where": daemon.__file__}
    service = Service(config, clock=SystemClock())
    try:
        await service.open()
        places = config.places
        async with await Client.connect(places.socket, config.settings.control, token=places.token) as client:
            told["socket"] = (await client.tally(OpsRequest(all=True))).message
            said = io.StringIO()
            await run_repl(client, stdin=io.StringIO("/tally all\\n"), stdout=said)
            told["repl"] = said.getvalue()
        told["cli"] = await asyncio.to_thread(ouro, "--json", "tally", "--all")
    finally:
        await service.close()
    told["offline"] = ouro("tally")
    told["double"] = (await ScriptedApi().tally(OpsRequest())).message
    told["help"], told["completed"] = help_text(), completions("/tal", ())
    print(json.dumps(told))

asyncio.run(main())
"""


def test_a_verb_is_one_method_and_one_function(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    for room in (*ROOMS, "tests"):
        shutil.copytree(ROOT / room, tree / room, ignore=IGNORED)
    page = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    section = page.partition("## A verb of daemon, CLI and REPL")[2].partition("\n## ")[0]
    method, function = (textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL))
    table, cli = tree / "daemon/control/table.py", tree / "daemon/cli/ask.py"
    _put_before(table, "    # --- orders", textwrap.indent(method, "    ") + "\n")
    _put_before(cli, '        "repl": repl,\n', '        "tally": tally,\n')
    cli.write_text(cli.read_text(encoding="utf-8") + "\n\n" + function, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", PLAYED, str(tmp_path)],
        cwd=tree,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["where"].startswith(str(tree))
    assert (told["socket"], told["repl"], told["offline"]) == ("0 ops.", "0 ops.\n", "0 ops.\n")
    assert json.loads(told["cli"]) == {"message": "0 ops.", "op": None}
    assert told["double"] == "tally: done"
    assert "/tally [all]" in told["help"] and "Count operations" in told["help"] and told["completed"] == ["/tally"]


def _put_before(path: Path, mark: str, text: str) -> None:
    before, found, after = path.read_text(encoding="utf-8").partition(mark)
    assert found
    path.write_text(before + text + found + after, encoding="utf-8")
