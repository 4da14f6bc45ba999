"""The recipes for a verb and a setting in docs/extending.md, followed to the letter in a copy of the product."""

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


LOGGED = """
import json, logging, os, sys
from pathlib import Path
from daemon.lifecycle.logs import configure
from daemon.settings.config import load
from tests.repos import make_repo

base = Path(sys.argv[1])
repo = make_repo(base / "repo", {"a.py": "x = 1\\n"})
(base / "run").mkdir(mode=0o700)
own = base / ".config/ouroboros/config.toml"
own.parent.mkdir(parents=True)
environ = {"PATH": os.environ["PATH"], "HOME": str(base), "XDG_RUNTIME_DIR": str(base / "run")}

def line(text, **variables):
    own.write_text(text)
    config = load(repo, environ | variables)
    configure(config.settings.log)
    logging.getLogger("trial").warning("x" * 30_000)
    return config.settings.log.most_chars

limits = [
    line(""), line("[log]\\nmost_chars = 90\\n"), line("[log]\\nmost_chars = 90\\n", OURO_LOG__MOST_CHARS="85"),
]
own.write_text("[log]\\nmost_char = 90\\n")
print(json.dumps({"limits": limits, "environ": environ, "repo": str(repo)}))
"""
MISSPELT = "import sys; sys.path.insert(0, sys.argv.pop(1)); from daemon.cli import main; main()"


def test_a_setting_is_one_file(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    field, use = blocks_of("A setting")
    logs = tree / "daemon/lifecycle/logs.py"
    _put_before(logs, "\n\nclass RedactingFormatter", textwrap.indent(field, "    "))
    text = logs.read_text(encoding="utf-8")
    before = "        return redact(self._real.format(record))\n"
    assert text.count(before) == 1
    logs.write_text(text.replace(before, textwrap.indent(use, "        ")), encoding="utf-8")
    done = run_in(tree, "-c", LOGGED, str(tmp_path))
    told = json.loads(done.stdout)
    assert told["limits"] == [20_000, 90, 85]  # default, file, variable
    assert [len(line) for line in done.stderr.splitlines()] == [20_000, 90, 85]
    words = [sys.executable, "-P", "-c", MISSPELT, str(tree), "status"]
    refused = subprocess.run(
        words, cwd=told["repo"], env=told["environ"], capture_output=True, text=True, timeout=60, check=False
    )
    assert refused.returncode == 2 and "'log.most_char'" in refused.stderr and "'log.most_chars'" in refused.stderr
    (tree / "docs").mkdir()
    run_in(tree, "-m", "daemon.settings.reference")
    row = "| `most_chars` | whole number | `20000` |  | Characters of a line; what is longer is cut. |"
    assert row in (tree / "docs/settings.md").read_text(encoding="utf-8").splitlines()


def copy_of_the_tree(folder: Path) -> Path:
    tree = folder / "tree"
    for room in (*ROOMS, "tests"):
        shutil.copytree(ROOT / room, tree / room, ignore=IGNORED)
    return tree


def blocks_of(title: str) -> list[str]:
    """The Python of one recipe."""
    page = (ROOT / "docs/extending.md").read_text(encoding="utf-8")
    section = page.partition(f"## {title}\n")[2].partition("\n## ")[0]
    return [textwrap.dedent(block) for block in re.findall(r"```python\n(.*?)```", section, re.DOTALL)]


def run_in(tree: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([sys.executable, *words], cwd=tree, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done


def test_a_verb_is_one_method_and_one_function(tmp_path: Path) -> None:
    tree = copy_of_the_tree(tmp_path)
    method, function = blocks_of("A verb of daemon, CLI and REPL")
    table, cli = tree / "daemon/control/table.py", tree / "daemon/cli/ask.py"
    _put_before(table, "    # --- orders", textwrap.indent(method, "    ") + "\n")
    _put_before(cli, '        "repl": repl,\n', '        "tally": tally,\n')
    cli.write_text(cli.read_text(encoding="utf-8") + "\n\n" + function, encoding="utf-8")
    told = json.loads(run_in(tree, "-c", PLAYED, str(tmp_path)).stdout)
    assert told["where"].startswith(str(tree))
    assert (told["socket"], told["repl"], told["offline"]) == ("0 ops.", "0 ops.\n", "0 ops.\n")
    assert json.loads(told["cli"]) == {"message": "0 ops.", "op": None}
    assert told["double"] == "tally: done"
    assert "/tally [all]" in told["help"] and "Count operations" in told["help"] and told["completed"] == ["/tally"]


def _put_before(path: Path, mark: str, text: str) -> None:
    before, found, after = path.read_text(encoding="utf-8").partition(mark)
    assert found
    path.write_text(before + text + found + after, encoding="utf-8")
