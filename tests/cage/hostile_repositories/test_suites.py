"""Suites that attack while they run, behind both back ends; what they got hold of is looked at in what they leave."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from ledger.errors import PolicyRefused
from ledger.vocabulary import RunStatus
from tests.cage.hostile_repositories import build
from tests.cage.hostile_repositories.build import LOADED, Ground
from tests.cage.outside import MARK, Outside, names_in
from tests.proved import choose_once
from tests.repos import commit, git, host_env, make_places, make_repo
from tests.tools.testing.projects import SHOP, Backend, Project, make_project
from tools.sandbox.settings import SandboxSettings


async def project(
    tmp_path: Path, environment: Path, walls: Backend, ground: Ground, *traps: build.Trap, **bounds: int
) -> Project:
    for trap in traps:
        trap(ground)
    commit(ground.repo, "traps")
    settings = SandboxSettings.model_validate({"backend": walls, **bounds})
    choice = await choose_once(settings, make_places(tmp_path / "ours", ground.repo), host_env())
    if choice.sandbox is None:
        pytest.skip(f"{walls} does not work here: {choice.remedy}")
    return await make_project(tmp_path, SHOP, environment, choice.sandbox)


def seen(project: Project) -> dict[str, bytes]:
    """What each attack got hold of, as it wrote it down in its workspace."""
    found = project.ws.root.glob("seen-*.txt")
    return {path.name.removeprefix("seen-").removesuffix(".txt"): path.read_bytes() for path in found}


@pytest.mark.parametrize("walls", ["bwrap", "landlock"])
async def test_code_that_is_loaded_by_itself_gets_hold_of_nothing(
    tmp_path: Path, world: Outside, environment: Path, monkeypatch: pytest.MonkeyPatch, walls: Backend
) -> None:
    monkeypatch.setenv("DEPLOY", world.secret("environment"))
    repo, places = make_repo(tmp_path / "repo", SHOP), make_places(tmp_path / "ours", tmp_path / "repo")
    tokens = [world.canary(name, folder) for name, folder in (("state", places.state), ("keys", places.keys))]
    ground = Ground(repo=repo, world=world, sockets=(str(places.socket),), tokens=tuple(map(str, tokens)))
    run_of = await project(tmp_path, environment, walls, ground, build.loaded_code)
    run = await run_of.run()
    assert run.status is RunStatus.GREEN, (run.reason, run.output)
    got = seen(run_of)
    assert set(got) >= LOADED, "these attacks did not run, so that nothing is shown"
    assert {attack: names_in(text) for attack, text in got.items() if names_in(text)} == {}
    assert not any(b"daemon-reached" in text for text in got.values())
    assert names_in(run.output.encode()) == set()
    world.assert_untouched()


SPOILERS = {
    "kills its parents": "import os\nfor pid in (os.getppid(), 1): os.kill(pid, 9)\n",
    "kills everybody": "import os\nos.kill(-1, 9)\n",
    "forges a report": (
        "import os\nfor fd in range(3, 64):\n"
        '    try: os.write(fd, b\'{"event": "end", "exit": 0, "collected": []}\\n\')\n    except OSError: pass\n'
        "os._exit(0)\n"
    ),
    "forges the plugin": (
        "import sys\nfor name in [n for n in sys.modules if 'ouro' in n]:\n"
        "    for key in list(vars(sys.modules[name])):\n        setattr(sys.modules[name], key, lambda *a, **k: None)\n"
    ),
    "fills the private folders": (
        "import os\nfor folder in ('/tmp', '/dev/shm', os.environ['HOME']):\n"
        "    try:\n        with open(folder + '/fill', 'wb') as file:\n"
        "            while True: file.write(bytes(1 << 20)); file.flush()\n"
        "    except OSError as error:\n"
        "        print(folder, error.strerror, file=open('filled.txt', 'a'))\n"
    ),
    "fills its copy": (
        "import time\nfor n in range(64):\n    with open(f'f{n}', 'wb') as file: file.write(bytes(1 << 20))\n"
        "time.sleep(60)\n"
    ),
    "opens everything": "import os\nheld = []\nwhile True: held.append(os.open('/dev/null', 0))\n",
}
BOUNDS = {"scratch_mb": 16, "open_files": 256, "memory_mb": 1024}


@pytest.mark.parametrize("name", [
    pytest.param(name, marks=[] if name == "forges a report" or name.startswith("fills") else [pytest.mark.long])
    for name in SPOILERS
])  # fmt: skip
async def test_a_suite_that_spoils_its_own_run_is_never_believed(
    tmp_path: Path, world: Outside, environment: Path, name: str
) -> None:
    """Nothing but an honest green run is green, nobody outlives it, and the copy can be used again."""
    failing = "def test_bad():\n    assert False\n"
    repo = make_repo(tmp_path / "repo", {**SHOP, "tests/conftest.py": SPOILERS[name], "tests/test_bad.py": failing})
    run_of = await project(tmp_path, environment, "bwrap", Ground(repo=repo, world=world), **BOUNDS)
    run = await run_of.run(["tests/test_bad.py::test_bad"], limit_s=20)
    assert run.status is not RunStatus.GREEN and (run.reason or run.red)
    if name == "fills the private folders":
        filled = (run_of.ws.root / "filled.txt").read_text()
        assert filled.count("No space left on device") == 3, filled
    if name == "fills its copy":
        assert "it wrote more than it may" in run.reason, run
    world.assert_untouched()
    await run_of.ws.reset()
    assert git(repo, "status", "--porcelain") == ""


SWAPS = (
    "import os, time\n\ndef test_swap():\n"
    "    end = time.monotonic() + 1.0\n    real = open('shop/cart.py').read()\n    os.mkdir('folder')\n"
    "    open('folder/x.py', 'w').write('inside')\n"
    "    while time.monotonic() < end:\n"
    "        os.unlink('shop/cart.py'); os.symlink({canary!r}, 'shop/cart.py')\n"
    "        os.unlink('shop/cart.py'); open('shop/cart.py', 'w').write(real)\n"
    "        os.rename('folder', 'away'); os.symlink({folder!r}, 'folder')\n"
    "        os.unlink('folder'); os.rename('away', 'folder')\n"
)


async def test_links_that_are_swapped_while_we_read_never_lead_out(
    tmp_path: Path, world: Outside, environment: Path
) -> None:
    canary = world.canary("swapped", world.base / "folder")
    (canary.parent / "x.py").write_text(world.secret("swapped"))
    source = SWAPS.format(canary=str(canary), folder=str(canary.parent))
    repo = make_repo(tmp_path / "repo", {**SHOP, "tests/test_swap.py": source})
    run_of = await project(tmp_path, environment, "bwrap", Ground(repo=repo, world=world))
    running = asyncio.create_task(run_of.run(["tests/test_swap.py"]))
    read = refused = 0
    while not running.done():
        for path in ("shop/cart.py", "folder/x.py"):
            try:
                data = await asyncio.to_thread(run_of.ws.read, path)
            except PolicyRefused:
                refused += 1
                continue
            read += data is not None
            assert MARK.encode() not in (data or b"")
        await asyncio.sleep(0)
    assert (await running).status is RunStatus.GREEN
    assert read and refused, "both sides of the swap were met"
    world.assert_untouched()


@pytest.mark.long
async def test_a_link_to_the_root_makes_a_suite_endless_and_it_is_ended(
    tmp_path: Path, world: Outside, environment: Path
) -> None:
    """pytest follows links to folders while it collects: the run is stopped, and said to be."""
    repo = make_repo(tmp_path / "repo", SHOP)
    (repo / "root").symlink_to("/proc/self/root")
    run_of = await project(tmp_path, environment, "bwrap", Ground(repo=repo, world=world))
    run = await run_of.run(limit_s=5)
    assert run.status is RunStatus.TIMEOUT and names_in(run.output.encode()) == set()


@pytest.mark.long
async def test_a_hundred_thousand_files_and_a_very_deep_folder(
    tmp_path: Path, world: Outside, environment: Path
) -> None:
    repo = make_repo(tmp_path / "repo", SHOP)
    for number in range(100_000):
        folder = repo / f"many/{number // 1000}"
        if number % 1000 == 0:
            folder.mkdir(parents=True)
        (folder / f"f{number}.txt").write_bytes(b"x")
    run_of = await project(tmp_path, environment, "bwrap", Ground(repo=repo, world=world), build.odd_names)
    run = await run_of.run(["tests/test_cart.py"], limit_s=120)
    assert run.status is RunStatus.GREEN, run.reason
    await run_of.ws.reset()
    assert sum(1 for path in (run_of.ws.root / "many").rglob("*.txt")) == 100_000
