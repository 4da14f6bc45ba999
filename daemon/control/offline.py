"""The control API where no daemon runs: answered from the record, or by a boot for one undo."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from daemon.control.messages import Ack, Event, EventsRequest, OpRef
from daemon.control.method import Method
from daemon.control.table import ControlApi
from daemon.settings.config import Config, prepare_process
from ledger.clock import SystemClock
from ledger.errors import NoDaemon, OuroError

if TYPE_CHECKING:
    from daemon.control.record_answers import RecordAnswers
    from sensors.intake.records import QueueSnapshot


class OfflineApi(ControlApi):
    """Raises ``missing`` for methods that need a daemon, and for all where there is no record yet."""

    def __init__(self, config: Config, missing: NoDaemon) -> None:
        self._config = config
        self._missing = missing

    async def _carry_out(self, method: Method, *request: BaseModel) -> Any:
        if not method.from_record:
            raise self._missing
        self._check_record()
        async with read_record(self._config) as record:
            return await method.carry_out(self, record, *request)

    def _check_record(self) -> None:
        if not self._config.places.ledger.exists():
            raise self._missing

    async def undo(self, request: OpRef) -> Ack:
        from daemon.lifecycle import one_boot

        self._check_record()
        prepare_process()
        return await one_boot.undo(self._config, request)

    def events(self, request: EventsRequest) -> AsyncIterator[Event]:
        raise self._missing


@asynccontextmanager
async def read_record(config: Config) -> AsyncIterator[RecordAnswers]:
    """The record, read-only. Raises ``LedgerError`` when there is none yet."""
    from daemon.control.record_answers import RecordAnswers
    from daemon.record.history import History
    from daemon.record.optable import OpTable
    from daemon.record.reading import open_ledger
    from governance.budget import Budget
    from sensors.intake.reading import snapshot_of
    from tools.git import Git

    settings, places, clock, table = config.settings, config.places, SystemClock(), OpTable()
    ledger = await open_ledger(config)

    async def snapshot(lines: int) -> QueueSnapshot:
        return await snapshot_of(ledger, clock=clock, lines=lines)

    try:
        history = History(ledger=ledger, table=table)
        await history.read_back()
        yield RecordAnswers(
            ledger=ledger,
            git=Git(places, config.env),
            table=table,
            history=history,
            clock=clock,
            budget=Budget(ledger=ledger, clock=clock, settings=settings.budget),
            models=_models(config),
            snapshot=snapshot,
        )
    finally:
        await ledger.close()


def _models(config: Config) -> dict[str, str]:
    """The model that the settings name. Where they name none that is known, the record is read all the same."""
    from daemon.adapters.provider import provider_of

    try:
        provider = provider_of(config)
    except OuroError:
        return {}
    return {provider.name: provider.model}
