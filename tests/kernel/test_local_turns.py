"""Conversations with the local provider: what is streamed adds up, and what is asked for is kept."""

from __future__ import annotations

import asyncio

import pytest

from kernel.engine.decoding.prompt import chat_prompt
from kernel.policy import load_policy
from kernel.provider import Limits, Message, TextDelta
from kernel.providers.local.provider import LocalProvider
from ledger.errors import ProviderBadOutput
from tests.kernel.local_scene import ASK, ENDLESS, said, worker_of
from tests.kernel.tiny import DEFAULT_SYSTEM, NAME, vocabulary


async def test_pieces_add_up_and_tokens_are_counted(local: LocalProvider) -> None:
    pieces, done = await said(local, Limits(max_tokens=40))
    assert len(pieces) > 3 and all(pieces)
    assert (done.finish, done.usage.tokens_out) == ("length", 40)
    assert local._engine is not None
    prompt = chat_prompt(local._engine.vocabulary, ASK)
    assert done.usage.tokens_in == len(prompt)
    again, _ = await said(local, Limits(max_tokens=40))
    assert "".join(again) == "".join(pieces)


async def test_a_stop_is_cut_and_no_piece_of_it_is_shown(local: LocalProvider) -> None:
    whole = "".join((await said(local, Limits(max_tokens=40)))[0])
    stop = whole[9:13]
    pieces, done = await said(local, Limits(max_tokens=40, stop=(stop,)))
    assert "".join(pieces) == whole[: whole.index(stop)]
    assert done.finish == "stop"


async def test_a_seed_makes_an_answer_again(local: LocalProvider) -> None:
    limits = Limits(max_tokens=30, temperature=1.0, seed=4)
    first, again = await said(local, limits), await said(local, limits)
    other, _ = await said(local, limits.model_copy(update={"seed": 5}))
    assert "".join(first[0]) == "".join(again[0]) != "".join(other)


async def test_the_prompt_has_the_form_that_the_family_was_trained_with(local: LocalProvider) -> None:
    await said(local, Limits(max_tokens=1))
    assert local._engine is not None
    words, tokens = local._engine.vocabulary, vocabulary()[0]

    def shown(*conversation: Message) -> str:
        text, plain = "", list[int]()
        for number in [*chat_prompt(words, conversation), tokens.index("<|endoftext|>")]:
            if not words.is_end(number):
                plain.append(number)
                continue
            text += words.decode(plain) + tokens[number]
            plain = []
        return text.removesuffix("<|endoftext|>")

    asked, opening = Message(role="user", text="Hi"), "<|im_start|>assistant\n"
    assert shown(asked) == (
        f"<|im_start|>system\n{DEFAULT_SYSTEM}<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n{opening}"
    )
    assert shown(Message(role="system", text="S"), asked, Message(role="tool", text="T", call_id="1")) == (
        "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
        f"<|im_start|>user\n<tool_response>\nT\n</tool_response><|im_end|>\n{opening}"
    )


async def test_a_conversation_that_does_not_fit_is_refused(local: LocalProvider) -> None:
    context = load_policy().model(NAME).context
    with pytest.raises(ProviderBadOutput, match=f"{context} is what the model takes"):
        await said(local, Limits(max_tokens=context))


async def test_the_first_piece_comes_while_the_model_works(local: LocalProvider) -> None:
    turn = local.respond(ASK, (), Limits(max_tokens=ENDLESS))
    first = await anext(aiter(turn))
    assert isinstance(first, TextDelta)
    began = asyncio.get_running_loop().time()
    await turn.aclose()  # type: ignore[attr-defined]  # an async generator: a consumer that had enough
    await asyncio.wrap_future(worker_of(local).submit(int))
    assert asyncio.get_running_loop().time() - began < 1


async def test_a_cancelled_consumer_stops_the_model(local: LocalProvider) -> None:
    await said(local, Limits(max_tokens=1))
    begun = asyncio.Event()

    async def consume() -> None:
        async for _ in local.respond(ASK, (), Limits(max_tokens=ENDLESS)):
            begun.set()

    task = asyncio.create_task(consume())
    await begun.wait()
    task.cancel()
    began = asyncio.get_running_loop().time()
    with pytest.raises(asyncio.CancelledError):
        await task
    await asyncio.wrap_future(worker_of(local).submit(int))
    assert asyncio.get_running_loop().time() - began < 1


@pytest.mark.parametrize(
    ("template", "why"),
    [
        (
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "it (needed more|did not end)",
        ),
        ("{{ 'a' * 9999999999 }}", "MemoryError"),
        ("{{ '%0999999999d' % 1 }}", "MemoryError"),
        ("{% for i in range(90000) %}{{ 'a' * 90 }}{% endfor %}", "it writes more than"),
        ("{{ 1 / 0 }}", "division by zero"),
        ("{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}", "recursion"),
        ("{{ raise_exception('no system turn.') }}", "no system turn"),
        ("{{ ''.__class__.__mro__ }}", "access to attribute"),
        ("{% for i in range(999) %}{{ messages[0].content }}{% endfor %}", "repeats it more than"),
        ("\ue0007\ue001", "turns that are none"),
    ],
)
async def test_a_template_of_the_weights_is_a_program_and_ends(local: LocalProvider, template: str, why: str) -> None:
    """It ran in the daemon: a loop held the model's thread for ever, and all others were exceptions of their own."""
    await said(local, Limits(max_tokens=1))
    assert local._engine is not None
    local._engine.vocabulary.template = template
    with pytest.raises(ProviderBadOutput, match=f"template rejects the conversation: .*{why}"):
        await said(local, Limits(max_tokens=1))
