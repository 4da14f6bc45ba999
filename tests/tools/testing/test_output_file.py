"""A command of the owner's and the file that it writes: its own word, within bounds, behind real walls."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.tools.testing.projects import SHOP, Backend, make_project
from tools.testing.output_file import produce_file

PATH = "out/speed.json"
FORGED = {**SHOP, PATH: '{"parse": 0}', "bench/run.py": "from shop.cart import total\nprint(total([1, 2]))\n"}
WRITES = "from pathlib import Path\nfrom shop.cart import total\nPath('out/speed.json').write_text(str(total([1])))\n"


@pytest.mark.parametrize("walls", ["bwrap", "landlock"])
async def test_only_what_the_command_itself_writes_is_taken(tmp_path: Path, environment: Path, walls: Backend) -> None:
    project = await make_project(tmp_path, FORGED, environment, walls)
    runner, ws = project.runner(), project.ws

    async def said(*argv: str, limit_s: float = 30, largest: int = 1_000) -> tuple[bytes | None, str]:
        return await produce_file(runner, ws, argv, path=PATH, limit_s=limit_s, largest=largest)

    def script(text: str) -> tuple[str, ...]:
        return ("python", "-c", f"import sys; sys.path.insert(0, '.')\n{text}")

    assert await said("python", "-c", "pass") == (None, f"it has not written {PATH}")  # what was committed is no result
    for _ in range(2):
        assert await said(*script(WRITES)) == (b"1", "")
        assert not (ws.root / PATH).exists()
    data, why = await said(*script("import os; print('out of order'); sys.exit(3)"))
    assert data is None and why == "python ended with code 3: out of order"
    data, why = await said(*script("import time; time.sleep(60)"), limit_s=0.5)
    assert data is None and "did not end within 0.5 s" in why
    data, why = await said(*script("open('out/speed.json', 'w').write('x' * 2_000)"))
    assert data is None and "larger than 1000 bytes" in why
    (ws.root / PATH).unlink()
    data, why = await said(*script("import os; os.symlink('/etc/passwd', 'out/speed.json')"))
    assert data is None and "not written" in why
    (ws.root / PATH).unlink()
    shutil.rmtree(ws.root / "out")
    assert await said(*script(WRITES)) == (b"1", "")  # a folder that git ignores is not in a copy
    data, why = await said("no-such-program")
    assert data is None and why
    assert (project.repo / PATH).read_text() == FORGED[PATH]
