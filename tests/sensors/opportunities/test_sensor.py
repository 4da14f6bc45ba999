"""How complex a function is, when it has become too complex, and when it is simpler."""

from __future__ import annotations

from pathlib import Path

import pytest

from ledger.vocabulary import MetricBelow, Source
from sensors.opportunities import OpportunityMinerSettings
from sensors.opportunities.sensor import OpportunityMiner
from sensors.opportunities.surveys import metric_answer
from sensors.python_source.complexity import complexities
from sensors.registry import closure_evaluator
from tests.repos import commit
from tests.sensors.looking import scene
from tests.sensors.trees import Held


def branching(name: str, count: int) -> str:
    return (
        f"def {name}(x):\n"
        + "".join(f"    if x == {n}:\n        x = {n} + 1\n" for n in range(count))
        + "    return x\n"
    )


@pytest.mark.parametrize(
    ("body", "value"),
    [
        ("return 1", 1),
        ("return 1 if x else 2", 2),
        ("return x and y and z", 3),
        ("return [a for a in x if a if a > 1]", 4),
        ("for a in x:\n        while a:\n            pass", 3),
        ("try:\n        pass\n    except KeyError:\n        pass\n    except ValueError:\n        pass", 3),
        ("match x:\n        case 1:\n            pass\n        case 2 | 3:\n            pass\n        case _: pass", 3),
        ("def inner():\n        return 1 if x else 2\n    return inner", 2),
    ],
)  # fmt: skip
def test_complexity(body: str, value: int) -> None:
    assert complexities(f"class C:\n  def f(x):\n    {body}\n".encode()) == {"C.f": value}


CHECK = MetricBelow(path="a.py", symbol="f", value=5, others=("known",))


@pytest.mark.parametrize(
    ("text", "closed", "gone", "words"),
    [
        (branching("f", 3) + branching("known", 9), True, False, "f in a.py has 4"),
        (branching("f", 4), False, False, "f in a.py has a complexity of 5"),
        (branching("f", 1) + branching("moved_to", 9), False, False, "moved_to in a.py has a complexity of 10"),
        (branching("g", 1), False, True, "no f in a.py"),
        (None, False, True, "no a.py"),
        ("def f(:\n", False, False, "cannot be read"),
    ],
)
def test_when_it_is_simpler(text: str | None, closed: bool, gone: bool, words: str) -> None:
    answer = metric_answer(CHECK, None if text is None else text.encode())
    assert (answer.closed, answer.gone, words in answer.reason) == (closed, gone, True), answer


async def test_what_a_commit_makes_too_complex_is_said_once(tmp_path: Path) -> None:
    async with scene(tmp_path, {"a.py": branching("old", 9) + branching("new", 2)}) as s:
        settings = OpportunityMinerSettings(complexity=8, per_look=2)
        sensor = OpportunityMiner(ports=s.ports(), settings=settings)
        assert await sensor.scan_once() == ()
        worse = branching("old", 9) + branching("new", 7) + branching("worst", 8)
        commit(s.repo, "worse", {"a.py": worse, "test_a.py": branching("f", 20)})
        found = await sensor.scan_once()
        assert [signal.goal.split()[1] for signal in found] == ["worst", "new"]
        assert found[0].source is Source("opportunity_miner")
        assert found[1].closure == MetricBelow(path="a.py", symbol="new", value=8, others=("old", "worst"))
        assert not (await closure_evaluator().is_closed(found[0].closure, Held({"a.py": worse}))).closed
        commit(s.repo, "as complex as before", {"a.py": worse.replace("x = 1 + 1", "x = 1 + 2")})
        assert await OpportunityMiner(ports=s.ports(), settings=settings).scan_once() == ()
