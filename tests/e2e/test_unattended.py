"""What the list of gate 20 does not know waits for the owner, in one sentence; what it knows needs nobody."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.control.messages import OpRef
from daemon.record.replay import replay
from governance.phases.gate import unattended_floors
from governance.settings import ApprovalSettings
from ledger.ids import short_id
from ledger.vocabulary import CONVERSATION, SEARCH, OpOutcome, Phase, Tier
from sensors.requests.manual import manual_signal
from tests.e2e.serving import served
from tests.e2e.talking import Talking, after_a_look, swap
from tests.e2e.test_refusals import CART, GOOD, RETURN, TEST, shop, work
from tests.e2e.world import Infilling, config_for, ended, repo_with
from tests.repos import git

LABEL = 'import os\n\n\ndef label(a, b):\n    where = os.path.join("x", a)\n    return "+".join([a, b]) + where[:0]\n'
LABELS = (
    "from calc import label\n\n\ndef test_label():\n    assert label('c', 'd') == 'c-d'\n\n\n"
    "def test_other():\n    assert label('id', 'e') == 'id-e'\n"
)
HOLE = '(os if a else os).system(a)\n    return "-".join([a, b]) + where[:0]'
OUTSIDE = "    import webbrowser\n    webbrowser.open(str(subtotal))\n    return subtotal - discount"
PRUNE = """import os


def prune(folder, keep):
    targets = []
    for name in os.listdir(folder):
        if name != keep:
            targets.append(name)
    for name in targets:
        os.remove(os.path.join(folder, name))
    return len(targets) + len(keep)
"""
PRUNED = """from store import prune


def filled(folder, names):
    for name in names:
        (folder / name).write_text("x")
    return str(folder)


def test_prune(tmp_path):
    assert prune(filled(tmp_path, "abc"), "a") == 2


def test_others(tmp_path):
    assert prune(filled(tmp_path, "xyz"), "y") == 2
"""
STATE = "    total.calls = 1\n    return subtotal - discount"


@pytest.mark.parametrize(
    ("body", "rule", "sentence"),
    [
        (
            OUTSIDE,
            "gate20.syntax",
            f"{CART}: calls webbrowser.open(str(subtotal)), which may have effects outside the program",
        ),
        (STATE, "gate20.state", f"{CART}: changes total.calls"),
    ],
    ids=["reaches out", "keeps state"],
)
async def test_what_misses_the_list_waits_and_lands_with_the_owners_yes(
    tmp_path: Path, body: str, rule: str, sentence: str
) -> None:
    repo = shop(tmp_path)
    head = git(repo, "rev-parse", "HEAD")
    model = Talking(after_a_look(swap(CART, RETURN, body), CART, TEST))
    async with served(config_for(tmp_path, repo), model) as (service, api):
        ending = await work(service)
        assert ending.request is not None, (ending.state, ending.reason)
        assert ending.dossier.tier is Tier.APPROVAL_REQUIRED
        told = await service.told(ending.op.id)
        told = await service.told(ending.op.id)
        assert rule in told and sentence in told, told
        assert f"ouro approve {short_id(ending.op.id)}" in told
        assert git(repo, "rev-parse", "HEAD") == head
        assert (await replay(service.core.ledger, op_id=ending.op.id)).differences == ()
        await api.approve(OpRef(op=ending.op.id))
        done = await service.until("terminal", to=OpOutcome.COMPLETE.value)
        assert done.op_id == ending.op.id


async def test_an_honest_repair_needs_nobody(tmp_path: Path) -> None:
    repo = shop(tmp_path)
    model = Talking(after_a_look(GOOD, CART, TEST))
    async with served(config_for(tmp_path, repo), model) as (service, _):
        ending = await work(service)
        assert (ending.state, ending.dossier.tier) == (OpOutcome.COMPLETE, Tier.SAFE_AUTO), ending.reason


@pytest.mark.parametrize("setting", ["search", "nothing"])
async def test_an_owner_who_lets_nothing_of_a_conversation_land_is_asked(tmp_path: Path, setting: str) -> None:
    repo = shop(tmp_path)
    model = Talking(after_a_look(GOOD, CART, TEST))
    async with served(config_for(tmp_path, repo, approval={"unattended": setting}), model) as (service, _):
        ending = await work(service)
        assert ending.request is not None and ending.dossier.tier is Tier.APPROVAL_REQUIRED
        assert f'approval.unattended = "{setting}"' in await service.told(ending.op.id)


async def test_what_the_search_puts_in_a_hole_waits_where_it_acts(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "calc", {"calc.py": LABEL, "tests/test_calc.py": LABELS})
    head = git(repo, "rev-parse", "HEAD")
    config = config_for(tmp_path, repo, approval={"unattended": "search"}, repair={"moves": False})
    async with served(config, Infilling(lambda before, _: [HOLE] * before.endswith("    "))) as (service, _):
        tests = ["tests/test_calc.py::test_label", "tests/test_calc.py::test_other"]
        signal = manual_signal("Mend it", files=["calc.py"], closed_when=tests, base=head, clock=service.clock)
        await service.core.router.submit(signal)
        ending = await ended(service.core)
    assert (ending.state, ending.dossier.tier) == (Phase.APPROVE, Tier.APPROVAL_REQUIRED), ending.reason
    assert git(repo, "rev-parse", "HEAD") == head


async def test_a_small_edit_of_which_files_are_deleted_waits(tmp_path: Path) -> None:
    """The test counts, and does not look at what is left: without a model the condition would be turned round."""
    repo = repo_with(tmp_path / "store", {"store.py": PRUNE, "tests/test_store.py": PRUNED})
    head = git(repo, "rev-parse", "HEAD")
    config = config_for(tmp_path, repo, approval={"unattended": "search"})
    async with served(config, Infilling(lambda before, after: [])) as (service, _):
        tests = ["tests/test_store.py::test_prune", "tests/test_store.py::test_others"]
        signal = manual_signal("Mend it", files=["store.py"], closed_when=tests, base=head, clock=service.clock)
        await service.core.router.submit(signal)
        ending = await ended(service.core)
    assert (ending.state, ending.dossier.tier) == (Phase.APPROVE, Tier.APPROVAL_REQUIRED), ending.reason
    assert git(repo, "rev-parse", "HEAD") == head


@pytest.mark.parametrize("strategy", [CONVERSATION, "linear", "", "cloze "])
def test_only_what_the_search_made_may_land_as_delivered(strategy: str) -> None:
    assert ApprovalSettings().unattended == "search"
    assert [tier for tier, _ in unattended_floors("search", strategy)] == [Tier.APPROVAL_REQUIRED]
    assert unattended_floors("search", SEARCH) == []
