"""``ouro model probe``: one question to the configured model, and what the watch says."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.adapters.model_probe import PROMPT, ProbeView, probe
from daemon.cli.probe import probe_block
from daemon.views.text import show
from governance.budget import BudgetSettings
from kernel.provider import (
    Capabilities,
    Done,
    Event,
    Health,
    Heavy,
    Limits,
    Message,
    Price,
    Report,
    Spent,
    TextDelta,
    ToolSchema,
    Usage,
)
from kernel.providers.reprompt import RepromptProvider
from kernel.providers.scripted import ProviderScript, ScriptedProvider
from ledger.clock import ManualClock
from ledger.errors import BudgetExhausted, ProviderBadOutput, ProviderUnavailable
from tests.daemon.test_cli import Box

DEEP = Report(depth_milli=2400, contraction_milli=610, exit="gate", proximity_milli=930, signal="loop")


class Loading:
    """Takes its time to load, then to answer; ``how``: what it does last."""

    name, model = "local", "tiny@01234567"
    price: Price | None = Price(input=1_000_000, output=1_000_000)
    capabilities = Capabilities(local=True)
    left_behind = False

    def __init__(self, how: str = "ends") -> None:
        self.clock = ManualClock(datetime(2031, 5, 4, tzinfo=UTC))
        self.loaded = False
        self.asked: list[tuple[tuple[Message, ...], Limits]] = []
        self._how = how

    async def health(self) -> Health:
        return Health(ready=True, detail="int4: a trial" if self.loaded else "loaded at first use")

    async def respond(
        self, conversation: Sequence[Message], tools: Sequence[ToolSchema], limits: Limits
    ) -> AsyncIterator[Event]:
        self.asked.append((tuple(conversation), limits))
        self.clock.advance(3.0)
        if self._how == "missing":
            raise ProviderUnavailable("No weights.", provider=self.name, kind="weights")
        self.loaded = True
        await asyncio.sleep(0.1)  # for who looks whether it is loaded
        self.clock.advance(0.5)
        if self._how == "hidden":
            yield Spent(usage=Usage(tokens_in=9, estimated=True))
            yield Spent(usage=Usage(tokens_in=9, tokens_out=2, estimated=True))
        else:
            yield TextDelta(text="x = ")
        self.clock.advance(2.0)
        yield TextDelta(text="1\n")
        if self._how != "endless":
            yield Done(finish="stop", usage=Usage(tokens_in=9, tokens_out=21), report=DEEP)

    async def aclose(self) -> None:
        return None


async def probed(provider: Loading, **ceilings: int) -> ProbeView:
    budget = BudgetSettings().model_copy(update=ceilings)
    return await probe(provider, "Why?", tokens=50, timeout_s=60.0, budget=budget, clock=provider.clock)


@pytest.mark.parametrize("how", ["ends", "hidden"])
async def test_the_watch_tells_loading_from_answering(how: str) -> None:
    provider = Loading(how)
    assert isinstance(provider, Heavy)
    view = await probed(provider)
    assert (view.load_ms, view.first_token_ms, view.total_ms) == (3000, 500, 5500)
    assert view.tokens_per_s == 10.0 and view.usd_micro == 30
    assert (view.answer.strip()[-1:], view.finish, view.report) == ("1", "stop", DEEP)
    assert (view.model, view.weights) == ("tiny@01234567", "int4: a trial")
    ((asked,), limits) = provider.asked[0]
    assert (asked.text, limits.max_tokens, limits.timeout_s) == ("Why?", 50, 60.0)
    again = await probed(provider)
    assert again.load_ms is None and again.first_token_ms == 3500


async def test_what_is_told() -> None:
    told = show(probe_block(await probed(Loading())), colour=False)
    assert told.splitlines() == [
        "x = 1",
        "",
        "  model     tiny@01234567 · local",
        "  weights   int4: a trial",
        "  tokens    9 in, 21 out · $0.0000",
        "  time      loaded in 3.0 s · first token after 500 ms · 10.0 tokens/s · 5.5 s in all",
        "  finish    stop",
        "  depth     2.40 · contraction 0.61 · exit gate",
        "  canary    0.93, driven by loop",
    ]


@pytest.mark.parametrize(("how", "error"), [("missing", ProviderUnavailable), ("endless", ProviderBadOutput)])
async def test_what_goes_wrong_is_raised(how: str, error: type[Exception]) -> None:
    with pytest.raises(error):
        await probed(Loading(how))


async def test_the_question_is_paid_for_before_it_is_asked() -> None:
    provider = Loading()
    with pytest.raises(BudgetExhausted, match="per_call"):
        await probed(provider, per_call_usd_micro=51)
    provider.price = None
    with pytest.raises(BudgetExhausted, match="price"):
        await probed(provider)
    assert provider.asked == []
    provider.price = Price(input=1_000_000, output=1_000_000)
    await probed(provider, per_call_usd_micro=52)


async def test_all_passes_are_paid_for_and_counted() -> None:
    turns = [{"text": "One.\nconfidence: 0.1"}, {"text": "Two.\nconfidence: 0.9"}]
    price = Price(input=0, output=1_000_000)
    script = ProviderScript.model_validate({"turns": turns, "price": price})
    clock = ManualClock(datetime(2031, 5, 4, tzinfo=UTC))
    for ceiling in (3_999, 4_000):
        provider = RepromptProvider(ScriptedProvider(script=script), passes=4, clock=clock)
        work = probe(
            provider, PROMPT, tokens=1_000, timeout_s=9.0,
            budget=BudgetSettings(per_call_usd_micro=ceiling, per_op_usd_micro=9_000), clock=clock,
        )  # fmt: skip
        if ceiling < 4_000:
            with pytest.raises(BudgetExhausted):
                await work
            continue
        view = await work
        assert (view.answer, view.usage.tokens_out, view.usd_micro) == ("Two.", 10, 10)
        assert view.report is not None and view.report.depth_milli == 2000


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


def plays(box: Box, *turns: dict[str, object], **fields: object) -> dict[str, str]:
    script = box.repo.parent / "script.json"
    script.write_text(json.dumps({"turns": turns, **fields}))
    return {"OURO_KERNEL__PROVIDER": "scripted", "OURO_KERNEL__SCRIPTED__SCRIPT": str(script)}


def test_the_command_asks_the_configured_model(box: Box) -> None:
    report = DEEP.model_dump()
    env = plays(box, {"text": "a\x1b[2Jb", "expect": ["median"], "report": report})
    done = box.ouro("model", "probe", **env)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("ab\n\n  model     script · scripted\n") and "depth     2.40" in done.stdout
    env = plays(box, {"text": "Because.", "expect": ["Why is it so?"]})
    done = box.ouro("model", "probe", "Why is it so?", "--tokens", "9", "--json", **env)
    found = json.loads(done.stdout)
    assert (found["answer"], found["finish"], found["report"], found["load_ms"]) == ("Because.", "stop", None, None)


def test_a_collapse_is_shown_and_exit_4(box: Box) -> None:
    env = plays(box, {"text": "no no no", "error": "collapsed"})
    done = box.ouro("model", "probe", **env)
    assert done.returncode == 4
    assert "no no no" in done.stdout and "finish    collapsed" in done.stdout and "canary    1.00" in done.stdout


@pytest.mark.parametrize(
    ("turn", "more", "told"),
    [
        ({"error": "rate_limited"}, {}, "The script raises rate_limited."),
        ({"text": "x"}, {"price": None}, "The price of this model is not known"),
    ],
)
def test_what_is_missing_is_a_sentence_and_exit_4(
    box: Box, turn: dict[str, object], more: dict[str, object], told: str
) -> None:
    done = box.ouro("model", "probe", **plays(box, turn, **more))
    assert (done.returncode, done.stdout) == (4, "") and told in done.stderr and "Traceback" not in done.stderr


def test_without_weights_it_says_how_to_get_them(box: Box) -> None:
    done = box.ouro("model", "probe", "--json")
    assert done.returncode == 4 and "ouro model pull" in json.loads(done.stdout)["error"]["remedy"]
    assert box.ouro("model", "probe", "--tokens", "0").returncode == 2
