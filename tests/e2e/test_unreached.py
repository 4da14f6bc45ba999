"""A change of what no failing test runs waits for a person, however well the rest of it repairs."""

from __future__ import annotations

from pathlib import Path

import pytest

from governance.pipeline.ending import Ending
from ledger.vocabulary import OpOutcome, Phase, Tier
from sensors.requests.manual import manual_signal
from tests.e2e.serving import served
from tests.e2e.talking import Talking, after_a_look, whole
from tests.e2e.without_gates import take_gate_away
from tests.e2e.world import Infilling, config_for, ended, repo_with
from tests.repos import git

CALC = "import os\n\n\ndef add(a, b):\n    return a - b\n"
MENDED = CALC.replace("a - b", "a + b")
TEST = (
    "from calc import add\n\n\ndef test_add():\n    assert add(20, 33) == 53\n\n\n"
    "def test_other():\n    assert add(20, 0) == 20\n"
)
ADMIN = (
    "def check(user):\n    if user != 'root':\n        raise ValueError(user)\n\n\n"
    "def wipe(user, db):\n    check(user)\n    db.clear()\n"
)
USER = (
    "\n\nclass User:\n    @property\n    def is_admin(self):\n        return False\n\n\n"
    "def may(user):\n    return 1 if user.is_admin else 0\n"
)
DROP = "\n\ndef drop(path):\n    os.remove(path + '.tmp')\n    return path\n"
SUPPORT = "import pytest\n\n\n@pytest.fixture\ndef numbers():\n    return (20, 33, 53)\n"
BY_FIXTURE = TEST.replace("test_add()", "test_add(numbers)").replace(
    "add(20, 33) == 53", "add(*numbers[:2]) == numbers[2]"
)
BY_TABLE = (
    "from pathlib import Path\n\nfrom calc import add\n\nTABLE = Path(__file__).parents[1] / 'docs' / 'table.txt'\n\n\n"
    "def test_add():\n    a, b, c = map(int, TABLE.read_text().split())\n    assert add(a, b) == c\n"
)
Files = dict[str, str]
CASES: dict[str, tuple[Files, Files, str]] = {
    "another file": (
        {"calc.py": CALC, "admin.py": ADMIN}, {"calc.py": MENDED, "admin.py": ADMIN.replace("    check(user)\n", "")},
        "no failing test loads admin.py",
    ),
    "another method": (
        {"calc.py": CALC + USER}, {"calc.py": MENDED + USER.replace("    @property\n", "")},
        "no failing test runs User.is_admin in calc.py",
    ),
    "another function": (
        {"calc.py": CALC + DROP}, {"calc.py": MENDED + DROP.replace("'.tmp'", "''")},
        "no failing test runs drop in calc.py",
    ),
    "what gives a fixture": (
        {
            "calc.py": CALC, "conftest.py": "from support import *\n", "support.py": SUPPORT,
            "tests/test_calc.py": BY_FIXTURE,
        },
        {"support.py": SUPPORT.replace("20, 33, 53", "0, 0, 0")}, "gate16.support_changed",
    ),
    "what a test reads": (
        {"calc.py": CALC, "docs/table.txt": "20 33 53\n", "tests/test_calc.py": BY_TABLE},
        {"docs/table.txt": "20 33 -13\n"}, "gate20.read",
    ),
}  # fmt: skip


async def offered(tmp_path: Path, files: Files, answer: Files) -> tuple[Ending, bool]:
    """How the op ends for which a model offers ``answer``, and whether anything was committed."""
    repo = repo_with(tmp_path / "calc", {"tests/test_calc.py": TEST, **files})
    head = git(repo, "rev-parse", "HEAD")
    text = "\n".join(whole(path, content) for path, content in answer.items())
    model = Talking(after_a_look(text, *answer, "tests/test_calc.py"), files=list(answer), changes=list(answer))
    config = config_for(tmp_path, repo, pipeline={"validate_retries": 0, "generate_retries": 0})
    async with served(config, model) as (service, _):
        signal = manual_signal(
            "Mend add", files=["calc.py"], closed_when=["tests/test_calc.py::test_add"], base=head, clock=service.clock
        )
        await service.core.router.submit(signal)
        ending = await ended(service.core)
    return ending, git(repo, "rev-parse", "HEAD") != head


@pytest.mark.parametrize("name", CASES)
async def test_it_waits(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is a matter of functions, without what gate 20 has against them for other reasons."""
    files, answer, why = CASES[name]
    if why.startswith("no failing"):
        take_gate_away(monkeypatch, 20)
    ending, landed = await offered(tmp_path, files, answer)
    assert (ending.state, ending.dossier.tier, landed) == (Phase.APPROVE, Tier.APPROVAL_REQUIRED, False), ending.reason
    assert ending.request is not None and why in ending.request.reason, ending.request


async def test_what_the_failing_test_runs_lands(tmp_path: Path) -> None:
    ending, landed = await offered(tmp_path, {"calc.py": CALC + DROP}, {"calc.py": MENDED + DROP})
    assert (ending.state, ending.dossier.tier, landed) == (OpOutcome.COMPLETE, Tier.SAFE_AUTO, True), ending.reason


async def test_what_turns_green_by_itself_shows_no_repair(tmp_path: Path) -> None:
    """The test passes from the moment on in which the model is asked, whatever it answers."""
    (shown := tmp_path / "shown").mkdir()
    test = TEST.replace("== 53", f"== 53 or Path('{shown}/now').exists()")
    repo = repo_with(tmp_path / "calc", {"calc.py": CALC, "tests/test_calc.py": f"from pathlib import Path\n\n{test}"})
    head = git(repo, "rev-parse", "HEAD")

    def answers(before: str, after: str) -> list[str]:
        (shown / "now").touch()
        return ["return a * b"]

    config = config_for(tmp_path, repo, repair={"moves": False}, tests={"readable": [str(shown)]})
    async with served(config, Infilling(answers)) as (service, _):
        signal = manual_signal(
            "Mend add", files=["calc.py"], closed_when=["tests/test_calc.py::test_add"], base=head, clock=service.clock
        )
        await service.core.router.submit(signal)
        ending = await ended(service.core)
    assert (ending.state, ending.dossier.tier) == (Phase.APPROVE, Tier.APPROVAL_REQUIRED), ending.reason
    assert ending.request is not None and "without this change as well" in ending.request.reason
    assert git(repo, "rev-parse", "HEAD") == head
