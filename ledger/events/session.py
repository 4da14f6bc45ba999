"""Life of the daemon: sessions, the day's budget, the inbox, MCP servers, and the owner's requests."""

from __future__ import annotations

from ledger.events.event import EventFamily, Json, LedgerEvent
from ledger.vocabulary import EntryKind, Phase


class SessionStarted(LedgerEvent, kind=EntryKind.SESSION, name="session.started"):
    boot: str = ""
    pid: int = 0


class SessionReady(LedgerEvent, kind=EntryKind.SESSION, name="session.ready"):
    boot: str
    state: str
    reasons: tuple[str, ...]
    recovered: tuple[str, ...]


class SessionStateChanged(LedgerEvent, kind=EntryKind.SESSION, name="session.state"):
    boot: str
    state: str
    reasons: tuple[str, ...]


class SessionEnded(LedgerEvent, kind=EntryKind.SESSION, name="session.ended"):
    """``signed``: the head before this entry; ``unsigned``: why there is none."""

    boot: str = ""
    signed: Json | None = None
    unsigned: str = ""


class DayBudgetSpent(LedgerEvent, kind=EntryKind.SESSION, name="budget.day_spent"):
    pass


class InboxRowRestored(LedgerEvent, kind=EntryKind.SESSION, name="inbox.restored", phase=Phase.APPROVE):
    reason: str


class McpServerRefused(LedgerEvent, kind=EntryKind.SESSION, name="mcp.refused"):
    server: str
    reason: str


class McpServerLost(LedgerEvent, kind=EntryKind.SESSION, name="mcp.lost"):
    """``failures``: connections in a row that did not hold; ``wait_ms``: time until the next attempt."""

    server: str
    reason: str
    failures: int
    wait_ms: int


class McpServerGivenUp(LedgerEvent, kind=EntryKind.SESSION, name="mcp.given_up"):
    server: str
    reason: str
    failures: int


class McpServerConnected(LedgerEvent, kind=EntryKind.SESSION, name="mcp.connected"):
    """``sha256``: digest of the offered tools; ``left_out`` and ``withheld``: pairs of tool and reason."""

    server: str
    about: str
    tools: tuple[str, ...]
    sha256: str
    left_out: tuple[tuple[str, str], ...]
    withheld: tuple[tuple[str, str], ...]


class McpToolsChanged(McpServerConnected, kind=EntryKind.SESSION, name="mcp.tools"):
    pass


class ControlRequested(EventFamily, kind=EntryKind.CONTROL, name="control."):
    """A request of the owner over the control socket, recorded before it is carried out."""

    asked: dict[str, str | None]
