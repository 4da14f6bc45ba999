"""The choke point: what a model may get wrong, what is refused, and what every call leaves behind."""

from __future__ import annotations

import asyncio
import json

import pytest

from ledger.errors import ToolError
from ledger.vocabulary import Decision, Tier, Verdict
from tests.tools.builtin.conftest import Bench
from tools.manifest import Arguments, Call, Category, Tool, Toolbox, ToolContext, ToolSettings
from tools.output import cap
from tools.policy import PolicyQuestion


class Open:
    """Allows everything and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[PolicyQuestion] = []

    def judge(self, question: PolicyQuestion) -> Verdict:
        self.asked.append(question)
        return Verdict(gate=0, rule="open")


class EchoArguments(Arguments):
    text: str = ""
    fail: bool = False
    wait_s: int = 0


class Echo(Tool[EchoArguments]):
    name = "echo"
    description = "Says it again."
    category = Category.HISTORY
    model = EchoArguments

    def paths(self, arguments: EchoArguments) -> tuple[str, ...]:
        return ()

    async def run(self, arguments: EchoArguments, call: Call) -> str:
        await asyncio.sleep(arguments.wait_s)
        if arguments.fail:
            raise ToolError("It failed.", remedy="Do not ask for it.")
        return arguments.text


def box(**settings: float) -> tuple[Toolbox, Open]:
    policy = Open()
    return Toolbox(tools=[Echo()], policy=policy, settings=ToolSettings.model_validate(settings)), policy


@pytest.mark.parametrize(
    ("name", "arguments", "rule", "words"),
    [
        ("rm", "{}", "policy.unknown_tool", "read_file, search_code"),
        ("read_file", "{", "tools.arguments", "Invalid JSON"),
        ("read_file", "[]", "tools.arguments", "arguments"),
        ("read_file", "{}", "tools.arguments", "path"),
        ("read_file", '{"path": "a", "pth": 1}', "tools.arguments", "pth"),
        ("read_file", '{"path": "\\ud800"}', "tools.arguments", ""),
        ("read_file", '{"path": "../x"}', "gate01.dots", "Refused by gate01.dots"),
        ("read_file", '{"path": "/etc/passwd"}', "gate01.absolute", ""),
        ("read_file", '{"path": "a\\u0000b"}', "gate01.characters", ""),
        ("read_file", '{"path": ".git/config"}', "gate01.git", ""),
        ("read_file", '{"path": "certs/server.pem"}', "gate02.built_in", "*.pem"),
        ("read_file", '{"path": "link.py"}', "gate01.link", ""),
        ("read_file", '{"path": "away/x"}', "gate01.link", ""),
        ("edit_file", '{"path": ".env", "replace": "A=1"}', "gate02.built_in", ""),
        ("edit_file", '{"path": "", "replace": "A=1"}', "tools.arguments", ""),
        ("run_tests", '{"ids": ["-p evil"]}', "tools.arguments", "dash"),
        ("run_tests", '{"ids": ["../t.py::a"]}', "gate01.dots", ""),
        ("search_code", '{"pattern": "x", "path": "away"}', "gate01.link", ""),
        ("list_dir", '{"path": ".."}', "gate01.dots", ""),
    ],
)
async def test_refusals_name_their_rule(bench: Bench, name: str, arguments: str, rule: str, words: str) -> None:
    outcome = await bench(name, arguments)
    assert (outcome.verdict.rule, outcome.use.ok, outcome.use.score) == (rule, False, 0)
    assert outcome.verdict.decision is not Decision.ALLOW
    assert words in outcome.text
    assert bench.context.uses == [outcome.use]


async def test_scores_repeats_and_failures() -> None:
    toolbox, policy = box()
    context = ToolContext(workspace=FakeRoot(), op_id="op", tier=Tier.NOTIFY_APPLY, git=None)  # type: ignore[arg-type]
    first = await toolbox.call("echo", '{"text": "a"}', context)
    again = await toolbox.call("echo", '{ "fail": false, "text": "a"}', context)
    failed = await toolbox.call("echo", '{"fail": true}', context)
    assert [first.use.score, again.use.score, failed.use.score] == [2, 0, 2]
    assert first.use.arguments == again.use.arguments == '{"fail":false,"text":"a","wait_s":0}'
    assert (failed.use.ok, failed.text) == (False, "It failed. Do not ask for it.")
    assert policy.asked[0].tier is Tier.NOTIFY_APPLY
    assert policy.asked[0].root == "/nowhere"


class FakeRoot:
    """Only has a root: the echo tool looks at nothing."""

    root = "/nowhere"


async def test_a_call_that_takes_too_long_is_told() -> None:
    toolbox, _ = box(call_timeout_s=0.02)
    context = ToolContext(workspace=FakeRoot(), op_id="op", tier=Tier.SAFE_AUTO, git=None)  # type: ignore[arg-type]
    outcome = await toolbox.call("echo", '{"wait_s": 5}', context)
    assert (outcome.use.ok, outcome.text) == (False, "echo took longer than 0.02 s.")


async def test_running_and_recent_calls_are_counted_for_the_policy() -> None:
    toolbox, policy = box()
    context = ToolContext(workspace=FakeRoot(), op_id="op", tier=Tier.SAFE_AUTO, git=None)  # type: ignore[arg-type]
    async with asyncio.TaskGroup() as group:
        for n in range(3):
            group.create_task(toolbox.call("echo", json.dumps({"text": str(n)}), context))
    assert sorted(q.running for q in policy.asked) == [0, 1, 2]
    assert sorted(q.recent for q in policy.asked) == [0, 1, 2]
    await toolbox.call("echo", "{}", context)
    assert policy.asked[-1].running == 0


async def test_rates_hold_for_a_minute(bench: Bench) -> None:
    for _ in range(3):
        assert (await bench("list_dir")).use.ok
    assert (await bench("list_dir")).verdict.rule == "policy.rate"
    bench.clock.advance(61)
    assert (await bench("list_dir")).use.ok


async def test_results_are_capped(bench: Bench) -> None:
    outcome = await bench("search_code", '{"pattern": "line", "max_results": 200}')
    assert len(outcome.text.encode()) <= 4096
    assert "bytes are left out" in outcome.text
    assert outcome.text.startswith("200 lines (there are more")


def test_schemas_are_closed_objects(bench: Bench) -> None:
    specs = {spec.name: spec for spec in bench.box.schemas()}
    assert set(specs) >= {
        "read_file",
        "search_code",
        "list_symbols",
        "get_callers",
        "git_log",
        "run_tests",
        "edit_file",
    }
    for spec in specs.values():
        assert spec.parameters["type"] == "object"
        assert spec.parameters["additionalProperties"] is False
        assert spec.description
        json.dumps(spec.parameters)


@pytest.mark.parametrize("text", ["x" * 10_000, "é" * 5_000, "one\n" * 3_000, "short", ""])
def test_cap_keeps_head_and_tail(text: str) -> None:
    out = cap(text, 600)
    assert len(out.encode()) <= 600
    assert out[:4] == text[:4]
    assert out[-1:] == text[-1:]
    assert (out == text) == (len(text.encode()) <= 600)
