"""Runs the tool calls of one turn in order: read-only neighbours concurrently, the others one at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from governance.conversation.tool_call import call_tool
from governance.pipeline.context import OpContext
from kernel.provider import ToolCall
from ledger.parsers.json import read_json
from ledger.vocabulary import State
from tools.manifest import ToolContext, ToolOutcome, ToolUse


def batches(calls: Sequence[ToolCall], alone: Callable[[str], bool]) -> list[list[ToolCall]]:
    """Consecutive calls that may run concurrently; a call that changes files or runs something is alone. Pure."""
    made: list[list[ToolCall]] = []
    for call in calls:
        if made and not alone(call.name) and not alone(made[-1][-1].name):
            made[-1].append(call)
        else:
            made.append([call])
    return made


async def run_calls(
    crew: OpContext, phase: State, calls: Sequence[ToolCall], context: ToolContext
) -> list[ToolOutcome]:
    """Check, run and record each call; outcomes in the order of the calls.

    Calls beyond the concurrency limit wait, so that the policy does not refuse them.
    """
    slots = asyncio.Semaphore(crew.shop.toolbox.at_once)

    async def one(call: ToolCall) -> ToolOutcome:
        async with slots:
            return await call_tool(crew, phase, call.name, call.arguments, context)

    outcomes: list[ToolOutcome] = []
    for batch in batches(calls, crew.shop.toolbox.alone):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(call)) for call in batch]
        outcomes += [task.result() for task in tasks]
    return outcomes


def names_of(calls: Sequence[ToolCall]) -> list[str]:
    """The first tool names, for an entry."""
    return [call.name[:80] for call in calls[:20]]


def title_of(use: ToolUse) -> str:
    """A short title of a call, such as ``get_callers total``."""
    try:
        given = read_json(use.arguments)
    except ValueError:
        given = {}
    values = given.values() if isinstance(given, dict) else ()
    return " ".join([use.tool, *(str(value) for value in values if value not in ("", None))])[:200]
