"""When VERIFY fails after APPLY: repaired, applied and verified again, or everything is as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from governance.changes.effects import Effects
from kernel.provider import Message
from ledger.vocabulary import EntryKind, OpOutcome
from sensors.requests.manual import manual_signal
from tests.e2e.serving import Serving, served
from tests.e2e.talking import Said, Talking, looked, swap
from tests.e2e.world import PLUS, SHOP, Infilling, config_for, ended, repo_with
from tests.repos import git
from tools.git import Git
from tools.testing.runner import SeveralRuns, TestRunner
from tools.workspace import Workspace

CART, TEST = "shop/cart.py", "tests/test_level.py"
FILES = SHOP | {
    ".gitignore": ".venv\n__pycache__/\n_version.py\n",
    CART: SHOP[CART] + "\n\nLEVEL = 0\nLEVELS = (0, 1, 2)\n",
    TEST: (
        "from shop._version import WANTED\nfrom shop.cart import LEVEL\n\n\n"
        "def test_level():\n    assert LEVEL == WANTED\n"
    ),
}


class Unquiet(Effects):
    """While the candidate is written, something else changes what its test rests on."""

    def __init__(self, git: Git, wanted: Path) -> None:
        super().__init__(git)
        self._wanted = wanted

    def step(self, effect: str, target: str) -> None:
        if effect == "exchange" and target == "cart.py":
            self._wanted.write_text("WANTED = 2\n")


class Restless(Serving):
    """The real service over a repository in which that happens."""

    def effects(self, git: Git) -> Effects:
        return Unquiet(git, self.config.places.repo / "shop/_version.py")


@pytest.mark.parametrize("learns", [True, False])
async def test_a_repair_that_verify_refuses(tmp_path: Path, learns: bool) -> None:
    repo = repo_with(tmp_path / "shop", FILES)
    (repo / "shop/_version.py").write_text("WANTED = 1\n")
    head = git(repo, "rev-parse", "HEAD")
    given: list[str] = []

    def say(conversation: Sequence[Message]) -> Said:
        if not any(m.role == "tool" for m in conversation):
            return looked(CART, TEST)
        text = "\n".join(m.text for m in conversation)
        level = 2 if learns and "assert 1 == 2" in text else 1
        given.append(str(level))
        return swap(CART, "LEVEL = 0", f"LEVEL = {level}")

    service = Restless(config_for(tmp_path, repo), Talking(say))
    try:
        await service.open()
        await service.bring_up()
        signal = manual_signal(
            "Bring the level up to what is wanted of it in the shop, and nothing else with it",
            files=[CART], closed_when=[f"{TEST}::test_level"], base=head, clock=service.clock,
        )  # fmt: skip
        await service.core.router.submit(signal)
        ending = await ended(service.core)
        moved = await service.core.ledger.entries(op_id=ending.op.id, kinds=(EntryKind.TRANSITION,))
        phases = [entry.payload["to"] for entry in moved]
    finally:
        await service.close()
    if learns:
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        assert phases.count("APPLY") == 2 and phases.count("VERIFY") == 2
        assert "LEVEL = 2" in (repo / CART).read_text()
        assert git(repo, "rev-list", "--count", f"{head}..HEAD") == "1"
    else:
        assert ending.state is OpOutcome.POSTMORTEM, ending.reason
        assert (repo / CART).read_text() == FILES[CART]
        assert git(repo, "rev-parse", "HEAD") == head
    assert git(repo, "status", "--porcelain") == ""
    assert given[0] == "1"


OTHER = "shop/other.py"
HALF = "from shop.cart import total\n\n\ndef half():\n    return total([10], discount=2)\n"


async def test_what_the_owner_commits_while_tests_run_is_tested_with_the_change(tmp_path: Path) -> None:
    """His commit is green by itself, and so is the change; together they are not."""
    test = "from shop import other\n\n\ndef test_half():\n    assert not hasattr(other, 'half') or other.half() == 12\n"
    repo = repo_with(tmp_path / "shop", {**SHOP, CART: PLUS, OTHER: "X = 1\n", "tests/test_other.py": test})

    class Overtaken(TestRunner):
        @asynccontextmanager
        async def several(self, ws: Workspace) -> AsyncIterator[SeveralRuns]:
            async with super().several(ws) as tests:
                yield tests
            if (repo / CART).read_text() != PLUS and "half" not in (repo / OTHER).read_text():
                (repo / OTHER).write_text(HALF)
                git(repo, "commit", "-q", "-m", "mine", "--only", OTHER)

    class Busy(Serving):
        runner_type = Overtaken

    config = config_for(tmp_path, repo, repair={"search_s": 1})
    async with served(config, Infilling(lambda prefix, suffix: []), service_type=Busy) as (service, _):
        base, closed_when = git(repo, "rev-parse", "HEAD"), ("tests/test_cart.py::test_total_with_discount",)
        signal = manual_signal("Mend it", closed_when=closed_when, files=[CART], base=base, clock=service.clock)
        await service.core.router.submit(signal)
        ending = await ended(service.core)
        told = await service.told(ending.op.id)
    assert ending.state is OpOutcome.POSTMORTEM and "verify.tests" in told and "test_half" in told, told
    assert git(repo, "log", "--format=%s", "-1") == "mine" and (repo / CART).read_text() == PLUS
