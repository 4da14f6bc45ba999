"""What a commit has made twice or left without use, from the owner's commit to ours; and what is no answer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from daemon.control.messages import OpRef
from daemon.control.service_api import ServiceApi
from daemon.record.replay import replay
from governance.pipeline.ending import Ending
from ledger.vocabulary import DuplicateGone, MetricBelow, OpOutcome, Phase, RootCause, Source, SymbolGone
from tests.e2e.serving import Serving, served
from tests.e2e.talking import InTurn, Talking, call, swap
from tests.e2e.world import SHOP, config_for, ended, repo_with
from tests.repos import commit, git

CART, COPY, USE = "shop/cart.py", "shop/bill.py", "shop/report.py"
QUICK = {
    "test_failure": {"debounce_s": 0.1},
    "router": {"coalesce_s": 0},
    "sensors": {"opportunity_miner": {"enabled": True, "debounce_s": 0.1, "least_statements": 6}},
}
NAMES = '''def names(items):
    """The names of what has one, in order."""
    found = []
    for item in items:
        if item is None:
            continue
        name = str(item).strip()
        if name:
            found.append(name)
    found.sort()
    return found
'''
REST = "".join(f"RATE_{n} = {n}\n" for n in range(12))
TEST = "from shop.bill import lines\n\n\ndef test_lines():\n    assert lines([' b', None, 'a']) == ['a', 'b']\n"
LINES = NAMES.replace("names(", "lines(").replace("item", "row").replace("found", "left")


def stubborn(path: str, answers: Sequence[str]) -> InTurn:
    return InTurn(answers, CART, path, more=[call("git_log")])


async def landed(service: Serving, api: ServiceApi) -> Ending:
    """What moves code about waits for the owner; he says yes."""
    waiting = await ended(service.core)
    assert waiting.state is Phase.APPROVE, (waiting.cause, waiting.reason)
    await api.approve(OpRef(op=waiting.op.id))
    return await ended(service.core)


async def test_a_copy_gives_way_and_nothing_less_will_do(tmp_path: Path) -> None:
    repo = repo_with(tmp_path / "shop", {**SHOP, CART: f"{SHOP[CART]}\n\n{NAMES}", COPY: ""})
    first = git(repo, "rev-parse", "HEAD")
    say = stubborn(
        COPY,
        [
            swap(COPY, LINES.rstrip(), LINES.rstrip().replace("left", "kept")),  # other names
            swap(COPY, "    left = []", "    left = list()"),  # another way to write it
            swap(COPY, LINES.rstrip(), "from shop.cart import names\n\n\ndef lines(rows):\n    return names(rows)"),
        ],
    )
    async with served(config_for(tmp_path, repo, **QUICK), Talking(say, changes=[COPY]), watch=True) as (service, api):
        await service.until("sensor_looked", sensor="opportunity_miner", commit=first)
        asked = commit(repo, "Bill", {COPY: REST + LINES, "tests/test_bill.py": TEST})
        ending = await landed(service, api)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert ending.op.origin is Source("opportunity_miner")
        assert isinstance(ending.op.signals[0].closure, DuplicateGone)
        assert ending.dossier.verification is not None
        assert "is there once" in ending.dossier.verification.closure_reason
        runs = await service.entries(ending.op.id, "validated")
        assert {run.payload["status"] for run in runs} == {"green"}
        assert (await replay(service.core.ledger, op_id=ending.op.id)).differences == ()
    assert "lines in shop/bill.py and names in shop/cart.py are still the same" in say.told[1]
    assert "each does it all itself" in say.told[2]
    assert git(repo, "rev-parse", "HEAD^") == asked
    assert (repo / COPY).read_text().count("return") == 1


LEFT = "def _rounded(price):\n    whole = round(price, 2)\n    return whole\n"
MORE = "def _doubled(price):\n    twice = price * 2\n    return twice\n"
SHOWN = "from shop.cart import _doubled, _rounded\n\nSHOWN = _rounded(1), _doubled(1)\n"


@pytest.mark.long
async def test_what_lost_its_last_use_goes_and_a_use_or_a_name_does_not_save_it(tmp_path: Path) -> None:
    """Nor does it go a second time when the owner has taken that back: neither asked again, nor in another op."""
    files = {**SHOP, CART: f"{SHOP[CART]}\n\n{LEFT}\n\n{MORE}", USE: SHOWN}
    repo = repo_with(tmp_path / "shop", files)
    first = git(repo, "rev-parse", "HEAD")
    say = stubborn(
        CART,
        [
            swap(CART, "def _rounded(price):", "def rounded(price):"),
            swap(CART, "    return whole", "    return whole\n\n\nSHOWN = _rounded(1)"),
            swap(CART, LEFT.rstrip(), ""),
            swap(CART, LEFT.rstrip(), ""),  # for another goal, after it was taken back
            swap(CART, MORE.rstrip(), ""),
        ],
    )
    async with served(config_for(tmp_path, repo, **QUICK), Talking(say, changes=[CART]), watch=True) as (service, api):
        await service.until("sensor_looked", sensor="opportunity_miner", commit=first)
        asked = commit(repo, "Show whole prices", {USE: "from shop.cart import _doubled\n\nSHOWN = 1, _doubled(1)\n"})
        ending = await landed(service, api)
        assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
        assert isinstance(ending.op.signals[0].closure, SymbolGone)
        assert git(repo, "rev-parse", "HEAD^") == asked
        assert "_rounded" not in (repo / CART).read_text()
        await api.undo(OpRef(op=ending.op.id))
        undo = git(repo, "rev-parse", "HEAD")
        await service.until("sensor_looked", sensor="opportunity_miner", commit=undo)
        assert await service.core.router.idle()
        commit(repo, "Show nothing", {USE: "SHOWN = 1\n"})
        second = await landed(service, api)
        assert second.state is OpOutcome.COMPLETE, (second.cause, second.reason)
        assert second.op.goal == f"Remove _doubled from {CART}: nothing uses it any more"
    assert "rounded in shop/cart.py is the same under another name" in say.told[1]
    assert "_rounded in shop/cart.py is named elsewhere now" in say.told[2]
    assert "An earlier attempt was refused by gate19.undone." in say.told[4]
    assert "_rounded" in (repo / CART).read_text() and "_doubled" not in (repo / CART).read_text()


SIZES, STEPS = "shop/sizes.py", ((1, "none"), (5, "few"), (10, "some"), (50, "many"))
HEAD = "def size(pieces):"
LADDER = "".join(f"    if pieces < {limit}:\n        return {name!r}\n" for limit, name in STEPS) + "    return 'huge'"
TABLE = f"STEPS = {STEPS}\n\n\n{HEAD}\n    return next((name for most, name in STEPS if pieces < most), 'huge')"
ANSWERS = [
    swap(
        SIZES, f"{HEAD}\n{LADDER}", f"{HEAD}\n    return size_of(pieces)\n\n\ndef size_of(pieces):\n{LADDER}"
    ),  # moved
    swap(SIZES, "    return 'huge'", "    return 'huge' if pieces else 'huge'"),  # no better
    swap(SIZES, f"{HEAD}\n{LADDER}", TABLE),
]


@pytest.mark.parametrize("learns", [True, False], ids=["done at last", "never done"])
async def test_a_function_is_made_simple_and_green_tests_alone_do_not_make_it_so(tmp_path: Path, learns: bool) -> None:
    told = (f"    assert size({limit - 1}) == {name!r}\n" for limit, name in STEPS)
    test = f"from shop.sizes import size\n\n\ndef test_size():\n{''.join(told)}    assert size(99) == 'huge'\n"
    files = {SIZES: f"{REST}\n\n{HEAD}\n    return 'huge'\n"}
    repo = repo_with(tmp_path / "shop", {**SHOP, **files})
    first = git(repo, "rev-parse", "HEAD")
    miner = {"enabled": True, "debounce_s": 0.1, "complexity": 5}
    config = config_for(tmp_path, repo, **{**QUICK, "sensors": {"opportunity_miner": miner}})
    say = stubborn(SIZES, ANSWERS if learns else ANSWERS[:2])
    async with served(config, Talking(say, changes=[SIZES]), watch=True) as (service, api):
        await service.until("sensor_looked", sensor="opportunity_miner", commit=first)
        asked = commit(repo, "Sizes", {SIZES: f"{REST}\n\n{HEAD}\n{LADDER}\n", "tests/test_sizes.py": test})
        ending = await landed(service, api) if learns else await ended(service.core)
        assert isinstance(ending.op.signals[0].closure, MetricBelow)
        runs = await service.entries(ending.op.id, "validated")
        assert {run.payload["status"] for run in runs} == {"green"}
        if learns:
            assert ending.state is OpOutcome.COMPLETE, (ending.cause, ending.reason)
            assert ending.dossier.verification is not None
            assert f"size in {SIZES} has 3" in ending.dossier.verification.closure_reason
        else:
            assert (ending.state, ending.cause) == (OpOutcome.POSTMORTEM, RootCause.CLOSURE_OPEN), ending.reason
    assert f"size_of in {SIZES} has a complexity of 5, wanted is less than 5" in say.told[1]
    assert git(repo, "rev-parse", "HEAD^" if learns else "HEAD") == asked
    assert (STEPS[0][1] in (repo / SIZES).read_text()) and (TABLE in (repo / SIZES).read_text()) is learns
