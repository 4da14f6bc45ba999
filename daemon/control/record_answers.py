"""Answers to requests that need the record alone: given by the daemon, or by the CLI when none runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING

from daemon.control.intake_messages import SignalsRequest, SignalsView
from daemon.control.intake_views import signals_view
from daemon.control.messages import CostLine, CostView, DayView, LogRequest, LogView, OpRef, OpsRequest, OpsView, OpView
from daemon.record.diffs import diff_of
from daemon.record.history import History
from daemon.record.optable import OpTable
from daemon.record.reading import log_view
from governance.grounding.calibration import Calibration, calibration_of
from ledger.vocabulary import OpOutcome, Spend

if TYPE_CHECKING:
    from governance.budget import Budget
    from ledger.clock import Clock
    from ledger.store import Ledger
    from sensors.intake.records import QueueSnapshot
    from tools.git import Git


class RecordAnswers:
    """Reads the record: writes nothing, and starts no process but git.

    ``models``: provider to model name, where known; ``snapshot``: reads the queue, given the maximum of signals.
    """

    def __init__(
        self,
        *,
        ledger: Ledger,
        git: Git,
        table: OpTable,
        history: History,
        clock: Clock,
        budget: Budget,
        models: Mapping[str, str],
        snapshot: Callable[[int], Awaitable[QueueSnapshot]],
    ) -> None:
        self._ledger = ledger
        self._git = git
        self._table = table
        self._history = history
        self._clock = clock
        self._budget = budget
        self._models = models
        self._snapshot = snapshot

    def _ops_begun_today(self) -> list[OpView]:
        day = self._clock.now().date().isoformat()
        return [view for view in self._table.newest(ended=True) if view.started_at.startswith(day)]

    def today(self) -> DayView:
        """Ops and spend since midnight UTC."""
        ops, spend = self._ops_begun_today(), Spend()
        for view in ops:
            spend = spend.plus(view.spend)
        return DayView(
            ops=len(ops),
            completed=sum(v.state is OpOutcome.COMPLETE for v in ops),
            spend=spend,
            ceiling_usd_micro=self._budget.settings.per_day_usd_micro,
        )

    async def ops(self, request: OpsRequest) -> OpsView:
        """Newest first, without steps and diffs."""
        if request.all:
            views = await self._history.newest(request.limit + 1)
        else:
            views = self._table.newest(ended=False)
        return OpsView(ops=tuple(slim(v) for v in views[: request.limit]), more=len(views) > request.limit)

    async def show(self, request: OpRef) -> OpView:
        """One op with its diff. Raises ``ControlError`` where the reference names none or several."""
        view = await self._history.resolve(request.op)
        return view.model_copy(update={"diff": await diff_of(self._ledger, self._git, view)})

    async def log(self, request: LogRequest) -> LogView:
        """Entries in order. Raises ``ControlError`` as :meth:`show` does."""
        op_id = (await self._history.resolve(request.op)).id if request.op else None
        return await log_view(self._ledger, op=op_id, limit=request.limit, after=request.after)

    async def signals(self, request: SignalsRequest) -> SignalsView:
        """The queue; in the daemon as it is now, else as the last daemon left it."""
        return signals_view(await self._snapshot(request.limit))

    async def cost(self) -> CostView:
        """Today's spend by model and by op."""
        today = self._clock.now().date().isoformat()
        spends: dict[str, Spend] = {}
        for day, provider, _, _, usd, tokens_in, tokens_out, calls in await self._budget.table():
            if day == today:
                line = Spend(usd_micro=usd, tokens_in=tokens_in, tokens_out=tokens_out, calls=calls)
                spends[provider] = spends.get(provider, Spend()).plus(line)
        lines = tuple(CostLine(provider=p, model=self._models.get(p, ""), spend=s) for p, s in sorted(spends.items()))
        return CostView(today=self.today(), lines=lines, ops=tuple(slim(v) for v in self._ops_begun_today()))

    async def calibration(self) -> Calibration:
        """How the claims of all ops compare with their outcomes."""
        return await calibration_of(self._ledger)


def slim(view: OpView) -> OpView:
    """The view without steps and diff, for lists."""
    return view.model_copy(update={"steps": (), "diff": ""})
