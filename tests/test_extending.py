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


def copy_product(to: Path) -> None:
    """The product and the helpers of its tests."""
    for room in ROOMS:
        shutil.copytree(ROOT / room, to / room, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "tests", to / "tests", ignore=shutil.ignore_patterns("__pycache__", "test_*.py"))


def blocks(section: str) -> dict[str, str]:
    """The files of a recipe, by path: each numbered step names one, and holds its text."""
    found = re.findall(r"^\d\. \*\*`([^`]+)`\*\*.*?```python\n(.*?)```", section, flags=re.M | re.S)
    return {path: textwrap.dedent(f"   {text.lstrip()}") for path, text in found}


def follow_recipe(tree: Path, *, keep: tuple[str, ...]) -> None:
    """A copy of the product with the recipe's sensor, and of ours only those of ``keep``."""
    copy_product(tree)
    section = (ROOT / "docs" / "extending.md").read_text().partition("## A sensor")[2].partition("\n## ")[0]
    files = blocks(section)
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
