"""Submits work to a running daemon, and shows its events until the work has ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection

from daemon.control.client import Client
from daemon.control.messages import Event, EventsRequest, FixRequest, OpRef, OpsRequest, OpView, SubmitRequest
from daemon.lifecycle.exits import Exit, exit_for_op, worst
from ledger.events.approval import ApprovalRequested
from ledger.events.event import read_event
from ledger.events.op import OpEnded
from ledger.vocabulary import Phase

Show = Callable[[Event], None]


async def fix_and_wait(client: Client, request: FixRequest, show: Show) -> Exit:
    """Request a scan; if tests fail, wait for the ops that work on them."""
    events = await client.subscribe(EventsRequest())
    found = await client.fix(request)
    if found.message:
        show(Event(cursor=0, note=found.message))
    code = await _until_ended(client, events, found.signals, show)
    return worst([code, Exit.PERSON]) if found.waits else code


async def submit_and_wait(client: Client, request: SubmitRequest, show: Show) -> Exit:
    """Submit a goal and wait for its op."""
    events = await client.subscribe(EventsRequest())
    done = await client.submit(request)
    if done.message:
        show(Event(cursor=0, note=done.message))
    if done.status == "suppressed":
        return Exit.NOTHING
    return await _until_ended(client, events, (done.signal,), show)


async def _until_ended(client: Client, events: AsyncIterator[Event], signals: Collection[str], show: Show) -> Exit:
    """Show the events of the ops of ``signals`` until each has ended or waits for approval."""
    pending = set(signals)
    if not pending:
        return Exit.NOTHING
    is_of_signals: dict[str, bool] = {}
    codes: list[Exit] = []
    async for event in events:
        op_id = event.entry.op_id if event.entry else event.op
        if op_id is not None:
            if op_id not in is_of_signals and (signals := (await client.show(OpRef(op=op_id))).signals):
                is_of_signals[op_id] = bool(
                    pending & set(signals)
                )  # the first entries of an op come before its signals are known
            if is_of_signals.get(op_id):
                show(event)
        ended = event.entry is not None and isinstance(read_event(event.entry), OpEnded | ApprovalRequested)
        if event.missed or (ended and op_id is not None and is_of_signals.get(op_id)):
            for view in (await client.ops(OpsRequest(all=True))).ops:
                if pending & set(view.signals) and (view.ended or view.waiting):
                    pending -= set(view.signals)
                    codes.append(_code(view))
        if not pending:
            break
    return worst(codes)


def _code(view: OpView) -> Exit:
    state = Phase.APPROVE if view.waiting else view.state
    return exit_for_op(state, view.root_cause)
