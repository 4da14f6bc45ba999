"""Questions about ops that the record alone answers: for the daemon's facade, and where no daemon runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from daemon.api import CostLine, CostView, DayView, DiffView, OpRef, OpsRequest, OpsView, OpView
from daemon.api_intake import SignalsRequest, SignalsView
from daemon.desk import signals_view
from daemon.diffs import diff_of
from daemon.history import History
from daemon.optable import OpTable
from governance.grounding.calibration import Calibration
from governance.grounding.reckoned import calibration_of
from ledger.vocabulary import Spend, State
from sensors.intake.reading import snapshot_of

if TYPE_CHECKING:
    from governance.budget import Budget
    from ledger.clock import Clock
    from ledger.store import Ledger
    from tools.git import Git


class Answers:
    """Reads; writes nothing and starts nothing but git. ``models`` names the model of a provider, where known."""

    def __init__(
        self, *, ledger: Ledger, git: Git, table: OpTable, history: History, clock: Clock, budget: Budget,
        models: Mapping[str, str],
    ) -> None:  # fmt: skip
        self._ledger = ledger
        self._git = git
        self._table = table
        self._history = history
        self._clock = clock
        self._budget = budget
        self._models = models

    def _begun_today(self) -> list[OpView]:
        day = self._clock.now().date().isoformat()
        return [view for view in self._table.newest(ended=True) if view.started_at.startswith(day)]

    def today(self) -> DayView:
        ops, spend = self._begun_today(), Spend()
        for view in ops:
            spend = spend.plus(view.spend)
        return DayView(
            ops=len(ops),
            completed=sum(v.state is State.COMPLETE for v in ops),
            spend=spend,
            ceiling_usd_micro=self._budget.settings.per_day_usd_micro,
        )

    async def ops(self, request: OpsRequest) -> OpsView:
        if request.all:
            views = await self._history.newest(request.limit + 1)
        else:
            views = self._table.newest(ended=False)
        return OpsView(ops=tuple(slim(v) for v in views[: request.limit]), more=len(views) > request.limit)

    async def show(self, request: OpRef) -> OpView:
        view = await self._history.resolve(request.op)
        return view.model_copy(update={"diff": await diff_of(self._ledger, self._git, view)})

    async def diff(self, request: OpRef) -> DiffView:
        view = await self._history.resolve(request.op)
        return DiffView(op=view.id, diff=await diff_of(self._ledger, self._git, view), commit=view.commit)

    async def signals(self, request: SignalsRequest) -> SignalsView:
        """The queue as the last daemon left it; nothing runs."""
        return signals_view(await snapshot_of(self._ledger, clock=self._clock, lines=request.limit))

    async def cost(self) -> CostView:
        today = self._clock.now().date().isoformat()
        spends: dict[str, Spend] = {}
        for day, provider, _, _, usd, tokens_in, tokens_out, calls in await self._budget.table():
            if day == today:
                line = Spend(usd_micro=usd, tokens_in=tokens_in, tokens_out=tokens_out, calls=calls)
                spends[provider] = spends.get(provider, Spend()).plus(line)
        lines = tuple(CostLine(provider=p, model=self._models.get(p, ""), spend=s) for p, s in sorted(spends.items()))
        return CostView(today=self.today(), lines=lines, ops=tuple(slim(v) for v in self._begun_today()))

    async def calibration(self) -> Calibration:
        return await calibration_of(self._ledger)


def slim(view: OpView) -> OpView:
    """For lists: without steps and diff."""
    return view.model_copy(update={"steps": (), "diff": ""})
