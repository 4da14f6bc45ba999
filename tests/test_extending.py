"""The recipes of docs/extending.md, followed to the letter in a copy of the product."""

from __future__ import annotations

import ast
import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kernel import catalogue
from sensors.registry import FOLDERS, docs_table

ROOT = Path(__file__).parents[1]
ROOMS = ("daemon", "governance", "sensors", "tools", "kernel", "ledger")

END_TO_END = """
import asyncio, json, sys
from pathlib import Path
from daemon.control.messages import OpRef
from daemon.settings.config import Settings
from daemon.settings.tighten import RULES
from sensors.registry import docs_table
from tests.e2e.serving import served
from tests.e2e.talking import Talking, after_a_look, swap
from tests.e2e.world import SHOP, config_for, ended, repo_with
from tests.repos import commit

CART = "shop/cart.py"
SETTINGS = {
    "router": {"coalesce_s": 0},
    "sensors": {"licence": {"enabled": True, "header": "# Mine", "debounce_s": 0.1}},
}

async def main(base):
    with_headers = {path: "# Mine\\n" + text if path.endswith(".py") else text for path, text in SHOP.items()}
    repo = repo_with(base / "shop", with_headers)
    first = SHOP[CART].splitlines()[0]
    model = Talking(after_a_look(swap(CART, first, "# Mine\\n" + first), CART), changes=[CART])
    async with served(config_for(base, repo, **SETTINGS), model, watch=True) as (service, api):
        commit(repo, "Without", {CART: SHOP[CART]})
        waiting = await ended(service.core)
        (row,) = [row for row in (await api.sensors()).sensors if row.source == "licence"]
        await api.approve(OpRef(op=waiting.op.id))
        ending = await ended(service.core)
    return {
        "origin": waiting.op.origin, "goal": waiting.op.goal, "state": ending.state, "why": ending.reason,
        "closed": ending.dossier.verification.closure_reason if ending.dossier.verification else "",
        "routed_as": row.routed_as, "sent": sum(row.states.values()), "text": (repo / CART).read_text()[:7],
        "default": Settings().sensors.licence.enabled, "tighten": "sensors.licence.per_day" in RULES,
        "documented": "`licence` (off)" in docs_table(),
    }

print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
"""

PROVIDER = """
import asyncio, json, sys
from pathlib import Path
from daemon.adapters.model_probe import probe
from daemon.lifecycle.service import Service
from daemon.settings.config import Settings
from daemon.settings.reference import reference
from governance.budget import BudgetSettings
from kernel.catalogue import build_provider, check_setup, docs_table
from ledger.clock import SystemClock
from ledger.errors import ProviderBadOutput, ProviderUnavailable
from tests.e2e.completions import Model, blocks
from tests.e2e.serving import Serving, served
from tests.e2e.test_tool_loop import BILL, FAILING, GOAL, RATE, TWO_BUGS, strong, work
from tests.e2e.world import config_for, repo_with
from tests.kernel.misbehaving import Misbehaving

model = Model(strong(blocks), files=[BILL, RATE], changes=[BILL, RATE])

async def answer(peer):
    body = server.requests[-1].body
    text = model._reply(body).text if len(body["messages"]) > 1 else "ab"
    reply = {"model": body["model"], "message": {"role": "assistant", "content": text}, "done": True,
             "prompt_eval_count": 7, "eval_count": 3}
    await peer.head(content_type="application/json")
    await peer.send(json.dumps(reply).encode())

async def garbage(peer):
    await peer.head(content_type="application/json")
    await peer.send(b"[1]")

class Configured(Serving):
    provider = Service.provider

async def failure(provider):
    try:
        await probe(provider, "?", tokens=8, timeout_s=5, budget=BudgetSettings(), clock=SystemClock())
    except (ProviderUnavailable, ProviderBadOutput) as error:
        return type(error).__name__

async def main(base):
    global server
    repo = repo_with(base / "shop", TWO_BUGS)
    async with Misbehaving(answer) as server:
        url = server.base_url.removesuffix("/v1")
        kernel = {"provider": "ollama", "ollama": {"base_url": url, "model": "small"}}
        config = config_for(base, repo, kernel=kernel)
        async with served(config, None, service_type=Configured) as (service, api):
            ending = await work(service, GOAL, BILL, FAILING)
            entries = await service.entries(ending.op.id, "call.started")
            used = service.core.provider.model
        chosen = config.settings.kernel
        made = build_provider("ollama", chosen, models_dir=base, api_key=lambda _: None)
        probed = await probe(made, "?", tokens=8, timeout_s=5, budget=BudgetSettings(), clock=SystemClock())
        server.behaviour = garbage
        failures = [await failure(made)]
    failures.append(await failure(made))
    return {
        "state": ending.state, "why": ending.reason, "text": (repo / BILL).read_text(), "used": used,
        "recorded": [entry.payload.get("provider") for entry in entries], "asked": len(model.asked),
        "answer": probed.answer, "usage": probed.usage.tokens_in, "failures": failures,
        "check": check_setup(chosen, models_dir=base)[0].detail,
        "default": Settings().kernel.ollama.base_url, "settings": "## [kernel.ollama]" in reference(),
        "chosen": '"scripted" or "ollama"' in reference(), "documented": "an Ollama server" in docs_table(),
    }

print(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
"""

