"""Selection of a server's tools: which are offered, under which names, and why others are not. Pure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from ledger.errors import ToolError
from ledger.ids import sha256_hex
from tools.mcp.names import tool_name, visible
from tools.mcp.schemas import argument_schema, check_form, notes_in, without_notes
from tools.mcp.settings import McpSettings, ServerSettings

Screen = Callable[[str], str]
"""Returns the name of the rule that finds a prompt injection in a text; empty when none does. Thread-safe."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedTool:
    """A tool as its server lists it. ``flaw``: why it is malformed."""

    tool: str
    description: str
    schema: object
    flaw: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A tool as offered to a model. ``tool`` is the server's own name for it.

    ``withheld``: the rule because of which the server's descriptions are left out; empty: none.
    """

    name: str
    tool: str
    description: str
    parameters: dict[str, Any]
    writes: bool
    withheld: str = ""

    @property
    def size(self) -> int:
        return len(self.description.encode()) + len(json.dumps(self.parameters).encode())


@dataclass(frozen=True, slots=True, kw_only=True)
class Offers:
    """Result of the selection. ``unlisted``: names of tools that the owner has not listed; ``left_out``: tools with
    the reason."""

    offered: Mapping[str, Offer] = field(default_factory=lambda: MappingProxyType({}))
    unlisted: frozenset[str] = frozenset()
    left_out: tuple[tuple[str, str], ...] = ()

    @property
    def withheld(self) -> tuple[tuple[str, str], ...]:
        """Names of offered tools whose descriptions are withheld, each with the rule."""
        return tuple((offer.name, offer.withheld) for offer in self.offered.values() if offer.withheld)

    @property
    def digest(self) -> str:
        """A hash of everything that a model sees of these tools."""
        told = [(o.name, o.description, o.parameters, o.writes) for o in self.offered.values()]
        return sha256_hex(json.dumps(told, sort_keys=True))


def sort_out(
    server: str,
    found: Sequence[ListedTool],
    settings: ServerSettings,
    bounds: McpSettings,
    *,
    screen: Screen,
    unseen: bool = False,
) -> Offers:
    """Select the tools to offer among ``found``. ``unseen``: the server has more tools than were listed."""
    names = Counter(tool_name(server, one.tool) for one in found)
    offered: dict[str, Offer] = {}
    left_out: list[tuple[str, str]] = []
    room = bounds.offer_bytes
    for one in found:
        if not settings.offers(one.tool):
            continue
        try:
            if len(offered) >= bounds.tools_offered:
                raise ToolError(f"{bounds.tools_offered} tools of this server are offered already")
            offer = _offer(server, one, settings, bounds, shared=names[tool_name(server, one.tool)] > 1)
            if offer.size > room:
                raise ToolError(f"the tools of this server together are larger than {bounds.offer_bytes} bytes")
            room -= offer.size  # also where it is left out in the end: looking at it takes time
            offered[offer.name] = _screened(offer, server, screen)
        except ToolError as error:
            left_out.append((_shown(one.tool), error.message))
    missing = set(settings.tools) - {one.tool for one in found} - {"*"}
    why = "it is not among the first tools of the server" if unseen else "the server has no such tool"
    left_out += [(_shown(tool), why) for tool in sorted(missing)]
    unlisted = frozenset(tool_name(server, one.tool) for one in found if not settings.offers(one.tool))
    return Offers(offered=MappingProxyType(offered), unlisted=unlisted - set(offered), left_out=tuple(left_out))


def _offer(server: str, found: ListedTool, settings: ServerSettings, bounds: McpSettings, *, shared: bool) -> Offer:
    """A tool in its bounds, with its own words as the description."""
    if found.flaw:
        raise ToolError(found.flaw)
    if not found.tool.strip():
        raise ToolError("it has no name")
    name = tool_name(server, found.tool)
    if shared:
        raise ToolError(f"another tool of this server would be told as {name}, too")
    return Offer(
        name=name,
        tool=found.tool,
        description=visible(found.description, bounds.description_chars).strip(),
        parameters=argument_schema(found.schema, limit=bounds.schema_bytes),
        writes=found.tool not in settings.read_only,
    )


def _screened(offer: Offer, server: str, screen: Screen) -> Offer:
    """The offer without texts that read like orders. Raises ``ToolError`` where the tool is left out."""
    said, parameters = offer.description, offer.parameters
    check_form(parameters)
    withheld = screen("\n".join((said, *notes_in(parameters))))
    if withheld:
        said, parameters = f"(withheld by {withheld}: it reads like orders)", without_notes(parameters)
    rule = screen(f"{offer.tool}\n{json.dumps(parameters, ensure_ascii=False)}")
    if rule:
        raise ToolError(f"{rule}: its name, or names or values of its arguments, read like orders")
    told = f"A tool of the MCP server {server!r}, which describes it so: {said or '(nothing)'}"
    return replace(offer, description=told, parameters=parameters, withheld=withheld)


def _shown(tool: str) -> str:
    return " ".join(visible(tool, 60).split()) or "(no name)"
