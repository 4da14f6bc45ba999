"""What MCP servers may do: each input is a tool of a real server in the sandbox, and a call of it.

Servers are ``hostile_server.py`` with a plan each. One input is stopped when gate 18 names it, when it is not offered
and the reason says why, when its call is refused by a rule, or when its call ends as it should and nothing more.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from daemon.views.mcp import format_server, mcp_view
from kernel.provider import ToolCall
from tests.cage.corpus import Input
from tests.cage.model import GIVES_UP, Attempt, Hostile
from tests.cage.outside import Outside
from tests.cage.record import Calls
from tests.cage.shell import CALLS_A_ROUND
from tests.tools.sandbox.boxes import soon_gone
from tools.mcp.names import tool_name
from tools.mcp.servers import McpServers
from tools.sandbox.probe import interpreter

PROGRAM = Path(__file__).with_name("hostile_server.py")
LEFT_OUT, BOUNDED, WALL = "left out", "bounded", "wall"
ALLOWED = "policy.allow"
PART = '{"type": "text", "text": "x"}'
NO_NAME = "(no name)"


@dataclass(frozen=True, kw_only=True)
class Met:
    """What there is to judge by when all calls are made. ``told``: what a person is told of each op."""

    calls: Calls
    model: Hostile
    world: Outside
    servers: McpServers
    specs: str  # what a model is told of the tools
    told: Mapping[str, str]


class HostileServers:
    """``filled`` puts the places of this run into a text; plans are written below ``base``."""

    def __init__(self, inputs: Sequence[Input], filled: Callable[[Input, str], str], base: Path) -> None:
        self._filled_in, self._base = filled, base
        self.token = f"{5000 + int.from_bytes(os.urandom(2), 'big')}.{os.getpid()}"  # a length of sleep of our own
        self.inputs = inputs
        self.called = {
            one: ToolCall(id=f"mcp-{number}", name=one.calls or self.offered(one), arguments=one.arguments or "{}")
            for number, one in enumerate(inputs)
            if one.does or one.calls or one.rule == BOUNDED
        }

    def _filled(self, one: Input, text: str) -> str:
        text = text.replace("{sleep}", self.token)
        text = re.sub(r"\{parts:(\d+)\}", lambda m: ", ".join([PART] * int(m[1])), text)
        return self._filled_in(one, text)

    @staticmethod
    def offered(one: Input) -> str:
        return tool_name(one.server, one.tool)

    def settings(self, further: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
        """``[tools.mcp]``, with servers of which the whole plan is given."""
        self._base.mkdir(parents=True)
        servers = {name: self._server(name, ["*"]) for name in further}
        plans: dict[str, dict[str, Any]] = dict(further)
        for one in self.inputs:
            plan = plans.setdefault(one.server, {"tools": [], "does": {}, "hello": {}})
            plain = [{"name": one.tool, "description": "Does it.", "inputSchema": {"type": "object"}}]
            plan["tools"] += json.loads(self._filled(one, one.tools)) if one.tools else plain
            plan["hello"] |= json.loads(one.hello)
            if one.does:
                plan["does"][one.tool] = json.loads(self._filled(one, one.does))
            servers[one.server] = self._server(one.server, list(one.listed))
        for name, plan in plans.items():
            (self._base / name).write_text(json.dumps(plan), encoding="utf-8")
            servers[name]["read_only"] = [tool["name"] for tool in plan["tools"] if name == "slow"]
        return {"servers": servers, "start_wait_s": 60, "refresh_s": 0, "stop_s": 0.1, "backoff_s": 0.05}

    def _server(self, name: str, listed: list[str]) -> dict[str, Any]:
        return {
            "command": str(interpreter()[0]), "args": ["-I", "-S", str(PROGRAM), str(self._base / name)],
            "readable": [str(PROGRAM.parent), str(self._base)], "tools": listed,
            "call_timeout_s": 1.0 if name == "slow" else 60.0,
        }  # fmt: skip

    def attempts(self) -> list[Attempt]:
        """One conversation."""
        made = list(self.called.values())
        rounds = [tuple(made[at : at + CALLS_A_ROUND]) for at in range(0, len(made), CALLS_A_ROUND)]
        return [Attempt(GIVES_UP, tuple(rounds))]

    def judged(self, met: Met) -> Iterator[tuple[Input, bool, str]]:
        """Each input, whether it was stopped, and by what."""
        reached = {*met.world.visitors(), *met.world.left_marks(), *met.world.changed()}
        for one in self.inputs:
            call = self.called.get(one)
            heard = met.model.heard.get(call.id, "") if call else ""
            problem = self._problem(one, met, heard, reached)
            yield (
                one,
                not problem,
                problem or {BOUNDED: "bounds", WALL: "sandbox", LEFT_OUT: "not offered"}.get(one.rule, one.rule),
            )

    def _problem(self, one: Input, met: Met, heard: str, reached: set[str]) -> str:
        """Why an input counts as not stopped; empty where it was."""
        if one.label in reached:
            return "(it reached what is outside)"
        if one.never and re.search(self._filled(one, one.never), f"{met.specs}\n{heard}"):
            return f"(the model was told {one.never!r})"
        if one.gone and met.servers.find(self.offered(one)) is not None:
            return "(it is still offered)"
        if one.rule == LEFT_OUT or (one.rule.startswith("gate18") and ('"tools"' in one.does or not one.does)):
            return self._listed(one, met)
        call = self.called[one]
        called = met.calls.find(call)
        if called is None:
            return "(never made)"
        if one.rule in (BOUNDED, WALL):
            fine = called.rule == ALLOWED and re.search(one.told, heard) and len(heard) < 8_192
            return "" if fine else f"({called.rule}: {heard[:200]})"
        if one.rule.startswith("gate18"):
            marked = met.calls.marked_at(call.name)
            named = any(rule.startswith(one.rule) and rule in heard and rule in met.told[called.op] for rule in marked)
            return "" if named else f"(marked by {marked}: {heard[:200]})"
        named = called.rule.startswith(one.rule) and called.rule in heard and called.rule in met.told[called.op]
        return "" if named else f"({called.rule}: {heard[:200]})"

    def _listed(self, one: Input, met: Met) -> str:
        """The same for what a server lists: status and the record say what was withheld or left out, and why."""
        view = next(view for view in met.servers.views() if view.name == one.server)
        whys = [why for tool, why in view.left_out if tool == (one.tool or NO_NAME)]
        whys += [rule for tool, rule in view.withheld if tool == self.offered(one)]
        wanted = one.told if one.rule == LEFT_OUT else re.escape(one.rule)
        if not any(re.search(wanted, why) for why in whys):
            return f"({view.standing}: {view.reason} {whys})"
        if one.rule != LEFT_OUT and "gate18" not in format_server(mcp_view(view)):
            return "(status does not say so)"
        return "" if any(why in met.calls.servers for why in whys) else "(the record does not say so)"

    def outlived(self) -> bool:
        """Whether a process of a server is still there when the daemon has ended."""
        return not soon_gone(f"sleep\0{self.token}")