TOOL = """
import asyncio, json, sys
from pathlib import Path
from tests.e2e.serving import served
from tests.e2e.talking import InTurn, Talking, call, swap
from tests.e2e.test_refusals import CART, RETURN, TEST, shop, work
from tests.e2e.world import config_for

class Offered(Talking):
    offered = ()

    async def respond(self, conversation, tools, limits):
        if tools:
            self.offered = [tool.name for tool in tools]
        async for event in super().respond(conversation, tools, limits):
            yield event

async def main(base):
    repo = shop(base)
    more = [call("count_lines", path=path) for path in (CART, "none.py", "../out.py", ".git/config")]
    talk = InTurn([swap(CART, RETURN, "    return subtotal - discount")], CART, TEST, more=more)
    model = Offered(talk, files=[CART], changes=[CART])
    async with served(config_for(base, repo), model) as (service, _):
        ending = await work(service)
        called = [entry.payload for entry in await service.entries(ending.op.id, "tool.called")]
    return {
        "state": ending.state, "why": ending.reason, "offered": model.offered,
        "told": [turn.text for turn in model.asked[-1] if turn.role == "tool"],
        "called": [one for one in called if one["tool"] == "count_lines"],
    }

print(json.dumps(asyncio.run(main(Path(sys.argv[1]))), default=str))
"""


def copy_product(to: Path) -> None:
    """The product and the helpers of its tests."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, to / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", to / "tests", ignore=shutil.ignore_patterns("__pycache__", "test_*.py"))
    for ops in ("tests/e2e/test_refusals.py", "tests/e2e/test_tool_loop.py"):  # repositories and models for whole ops
        shutil.copy(ROOT / ops, to / ops)


def blocks(section: str) -> dict[str, str]:
    """The files of a recipe, by path: each numbered step names one, and holds its text."""
    found = re.findall(r"^\d\. \*\*`([^`]+)`\*\*.*?```python\n(.*?)```", section, flags=re.M | re.S)
    return {path: textwrap.dedent(f"   {text.lstrip()}") for path, text in found}


def steps(kind: str) -> str:
    """The recipe for a kind of part."""
    page = (ROOT / "docs" / "extending.md").read_text()
    return page.partition(f"## {kind}\n")[2].partition("\n## ")[0]


def add_file_and_line(tree: Path, kind: str, line: str, after: str) -> None:
    """A copy of the product with the recipe's file, and the recipe's ``line`` below ``after``: nothing else differs."""
    copy_product(tree)
    section = steps(kind)
    ((path, text),) = blocks(section).items()
    (tree / path).write_text(text)
    (listed,) = re.findall(rf"^2\. \*\*`([^`]+)`\*\*: the line `{re.escape(line)}`", section, flags=re.M)
    before = (tree / listed).read_text()
    assert before.count(after) == 1
    (tree / listed).write_text(before.replace(after, f"{after}    {line}\n"))


def follow_recipe(tree: Path, *, keep: tuple[str, ...]) -> None:
    """A copy of the product with the recipe's sensor, and of ours only those of ``keep``."""
    copy_product(tree)
    files = blocks(steps("A sensor"))
    assert {str(Path(path).parent) for path in files} == {"sensors/licence"}
    for path, text in files.items():
        (tree / path).parent.mkdir(exist_ok=True)
        (tree / path).write_text(text)
    for folder in set(FOLDERS) - set(keep):
        shutil.rmtree(tree / "sensors" / folder)
    registry = tree / "sensors" / "registry.py"
    listed = "".join(f'    "{folder}",\n' for folder in ("licence", *keep))
    registry.write_text(re.sub(r"FOLDERS = \(\n.*?\n\)", f"FOLDERS = (\n{listed})", registry.read_text(), flags=re.S))


def run_in(tree: Path, code: str) -> subprocess.CompletedProcess[str]:
    told = f"import sys; sys.path.insert(0, {str(tree)!r})\n{code}"
    argv = [sys.executable, "-P", "-c", told, str(tree.parent)]
    return subprocess.run(argv, capture_output=True, text=True, cwd=tree.parent, check=False)


