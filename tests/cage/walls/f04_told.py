"""A program that asks which test runs, and does what is wanted only then.

Without the wall pytest says so in the environment, as it does by itself.
"""

from __future__ import annotations

from pathlib import Path

from tests.cage.hostile_candidates import candidates
from tests.cage.walls.f04_verdict import believed, project_in
from tools.testing import runner

BEFORE_THE_SANDBOX = True
PLAYED = ("current-test", "pytest-version", "any-pytest-variable")
CALMED = ("    hide_current_test()\n", '        os.environ.pop("PYTEST_VERSION", None)\n')


async def attack(base: Path, backend: str, wall: bool) -> list[str]:
    project = await project_in(base, backend)
    if not wall:
        read = runner._text
        text = read(runner._PLUGIN)
        for line in CALMED:
            assert line in text
            text = text.replace(line, "")
        runner._text = lambda name: text if name == runner._PLUGIN else read(name)  # type: ignore[assignment]
    try:
        return await believed(project, [each for each in candidates() if each.name in PLAYED])
    finally:
        await project.workspaces.release(project.ws)
        await project.workspaces.close()
