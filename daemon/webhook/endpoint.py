"""The daemon's webhook endpoint: off unless the owner has set a port and a secret."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from daemon.webhook.delivery_intake import DeliveryIntake, admit, find_secrets
from daemon.webhook.server import WebhookServer
from daemon.webhook.settings import WebhookSettings
from ledger.clock import Clock
from ledger.errors import ConfigError, LedgerError
from ledger.store import Ledger
from sensors.bus import Bus
from sensors.requests.deliveries import Deliveries

NO_SECRET = "webhooks are not heard: no variable that webhook.github_secrets or standard_secrets names is set"


class WebhookEndpoint:
    """Server and intake of webhooks. ``lookup`` returns a secret by the name of its environment variable."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        clock: Clock,
        bus: Bus,
        deliveries: Deliveries,
        lookup: Callable[[str], str | None],
        settings: WebhookSettings,
    ) -> None:
        self.note = ""  # why no webhook is accepted although a port is set
        self._settings = settings
        self._secrets = find_secrets(settings, lookup)
        self._intake = DeliveryIntake(
            ledger=ledger, clock=clock, bus=bus, deliveries=deliveries, secrets=self._secrets, settings=settings
        )
        self._server = WebhookServer(admit=admit, take=self._intake.take, note=self._intake.note, settings=settings)

    @property
    def line(self) -> str:
        """Status line: the address and the number of deliveries, or the problem; empty when no port is set."""
        if not self._settings.port:
            return ""
        where = f"{self._settings.host}:{self._settings.port}"
        return self.note or f"{where}: {self._intake.taken} taken, {self._intake.refused} refused"

    async def start(self) -> None:
        """Listen, if a port is set. A problem becomes a note in status; the daemon goes on without webhooks."""
        if not self._settings.port:
            return
        if not self._secrets:
            self.note = NO_SECRET
            return
        try:
            await self._server.start()
        except ConfigError as error:
            self.note = str(error)

    async def close(self) -> None:
        """Stop listening, and record the refusals that were only counted so far."""
        await self._server.close()
        with suppress(LedgerError):
            await self._intake.settle()
