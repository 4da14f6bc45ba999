"""Ask, judge and run the calls, append the results, ask again: until there is an answer or the rounds are spent."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from governance.crew import Crew
from governance.loop.prompts import data
from governance.toolcall import call_tool
from kernel.provider import Limits, Message, ToolCall, ToolSchema
from ledger.vocabulary import Decision, State, Verdict
from tools.manifest import ToolContext, ToolOutcome

AT_ONCE = 2
NUDGE = "This is the last round: no more tools. Give your answer now, in the form that was asked for."


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """How a conversation ended. ``messages`` holds all of it, the answer last."""

    answer: str
    messages: tuple[Message, ...]
    rounds: int
    finish: str
    refused: tuple[Verdict, ...] = ()  # tool calls that the policy refused


def schemas(crew: Crew) -> tuple[ToolSchema, ...]:
    """The tools, in the provider's words."""
    return tuple(
        ToolSchema(name=s.name, description=s.description, parameters=s.parameters) for s in crew.shop.toolbox.schemas()
    )


async def run_calls(crew: Crew, phase: State, calls: Sequence[ToolCall], context: ToolContext) -> list[ToolOutcome]:
    """At most two at a time; each is judged by the policy and recorded."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(call: ToolCall) -> ToolOutcome:
        async with gate:
            return await call_tool(crew, phase, call.name, call.arguments, context)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(call)) for call in calls]
    return [task.result() for task in tasks]


async def talk(
    crew: Crew, phase: State, purpose: str, messages: Sequence[Message], context: ToolContext, *, rounds: int,
    limits: Limits,
) -> Talk:  # fmt: skip
    """One conversation. Without native tools a provider answers in one shot."""
    conversation, refused = list(messages), list[Verdict]()
    tools = schemas(crew) if crew.asker.provider.capabilities.tools else ()
    for number in range(1, rounds + 1):
        last = number == rounds
        if last and number > 1 and tools:
            conversation.append(Message(role="user", text=NUDGE))
        turn = await crew.asker.turn(phase, purpose, conversation, () if last and number > 1 else tools, limits=limits)
        conversation.append(Message(role="assistant", text=turn.text, calls=turn.calls))
        if not turn.calls:
            return Talk(
                answer=turn.text, messages=tuple(conversation), rounds=number, finish=turn.finish,
                refused=tuple(refused),
            )  # fmt: skip
        outcomes = await run_calls(crew, phase, turn.calls, context)
        refused += [o.verdict for o in outcomes if o.verdict.decision is Decision.DENY]
        for call, outcome in zip(turn.calls, outcomes, strict=True):
            conversation.append(Message(role="tool", text=data(call.name, outcome.text), call_id=call.id))
    return Talk(
        answer="", messages=tuple(conversation), rounds=rounds, finish="rounds", refused=tuple(refused)
    )  # fmt: skip
