"""Whole ops over the OpenAI protocol: a model that works well lands its commit; any other ends bounded, by name."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from governance.pipeline.ending import Ending
from ledger.vocabulary import OpOutcome, RootCause
from sensors.requests.manual import manual_signal
from tests.e2e.completions import Asked, Model, Reply, blocks, calls, provider_at
from tests.e2e.serving import Serving, served
from tests.e2e.talking import swap
from tests.e2e.world import config_for, ended, repo_with
from tests.kernel.misbehaving import call, chunk
from tests.repos import git

BILL, RATE, TEST = "shop/bill.py", "shop/rate.py", "tests/test_bill.py"
FAILING = f"{TEST}::test_bill"
TWO_BUGS = {
    "shop/__init__.py": "",
    RATE: "def rate(kind):\n    return {'food': 5, 'books': 7, 'other': 20}[kind]\n",
    BILL: "from shop.rate import rate\n\n\ndef bill(price, kind):\n    return price - price * rate(kind) // 100\n",
    TEST: "from shop.bill import bill\n\n\ndef test_bill():\n    assert bill(200, 'food') == 214\n",
    "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
}
GOAL = "A bill has too little on it: the rate is taken off the price instead of added, and food has the wrong rate"


def strong(form: Callable[..., Reply]) -> Callable[[Asked], Reply]:
    """Explores, edits two files, runs the test, answers."""
    old, new = TWO_BUGS[BILL].splitlines()[-1], "    return price + price * rate(kind) // 100"
    table, right = TWO_BUGS[RATE].splitlines()[-1], "    return {'food': 7, 'books': 7, 'other': 20}[kind]"
    steps = [
        form(("read_file", {"path": BILL}), ("get_callers", {"symbol": "rate"}), text="I look at the callers."),
        form(("read_file", {"path": RATE}), ("search_code", {"pattern": "rate"}), ("git_log", {"path": RATE})),
        form(
            ("edit_file", {"path": BILL, "search": old, "replace": new}),
            ("edit_file", {"path": RATE, "search": table, "replace": right}),
            ("run_tests", {"ids": [FAILING]}),
        ),
    ]

    def say(asked: Asked) -> Reply:
        if asked.turn <= len(steps):
            return steps[asked.turn - 1]
        assert "green (1 passed" in asked.text, asked.text[-3_000:]
        return Reply("The rate was taken off instead of added, and that of food was wrong.")

    return say


async def work(service: Serving, goal: str, path: str, test: str) -> Ending:
    head = await service.core.repository.head()
    assert head.commit is not None
    signal = manual_signal(goal, files=[path], closed_when=[test], base=head.commit, clock=service.clock)
    await service.core.router.submit(signal)
    return await ended(service.core)


@pytest.mark.parametrize("native", [True, False], ids=["tools", "text"])
async def test_a_strong_model_explores_edits_two_files_runs_the_test_and_lands(tmp_path: Path, native: bool) -> None:
    """With calls of its own, and, where the server has none, by the protocol of plain text."""
    repo = repo_with(tmp_path / "shop", TWO_BUGS)
    head = git(repo, "rev-parse", "HEAD")
    model = Model(strong(calls if native else blocks), files=[BILL, RATE], changes=[BILL, RATE])
    async with (
        model.serve() as server,
        served(config_for(tmp_path, repo), provider_at(server, tools=native)) as (
            service,
            _,
        ),
    ):
        ending = await work(service, GOAL, BILL, FAILING)
        assert ending.state is OpOutcome.COMPLETE, ending.reason
        assert ending.dossier.plan is not None and ending.dossier.plan.approach == "Mend the cause."
        (end,) = await service.entries(ending.op.id, "loop.ended")
        made = [e.payload["tool"] for e in await service.entries(ending.op.id, "tool.called")]
        assert (await service.core.ledger.verify()).ok
    assert (end.payload["end"], end.payload["manner"]) == ("answer", "native" if native else "text")
    assert end.payload["wrote"] == [BILL, RATE] and end.payload["rounds"] == 4
    assert made[-3:] == ["edit_file", "edit_file", "run_tests"]
    assert git(repo, "rev-parse", "HEAD^") == head and git(repo, "status", "--porcelain") == ""
    assert "price + price" in (repo / BILL).read_text() and "'food': 7" in (repo / RATE).read_text()
    assert all(bool(asked.tools) is native for asked in model.asked)
    assert all(asked.text.count("Never weaken, skip or delete a test") == 2 for asked in model.asked[1:])


# --- models that misbehave -------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """``end`` of the conversation, ``cause`` of the op, and what a person is told besides."""

    say: Callable[[int, Asked], Reply]
    end: str
    cause: RootCause
    told: str


def source(number: int) -> str:
    return f"shop/m{number}.py"


def read(number: int, **more: Any) -> tuple[str, dict[str, Any]]:
    return "read_file", {"path": source(number), **more}


def good(number: int) -> str:
    return swap(source(number), "    return a - b", "    return a + b")


def broken_call(arguments: str) -> Callable[[int, Asked], Reply]:
    return lambda number, asked: Reply(calls=[("read_file", arguments, "id-1")])


def then_good(first: Callable[[int, Asked], Reply]) -> Callable[[int, Asked], Reply]:
    return lambda number, asked: first(number, asked) if asked.turn == 1 else Reply(good(number))


def in_the_middle(number: int, asked: Asked) -> Reply:
    """The answer comes together with more calls, and "Done." behind them."""
    answer = calls(("list_dir", {}), text=good(number))
    return {1: calls(read(number)), 2: answer}.get(asked.turn, Reply("Done."))


def too_late(number: int, asked: Asked) -> Reply:
    """Looks at another line for ever, whatever it is told."""
    return calls(read(number, start_line=1, end_line=asked.turn))


def cut_off(operator: str) -> Callable[[int, Asked], Reply]:
    """Edits by a tool; then the server falls silent, and stays so."""

    def say(number: int, asked: Asked) -> Reply:
        edit = {"path": source(number), "search": "    return a - b", "replace": f"    return a {operator} b"}
        steps = {1: calls(read(number)), 2: calls(("edit_file", edit))}
        return Reply(silent=True) if "An earlier attempt" in asked.text else steps.get(asked.turn, Reply(silent=True))

    return say


ENDLESS = " ".join(map(str, range(400_000)))[:2_000_000]
"""Says something new all the time: what says the same is a collapse."""
NONE, NO = RootCause.NONE, RootCause.NO_CANDIDATE
CASES: dict[str, Case] = {
    "bad JSON": Case(broken_call('{"path": '), "stuck:repeat", NO, "Invalid JSON"),
    "unknown tool": Case(
        lambda n, a: calls(("rm", {"path": "/"})), "stuck:repeat", RootCause.POLICY_REFUSED, "policy.unknown_tool"
    ),
    "wrong arguments": Case(lambda n, a: calls(("read_file", {"file": a.turn})), "rounds", NO, "(rounds)"),
    "endless exploration": Case(too_late, "rounds", NO, "1 call not run in round 6"),
    "2 MB of output": Case(
        lambda n, a: Reply(ENDLESS), "answer", RootCause.PROVIDER_BAD_OUTPUT, "2000000 characters"
    ),
    "2 MB of arguments": Case(
        then_good(lambda n, a: calls(read(n), ("read_file", {"path": ENDLESS}))), "answer", NONE, "committed"
    ),
    "silence": Case(
        lambda n, a: Reply(silent=True), "provider error", RootCause.PROVIDER_UNAVAILABLE, "provider error"
    ),
    "silence behind a whole repair": Case(cut_off("+"), "provider error", NONE, "committed"),
    "silence behind half a repair": Case(
        cut_off("*"), "provider error", RootCause.PROVIDER_UNAVAILABLE, "newly red"
    ),
    "duplicated ids": Case(
        then_good(lambda n, a: Reply(calls=[(name, json.dumps(g), "same") for name, g in (read(n), ("list_dir", {}))])),
        "answer", NONE, "committed",
    ),
    "an id that was never made": Case(
        lambda n, a: Reply(raw=[chunk(calls=[call(7, arguments='{"path": "a"}')]), chunk(finish="tool_calls")]),
        "provider error", RootCause.PROVIDER_BAD_OUTPUT, "a tool call has no name",
    ),
    "500 calls": Case(
        then_good(lambda n, a: calls(*(read(n, start_line=1, end_line=at) for at in range(1, 501)))),
        "answer", NONE, "484 calls not run in round 1",
    ),
    "empty answers": Case(lambda n, a: Reply(), "stuck:monologue", NO, "stuck:monologue"),
    "an answer among calls": Case(in_the_middle, "answer", NONE, "committed"),
    "to and fro": Case(
        lambda n, a: calls(("list_dir", {"path": "shop" if a.turn % 2 else "tests"})), "stuck:alternation", NO,
        "stuck:alternation",
    ),
    "edits that never fit": Case(
        lambda n, a: Reply(swap(source(n), "    return nothing", "    return 1")), "answer",
        RootCause.PROVIDER_BAD_OUTPUT, "the search text is not in",
    ),
}  # fmt: skip


def many_bugs() -> dict[str, str]:
    """One file with a bug and one failing test for each case."""
    files = {"shop/__init__.py": "", "pyproject.toml": TWO_BUGS["pyproject.toml"]}
    for number in range(len(CASES)):
        files[source(number)] = "def add(a, b):\n    return a - b\n"
        files[f"tests/test_m{number}.py"] = (
            f"from shop.m{number} import add\n\n\ndef test_add():\n    assert add(2, 1) == 3\n"
        )
    return files


async def test_whatever_a_model_does_the_op_ends_bounded_and_by_name(tmp_path: Path) -> None:
    """One daemon through it all: nothing of one op is left for the next."""
    repo = repo_with(tmp_path / "shop", many_bugs())
    current: list[tuple[int, Case]] = []
    model = Model(lambda asked: current[-1][1].say(current[-1][0], asked))
    config = config_for(tmp_path, repo, pipeline={"generate_retries": 0, "validate_retries": 0})
    async with (
        model.serve() as server,
        served(config, provider_at(server, idle_s=2, first_byte_s=2)) as (service, _),  # a busy machine is not silent
    ):
        for number, (name, case) in enumerate(CASES.items()):
            current.append((number, case))
            model.asked.clear()
            ending = await work(service, "Add", source(number), f"tests/test_m{number}.py::test_add")
            done = case.cause is RootCause.NONE
            state = OpOutcome.COMPLETE if done else OpOutcome.POSTMORTEM
            assert (ending.state, ending.cause) == (state, case.cause), (name, ending.reason)
            ends = await service.entries(ending.op.id, "loop.ended")
            assert {e.payload["end"] for e in ends} == {case.end}, (name, ending.reason)
            assert case.told in await service.told(ending.op.id), (name, await service.told(ending.op.id))
            assert done or case.end == "answer" or f"({case.end})" in ending.reason, (name, ending.reason)
            assert len(model.asked) <= config.settings.loop.rounds, name
            bounded(name, model.asked)
            assert git(repo, "status", "--porcelain") == "", name
            assert await service.core.workspaces.reap(()) == (), name
        assert (await service.core.ledger.verify()).ok


def bounded(name: str, requests: list[Asked]) -> None:
    """No prompt grows past its room, and each can be sent: every result belongs to a call of the turn before it."""
    for asked in requests:
        assert len(asked.text) < 98_304, name
        ids = [c["id"] for m in asked.messages for c in m.get("tool_calls", ())]
        assert len(ids) == len(set(ids)), name
        assert [m["tool_call_id"] for m in asked.messages if m["role"] == "tool"] == ids, name
        given = [c["function"]["arguments"] for m in asked.messages for c in m.get("tool_calls", ())]
        assert all(isinstance(json.loads(arguments), dict) for arguments in given), name