@pytest.mark.parametrize("keep", [FOLDERS, ("test_failure",)], ids=["all", "one"])
def test_a_sensor_is_its_folder_and_a_line(tmp_path: Path, keep: tuple[str, ...]) -> None:
    """Also where the others are gone: nothing outside their folders needs them."""
    follow_recipe(tmp_path / "tree", keep=keep)
    done = run_in(tmp_path / "tree", END_TO_END)
    assert done.returncode == 0, done.stderr[-3_000:]
    seen = json.loads(done.stdout)
    assert (seen["origin"], seen["goal"]) == ("licence", "Add the licence header to shop/cart.py")
    assert (seen["state"], seen["text"]) == ("COMPLETE", "# Mine\n"), seen["why"]
    assert "shop/cart.py has a licence header" in seen["closed"]
    assert (seen["routed_as"], seen["sent"]) == ("background", 1)
    assert (seen["default"], seen["tighten"], seen["documented"]) == (False, True, True)


def test_no_module_of_the_product_needs_a_sensor(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    follow_recipe(tree, keep=())
    modules = [
        ".".join(path.relative_to(tree).with_suffix("").parts).removesuffix(".__init__")
        for room in ROOMS
        for path in sorted((tree / room).rglob("*.py"))
        if "data" not in path.parts and not path.name.startswith(("_ouro", "__main__"))
    ]
    missing = """
import importlib
for module in {modules!r}:
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "sensors":
            raise SystemExit(f"{{module}} needs {{error.name}}") from error
"""
    done = run_in(tree, missing.format(modules=modules))
    assert done.returncode == 0, done.stderr[-3_000:]


def test_the_page_lists_every_sensor_as_its_spec_describes_it() -> None:
    assert docs_table() in (ROOT / "docs" / "sensors.md").read_text(), f"docs/sensors.md needs:\n{docs_table()}"


def test_no_sensor_imports_another_and_nothing_shared_imports_a_sensor() -> None:
    folders = {f"sensors.{folder}" for folder in FOLDERS}
    for path in (ROOT / "sensors").rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        own = ".".join(module.split(".")[:2])
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                owner = ".".join(node.module.split(".")[:2])
                assert owner not in folders or owner == own, f"{module} imports {node.module}"


def test_a_provider_is_its_file_and_a_line(tmp_path: Path) -> None:
    """It repairs two files by a conversation; settings, checks, probe and docs know it."""
    add_file_and_line(tmp_path / "tree", "A provider", '"ollama",', '    "scripted",\n')
    done = run_in(tmp_path / "tree", PROVIDER)
    assert done.returncode == 0, done.stderr[-3_000:]
    seen = json.loads(done.stdout)
    assert seen["state"] == "COMPLETE" and "price + price" in seen["text"], seen["why"]
    assert set(seen["recorded"]) == {"ollama"} and seen["used"] == "small" and seen["asked"] == 4
    assert (seen["answer"], seen["usage"]) == ("ab", 7)
    assert seen["failures"] == ["ProviderBadOutput", "ProviderUnavailable"]
    assert (seen["check"], seen["default"]) == ("ollama; nothing is needed on this machine", "http://127.0.0.1:11434")
    assert seen["settings"] and seen["chosen"] and seen["documented"]


def test_a_tool_is_its_file_and_a_line(tmp_path: Path) -> None:
    """It is offered, judged, called and recorded."""
    add_file_and_line(tmp_path / "tree", "A tool", '"count_lines:CountLines",', '    "listing:GlobFiles",\n')
    done = run_in(tmp_path / "tree", TOOL)
    assert done.returncode == 0, done.stderr[-3_000:]
    seen = json.loads(done.stdout)
    assert seen["state"] == "COMPLETE", seen["why"]
    assert seen["offered"][7] == "count_lines"
    told = "\n".join(seen["told"])
    assert "shop/cart.py has 24 lines" in told and "There is no file 'none.py'." in told
    assert "Refused by gate01.dots" in told and "Refused by gate01.git" in told
    recorded = [(one["ok"], one["rule"], one["score"]) for one in seen["called"]]
    assert recorded[:2] == [(True, "policy.allow", 1), (False, "policy.allow", 1)]
    assert recorded[2:] == [(False, "gate01.dots", 0), (False, "gate01.git", 0)]


def test_the_page_lists_every_provider_as_its_spec_describes_it() -> None:
    table = catalogue.docs_table()
    assert table in (ROOT / "docs" / "kernel.md").read_text(), f"docs/kernel.md needs:\n{table}"
