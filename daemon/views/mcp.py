"""MCP servers in the output of ``ouro status``, and of ``ouro doctor``, which starts each server once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from daemon.control.messages import McpView
from daemon.lifecycle.checks import Check
from ledger.clock import SystemClock
from ledger.events.event import LedgerEvent

if TYPE_CHECKING:
    from ledger.places import HostEnv, Places
    from tools.mcp.server import ServerView
    from tools.mcp.settings import McpSettings
    from tools.sandbox.types import Choice

EXTRA_WAIT_S = 5.0
"""Added to the longest time limit for connecting."""


def mcp_view(view: ServerView) -> McpView:
    """The state of a server, as sent to clients of the control socket."""
    return McpView(
        name=view.name,
        place=view.place,
        state=view.standing.value,
        about=view.about,
        tools=view.tools,
        left_out=view.left_out,
        withheld=view.withheld,
        reason=view.reason,
    )


def format_server(view: McpView) -> str:
    """One line: the tools that the server offers, or why it offers none. Pure."""
    if view.state != "connected":
        return f"{view.name}: {view.state}: {view.reason}" if view.reason else f"{view.name}: {view.state}"
    offered = ", ".join(view.tools) or "none of its tools is offered"
    notes = [f"{tool} without its description: {rule}" for tool, rule in view.withheld]
    notes += [
        f"not {tool}: {why}" for tool, why in sorted(view.left_out, key=lambda one: not one[1].startswith("gate"))
    ]
    more = f" and {len(notes) - 3} more" if len(notes) > 3 else ""
    return f"{view.name}: {offered}" + (f" ({'; '.join(notes[:3])}{more})" if notes else "")


async def check_servers(
    settings: McpSettings, choice: Choice, *, places: Places, env: HostEnv, lookup: Callable[[str], str | None]
) -> list[Check]:
    """Connect to every server once and list its tools, then stop it. Needs no daemon, and records nothing."""
    if not settings.servers:
        return []
    from governance.irongate.tool import g18_injection
    from tools.mcp.servers import McpServers

    async def unrecorded(event: LedgerEvent) -> None:
        return None

    once = {name: one.model_copy(update={"restarts": 0}) for name, one in settings.servers.items()}
    wait_s = max(one.connect_timeout_s for one in once.values()) + EXTRA_WAIT_S
    servers = McpServers(
        settings=settings.model_copy(update={"servers": once, "start_wait_s": wait_s}),
        places=places,
        env=env,
        lookup=lookup,
        note=unrecorded,
        screen=g18_injection.rule_of,
        clock=SystemClock(),
    )
    try:
        await servers.start(choice.sandbox)
        return [_check(mcp_view(view)) for view in servers.views()]
    finally:
        await servers.stop()


def _check(view: McpView) -> Check:
    good = view.state == "connected" and not view.left_out and not view.withheld
    remedy = "" if good else "docs/operations.md describes what a server needs."
    return Check(name=f"mcp {view.name}", ok=good, detail=f"{view.place}: {format_server(view)}", remedy=remedy)
