"""The scripted provider plays its script, in order, and says when it was asked something else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from kernel.canary import CollapseDetected
from kernel.provider import (
    CallDelta,
    Done,
    Event,
    Infiller,
    InfillRequest,
    InfillSpan,
    Limits,
    Message,
    Price,
    Report,
    TextDelta,
    ToolCall,
    Usage,
)
from kernel.providers.scripted import ProviderScript, ScriptedProvider
from ledger.errors import ConfigError, ProviderBadOutput, ProviderUnavailable

ASK = (Message(role="system", text="You mend."), Message(role="user", text="make test_total pass"))
TOML = """
tools = true
infill = true

[price]
input = 3
output = 4

[[infills]]
prefix_ends = "return "
suffix_has = "# here"
texts = ["first", "second"]

[[infills]]
prefix_ends = "return "
texts = ["third"]

[[turns]]
expect = ["test_total"]
text = "Looking."
calls = [{ name = "read_file", arguments = '{"path": "shop/cart.py"}' }, { name = "list" }]

[[turns]]
text = "Done."
"""
TABLE = {
    "tools": True,
    "infill": True,
    "price": {"input": 3, "output": 4},
    "infills": [
        {"prefix_ends": "return ", "suffix_has": "# here", "texts": ["first", "second"]},
        {"prefix_ends": "return ", "texts": ["third"]},
    ],
    "turns": [
        {
            "expect": ["test_total"],
            "text": "Looking.",
            "calls": [{"name": "read_file", "arguments": '{"path": "shop/cart.py"}'}, {"name": "list"}],
        },
        {"text": "Done."},
    ],
}


def plays(*turns: dict[str, object], **fields: object) -> ScriptedProvider:
    return ScriptedProvider(script=ProviderScript.model_validate({"turns": turns, **fields}))


async def turn(provider: ScriptedProvider) -> list[Event]:
    return [event async for event in provider.respond(ASK, (), Limits())]


@pytest.mark.parametrize(("name", "text"), [("s.toml", TOML), ("s.json", json.dumps(TABLE))])
async def test_a_script_file_is_played_in_order(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text)
    provider = ScriptedProvider(script=ProviderScript.load(tmp_path / name))
    first, second = await turn(provider), await turn(provider)
    calls = [ToolCall(id="call-1-0", name="read_file", arguments='{"path": "shop/cart.py"}')]
    calls.append(ToolCall(id="call-1-1", name="list", arguments="{}"))
    size = sum(len(message.text) + 1 for message in ASK) - 1
    assert first == [
        TextDelta(text="Looking."),
        *(CallDelta(call=call) for call in calls),
        Done(finish="calls", usage=Usage(tokens_in=size // 4, tokens_out=2)),
    ]
    assert second[0] == TextDelta(text="Done.") and second[-1].kind == "done"
    assert provider.sent == [ASK, ASK]
    assert provider.price == Price(input=3, output=4)
    assert (provider.capabilities.tools, provider.capabilities.infill, provider.capabilities.local) == (True,) * 3
    assert isinstance(provider, Infiller) and (await provider.health()).ready
    await provider.aclose()
    await provider.aclose()


async def test_one_turn_too_many_is_said(tmp_path: Path) -> None:
    provider = plays({"text": "once"})
    await turn(provider)
    with pytest.raises(ProviderBadOutput, match="The script has 1 turns, and another was requested"):
        await turn(provider)


async def test_what_was_expected_and_not_sent_is_named() -> None:
    with pytest.raises(ProviderBadOutput, match="Turn 1 expected 'pear' in what it was sent"):
        await turn(plays({"text": "x", "expect": ["make", "pear"]}))


async def test_an_error_of_the_script_is_the_provider_s_error() -> None:
    provider = plays({"error": "rate_limited"}, {"text": "after"})
    with pytest.raises(ProviderUnavailable) as caught:
        await turn(provider)
    assert caught.value.kind == "rate_limited"
    assert (await turn(provider))[0] == TextDelta(text="after")


async def test_a_script_says_how_an_answer_went() -> None:
    report = {"depth_milli": 2400, "exit": "gate", "proximity_milli": 930, "signal": "loop"}
    provider = plays({"text": "deep", "report": report}, {"text": "plain"})
    deep, plain = (await turn(provider))[-1], (await turn(provider))[-1]
    assert isinstance(deep, Done) and deep.report == Report.model_validate(report)
    assert isinstance(plain, Done) and plain.report is None
    filling = plays(infill=True, infills=[{"texts": ["x"], "report": report}])
    answer = await filling.infill(InfillRequest(spans=(InfillSpan(prefix="", suffix=""),)))
    assert [found.report for found in answer.infills] == [Report.model_validate(report)]


async def test_a_scripted_collapse_comes_after_its_text() -> None:
    seen: list[Event] = []
    with pytest.raises(CollapseDetected) as caught:
        async for event in plays({"text": "no no no no", "error": "collapsed"}).respond(ASK, (), Limits()):
            seen.append(event)
    assert seen == [TextDelta(text="no no no no")]
    assert (caught.value.provider, caught.value.tokens) == ("scripted", 2)


async def test_a_delay_can_be_cancelled() -> None:
    for call in (
        turn(plays({"text": "late", "delay_s": 60.0})),
        plays(infill=True, infill_delay_s=60.0).infill(InfillRequest(spans=())),
    ):
        task = asyncio.create_task(call)
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 1)


async def test_the_first_entry_that_fits_fills_the_hole(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(TOML)
    provider = ScriptedProvider(script=ProviderScript.load(tmp_path / "s.toml"))
    spans = (
        InfillSpan(prefix="    return ", suffix="  # here"),
        InfillSpan(prefix="    return ", suffix=""),
        InfillSpan(prefix="x = ", suffix="# here"),
    )
    request = InfillRequest(spans=spans, samples=2, temperature=0.8)
    answer = await provider.infill(request)
    assert [(found.span, found.text) for found in answer.infills] == [(0, "first"), (0, "second"), (1, "third")]
    assert answer.usage.tokens_out == 3 and provider.asked == [request]
    one = await provider.infill(InfillRequest(spans=spans))
    assert [found.text for found in one.infills] == ["first", "third"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("s.toml", "turns = ["),
        ("s.json", "{"),
        ("s.toml", "turn = []"),
        ("s.toml", "[[turns]]\ntxt = 'x'"),
        ("s.json", '{"price": {"input": "much", "output": 0}}'),
    ],
)
def test_a_script_that_does_not_fit_is_refused(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(ConfigError, match="cannot be played") as caught:
        ProviderScript.load(path)
    assert str(path) in caught.value.message and caught.value.remedy


def test_a_script_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml cannot be played"):
        ProviderScript.load(tmp_path / "nowhere.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be played"):
        ProviderScript.load(tmp_path / "binary.toml")
