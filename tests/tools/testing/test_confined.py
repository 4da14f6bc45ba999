"""The same runs behind real walls: the copy stands at the checkout's own path."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from ledger.vocabulary import RunStatus
from tests.repos import commit, make_repo
from tests.tools.testing.projects import BROKEN, SHOP, Backend, make_environment, make_project

SRC = {f"src/{name}" if name.startswith("shop") else name: text for name, text in SHOP.items()}


@pytest.mark.parametrize("walls", ["bwrap", "landlock"])
async def test_an_editable_install_imports_the_copy_at_the_checkouts_path(
    tmp_path: Path, packages: Path, walls: Backend
) -> None:
    files = SRC | {
        ".gitignore": ".venv\n_version.py\n",
        "tests/test_where.py": (
            "import os, sys, shop.cart\nfrom shop._version import version\n\n"
            "def test_where():\n"
            "    assert shop.cart.__file__ == os.getcwd() + '/src/shop/cart.py'\n"
            "    assert sys.prefix.endswith('/repo/.venv') and version == 1\n"
            "    open('left.txt', 'w').close()\n"
            "    try: open(sys.prefix + '/x', 'w')\n"
            "    except OSError: pass\n"
            "    else: assert False\n"
        ),
    }
    repo = make_repo(tmp_path / "repo", files)
    make_environment(repo / ".venv", packages, repo / "src")
    (repo / "src/shop/_version.py").write_text("version = 1\n")
    project = await make_project(tmp_path, files, None, walls)
    assert project.environment.prefix == repo / ".venv"
    for _ in range(2):  # a second time on the copy that the first run left
        run = await project.run(coverage=True)
        assert (run.status, run.reason) == (RunStatus.GREEN, ""), run.output
    assert run.coverage["tests/test_cart.py::test_plain"]["src/shop/cart.py"] == (2, 3)
    assert (project.ws.root / "left.txt").exists() and not (repo / "left.txt").exists()
    await project.ws.reset()
    project.write({"src/shop/cart.py": BROKEN["shop/cart.py"]})
    run = await project.run()
    assert run.status is RunStatus.RED and [r.frames[-1].path for r in run.red] == ["tests/test_cart.py"]
    assert (repo / "src/shop/cart.py").read_text() == SHOP["shop/cart.py"]


@pytest.mark.parametrize("walls", ["bwrap", "landlock"])
async def test_a_generated_file_that_the_copy_has_itself_is_not_hidden(
    tmp_path: Path, environment: Path, walls: Backend
) -> None:
    files = SHOP | {"shop/_version.py": "V = 'tracked'\n", "tests/test_v.py": "from shop._version import V\n"}
    files["tests/test_v.py"] += "def test_v(): assert V == 'tracked'\n"
    project = await make_project(tmp_path, files, environment, walls)
    (project.repo / ".gitignore").write_text("_version.py\n")
    (project.repo / "shop/_version.py").unlink()
    commit(project.repo, "now generated")
    (project.repo / "shop/_version.py").write_text("V = 'generated'\n")
    again = await make_project(tmp_path, files, environment, walls)
    assert again.environment.needs == ("shop/_version.py",)
    old = await again.workspaces.acquire("old", "HEAD~1")
    assert (await replace(again, ws=old).run()).status is RunStatus.GREEN


@pytest.mark.parametrize("walls", ["bwrap", "landlock"])
async def test_a_hanging_suite_and_a_signal_behind_walls(tmp_path: Path, environment: Path, walls: Backend) -> None:
    files = {"test_h.py": "import time\ndef test_hang(): time.sleep(60)\n"}
    project = await make_project(tmp_path, files, environment, walls)
    run = await project.run(limit_s=2.0)
    assert run.status is RunStatus.RED and run.red[0].exception == "TimeLimit"
    assert [(f.path, f.line, f.function) for f in run.red[0].frames] == [("test_h.py", 2, "test_hang")]
    project.write({"test_h.py": "import os\ndef test_die(): os.kill(os.getpid(), 11)\n"})
    run = await project.run()
    assert run.status is RunStatus.INCONCLUSIVE and "test_h.py::test_die" in run.reason
