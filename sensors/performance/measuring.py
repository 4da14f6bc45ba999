"""Runs the owner's benchmark on a tree and compares the results with limits."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from statistics import median

from ledger.ids import sha256_hex
from ledger.ports import TreePort
from ledger.vocabulary import ClosureAnswer, MetricLimit, MetricWithin
from sensors.performance import RESULT, PerformanceRegressionSettings
from sensors.performance.measurements import Better, Measurement, UnreadableMeasurements, format_value, measurements
from sensors.performance.noise import is_worse
from sensors.ports import Redact

MOST = 300
PYTEST_FILES = ("pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg", "conftest.py")


def benchmark_files(files: Collection[str], command: Sequence[str], listed: Sequence[str]) -> tuple[str, ...]:
    """Files that make up the benchmark: the command or the owner names them or a folder above them.

    For pytest also its settings and the ``conftest.py`` of each folder above, whether they exist or not.
    """
    names = {place for word in command for place in _paths_in(word)} | {name.strip("/") for name in listed}
    found = {path for path in files if path in names or any(above in names for above in _folders_above(path))}
    if found and any("pytest" in word for word in command):
        found |= set(PYTEST_FILES) | {f"{above}/conftest.py" for path in found for above in _folders_above(path)}
    return tuple(sorted(found))


def digest_of(contents: Mapping[str, bytes | None]) -> str:
    """A hash of the files' contents that also changes when one is added or deleted."""
    rows = (f"{path}\0{'-' if data is None else sha256_hex(data)}" for path, data in sorted(contents.items()))
    return sha256_hex("\n".join(rows))


def _paths_in(word: str) -> tuple[str, ...]:
    """Paths that a word of a command line may refer to: as a path, a pytest id, an option's value or a module."""
    path = word.rpartition("=")[2].partition("::")[0].removeprefix("./").rstrip("/")
    if not path or path.startswith("-") or path == ".":
        return ()
    if "/" not in path and all(part.isidentifier() for part in path.split(".")):
        module = path.replace(".", "/")
        return (path, f"{module}.py", f"{module}/__main__.py", f"src/{module}.py", f"src/{module}/__main__.py")
    return (path,)


def _folders_above(path: str) -> tuple[str, ...]:
    parts = path.split("/")
    return tuple("/".join(parts[:count]) for count in range(1, len(parts)))


OWN_RESULT = ".ouro-measured.json"


class Benchmark:
    """Runs the benchmark. The command always comes from the settings, never from a signal."""

    def __init__(self, settings: PerformanceRegressionSettings, *, redact: Redact = str) -> None:
        self._settings = settings
        self._redact = redact
        has_placeholder = any(RESULT in word for word in settings.command)
        self._path = OWN_RESULT if has_placeholder else settings.result
        self._argv = tuple(word.replace(RESULT, OWN_RESULT) for word in settings.command)

    async def answer(self, check: MetricWithin, tree: TreePort) -> ClosureAnswer:
        """Closed when the median of every metric is within its limit and the benchmark's files are unchanged."""
        if not self._argv or not self._path:
            return _not_closed("no benchmark is named any more (sensors.performance_regression.command)")
        contents = {path: await tree.read(path) for path in check.ruler}
        if digest_of(contents) != check.ruler_digest:
            return _not_closed(f"what measures was changed: {', '.join(check.ruler[:5])}")
        found: dict[str, list[float]] = {limit.name: [] for limit in check.limits}
        for _ in range(self._settings.runs):
            read = await self._measure(tree)
            if isinstance(read, str):
                return _not_closed(f"nothing was measured: {self._redact(read)}")
            missing = [name for name in found if name not in read]
            if missing:
                return _not_closed(f"{missing[0]} was not measured")
            for name, values in found.items():
                values.append(read[name].value)
        return compare_measurements(check.limits, {name: median(values) for name, values in found.items()})

    async def _measure(self, tree: TreePort) -> dict[str, Measurement] | str:
        """The measurements of one run, or the reason why there are none."""
        settings = self._settings
        data, why = await tree.produce(
            self._argv, path=self._path, limit_s=settings.command_s, largest=settings.largest_bytes
        )
        if data is None:
            return why
        try:
            return {each.name: each for each in measurements(data)}
        except UnreadableMeasurements as error:
            return f"the result cannot be read: {error}"


def compare_measurements(limits: tuple[MetricLimit, ...], found: dict[str, float]) -> ClosureAnswer:
    """Closed when no value is worse than its limit. Pure."""
    values = []
    for limit in limits:
        better = Better.HIGHER if limit.higher_is_better else Better.LOWER
        value, bound = found[limit.name], float(limit.limit)
        measured = f"{limit.name} is {format_value(value, limit.unit)}"
        if is_worse(value, bound, better):
            side = "at most" if better is Better.LOWER else "at least"
            return _not_closed(f"{measured}, wanted is {side} {format_value(bound, limit.unit)}")
        values.append(measured)
    return ClosureAnswer(closed=True, reason=f"{'; '.join(values)}: within noise")


def _not_closed(reason: str) -> ClosureAnswer:
    return ClosureAnswer(closed=False, reason=reason)
