"""What is looked at when nothing is to be done, and when."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from ledger.events.op import OutcomeRecorded
from ledger.vocabulary import Source, SymbolPinned
from sensors.bus import Bus, Event, Topic
from sensors.exploration import ProactiveExplorationSettings
from sensors.exploration.sensor import ProactiveExploration
from sensors.exploration.untested import failures_in, file_for_tests, find_untested, imports_of, module_of, nearness
from tests.repos import commit
from tests.sensors.looking import Scene, scene


def function(name: str, more: str = "") -> str:
    return f"def {name}(a, b):\n    c = a * b\n{more}    if c:\n        return c + 1\n    return a\n\n\n"


FILES = {
    "shop/__init__.py": "",
    "shop/cart.py": "from shop import tax\n\n\n" + function("total") + function("rebate") + function("_secret"),
    "shop/tax.py": function("vat", "    if a and b:\n        c = 2\n"),
    "shop/far.py": function("away"),
    "tests/test_cart.py": "from shop.cart import total\n\n\ndef test_total():\n    assert total(1, 2) == 3\n",
}


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("shop/cart.py", "import os.path, shop.tax", {"os.path", "shop.tax"}),
        ("shop/cart.py", "from shop import tax", {"shop", "shop.tax"}),
        ("src/shop/cart.py", "from . import tax\nfrom .tax import vat", {"shop", "shop.tax", "shop.tax.vat"}),
        ("shop/__init__.py", "from .cart import total", {"shop.cart", "shop.cart.total"}),
        ("shop/cart.py", "def f(:", set()),
    ],
)
def test_what_a_file_imports(path: str, text: str, found: set[str]) -> None:
    assert imports_of(path, text.encode()) == found


def test_near_is_where_it_failed_and_what_is_tied_to_it() -> None:
    files = {path: text.encode() for path, text in FILES.items() if path.startswith("shop/")}
    tied = {"shop/__init__.py": (1, 3), "shop/tax.py": (1, 3)}
    assert nearness(files, {"shop/cart.py": 3, "gone.py": 9}) == {"shop/cart.py": (2, 3), **tied}
    assert module_of("src/shop/__init__.py") == "shop"
    tests = {"tests/test_cart.py": FILES["tests/test_cart.py"].encode()}
    found = find_untested(files, tests, {"shop/cart.py": 3}, least_lines=4)
    assert [(place.path, place.symbol) for place in found] == [("shop/cart.py", "rebate"), ("shop/tax.py", "vat")]
    assert file_for_tests(found[0], list(tests)) == "tests/test_shop_cart_rebate.py"
    assert file_for_tests(found[0], ["tests/test_shop_cart_rebate.py"]) is None and file_for_tests(found[0], []) is None


async def failed(at: Scene, *paths: str) -> None:
    await at.ledger.append(OutcomeRecorded(success=False, files=paths).draft())
    assert failures_in(event for _, event in await at.ledger.events(OutcomeRecorded))


async def test_each_place_is_visited_once_over_restarts_and_slowly(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as at:
        sensor = ProactiveExploration(ports=at.ports(), settings=ProactiveExplorationSettings())
        assert await sensor.scan_once() == () and "Nothing has failed" in sensor.state().line
        await failed(at, "shop/cart.py", "tests/test_cart.py")
        sensor = ProactiveExploration(ports=at.ports(), settings=ProactiveExplorationSettings())
        (signal,) = await sensor.scan_once()
        assert (signal.source, signal.targets) == (Source("exploration"), ("shop/cart.py",))
        assert isinstance(signal.closure, SymbolPinned) and signal.closure.needs_yes
        assert (signal.closure.symbol, signal.closure.test) == ("rebate", "tests/test_shop_cart_rebate.py")
        assert "1 ops ended in this file" in " ".join(e.claim for e in signal.evidence)
        sensor = ProactiveExploration(ports=at.ports(), settings=ProactiveExplorationSettings())
        (signal,) = await sensor.scan_once()
        assert isinstance(signal.closure, SymbolPinned) and signal.closure.path == "shop/tax.py"
        assert await sensor.scan_once() == () and sensor.state().line == "Enough was said today."
        at.clock.advance(90_000)
        assert await sensor.scan_once() == () and "Nothing is left to visit" in sensor.state().line
        commit(at.repo, "More", {"shop/cart.py": FILES["shop/cart.py"] + function("owed")})
        (signal,) = await sensor.scan_once()
        assert "owed" in signal.goal


async def test_it_looks_when_nothing_has_happened_for_a_while(tmp_path: Path) -> None:
    busy = ""

    async def occupied() -> str:
        return busy

    async with scene(tmp_path, FILES) as at:
        await failed(at, "shop/cart.py")
        settings = ProactiveExplorationSettings(idle_s=300)
        sensor = ProactiveExploration(ports=at.ports(busy_with=occupied), settings=settings)
        bus = Bus(clock=at.clock)
        running = asyncio.create_task(sensor.start(bus))
        try:

            async def passes(seconds: float, *topics: Topic) -> int:
                for topic in topics:
                    bus.publish(Event(topic=topic))
                await asyncio.sleep(0.05)
                at.clock.advance(seconds)
                bus.publish(Event(topic=Topic.HEALTH_SAMPLED))
                await asyncio.sleep(0.1)
                return len(at.sent)

            async def visited(symbol: str) -> None:
                async with asyncio.timeout(60):
                    while f"Visited {symbol}" not in sensor.state().line:  # noqa: ASYNC110  # it reads files meanwhile
                        await asyncio.sleep(0.02)

            assert await passes(299) == 0
            assert await passes(200, Topic.FILES_CHANGED) == 0  # the owner is at work
            busy = "memory"
            assert await passes(150) == 0
            busy = ""
            assert await passes(299) == 0  # as long again after what was in the way
            await passes(2)
            await visited("rebate")
            looked = sensor.state()
            assert await passes(3_000) == 1 and sensor.state() is looked  # nothing has happened: it has time
            await passes(700)
            await visited("vat")
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


async def test_a_kernel_that_takes_no_words_says_so(tmp_path: Path) -> None:
    async with scene(tmp_path, FILES) as at:
        sensor = ProactiveExploration(
            ports=at.ports(unavailable=lambda: "only fills"), settings=ProactiveExplorationSettings()
        )
        assert await sensor.scan_once() == () and sensor.state().line == "unavailable: only fills"
