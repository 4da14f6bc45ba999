"""Asks a tree for its measurements by the owner's own benchmark, and compares them with limits."""

from __future__ import annotations

from statistics import median

from ledger.vocabulary import MetricLimit, MetricWithin
from sensors.answer import ClosureAnswer
from sensors.doors import Redact, TreeDoor
from sensors.measurements import Better, Measurement, Unreadable, measurements, shown
from sensors.noise import is_worse
from sensors.performance_settings import RESULT, PerformanceRegressionSettings
from sensors.ruler import digest_of

OWN_RESULT = ".ouro-measured.json"


class Benchmark:
    """The owner's command. What it is stands in his settings, never in a signal."""

    def __init__(self, settings: PerformanceRegressionSettings, *, redact: Redact = str) -> None:
        self._settings = settings
        self._redact = redact
        stands = any(RESULT in word for word in settings.command)
        self._path = OWN_RESULT if stands else settings.result
        self._argv = tuple(word.replace(RESULT, OWN_RESULT) for word in settings.command)

    async def answer(self, check: MetricWithin, tree: TreeDoor) -> ClosureAnswer:
        """Closed when the median of every metric is within its limit, and nothing that measures was changed."""
        if not self._argv or not self._path:
            return _open("no benchmark is named any more (sensors.performance_regression.command)")
        contents = {path: await tree.read(path) for path in check.ruler}
        if digest_of(contents) != check.ruler_digest:
            return _open(f"what measures was changed: {', '.join(check.ruler[:5])}")
        found: dict[str, list[float]] = {limit.name: [] for limit in check.limits}
        for _ in range(self._settings.runs):
            read = await self._measure(tree)
            if isinstance(read, str):
                return _open(f"nothing was measured: {self._redact(read)}")
            missing = [name for name in found if name not in read]
            if missing:
                return _open(f"{missing[0]} was not measured")
            for name, values in found.items():
                values.append(read[name].value)
        return compared(check.limits, {name: median(values) for name, values in found.items()})

    async def _measure(self, tree: TreeDoor) -> dict[str, Measurement] | str:
        """One run; a text says why there is none."""
        settings = self._settings
        data, why = await tree.produce(
            self._argv, path=self._path, limit_s=settings.command_s, largest=settings.largest_bytes
        )
        if data is None:
            return why
        try:
            return {each.name: each for each in measurements(data)}
        except Unreadable as error:
            return f"the result cannot be read: {error}"


def compared(limits: tuple[MetricLimit, ...], found: dict[str, float]) -> ClosureAnswer:
    """Pure."""
    told = []
    for limit in limits:
        better = Better.HIGHER if limit.higher_is_better else Better.LOWER
        value, bound = found[limit.name], float(limit.limit)
        said = f"{limit.name} is {shown(value, limit.unit)}"
        if is_worse(value, bound, better):
            side = "at most" if better is Better.LOWER else "at least"
            return _open(f"{said}, wanted is {side} {shown(bound, limit.unit)}")
        told.append(said)
    return ClosureAnswer(closed=True, reason=f"{'; '.join(told)}: within noise")


def _open(reason: str) -> ClosureAnswer:
    return ClosureAnswer(closed=False, reason=reason)
