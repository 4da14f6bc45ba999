"""One sample of the machine's load, disk and battery, read from /proc and /sys. All numbers are whole."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

WHOLE_BP = 10_000
MIB = 2**20


class Charge(NamedTuple):
    """State of all batteries together. ``draining``: the machine runs on battery alone."""

    draining: bool = False
    left_bp: int = WHOLE_BP


PLUGGED_IN = Charge()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """The machine at one moment. A number that cannot be read has the value of a healthy machine.

    ``..._stalled_bp``: part of the last minute in which at least one task waited for it. ``disk_free_mb``: the minimum
    over the measured folders. ``provider``: why the model provider is unavailable, else empty.
    """

    at: str = ""  # UTC stamp
    memory_left_bp: int = WHOLE_BP
    memory_stalled_bp: int = 0
    cpu_stalled_bp: int = 0
    disk_free_mb: int | None = None
    charge: Charge = PLUGGED_IN
    lag_ms: int = 0
    provider: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gauges:
    """Takes samples. ``folders``: their disks are measured. :meth:`read` blocks for a moment: call it in a thread."""

    folders: tuple[Path, ...] = ()
    proc: Path = Path("/proc")
    supplies: Path = Path("/sys/class/power_supply")

    def read(self, *, at: str, lag_ms: int = 0, provider: str = "") -> Sample:
        """The machine now; never raises for what cannot be read."""
        return Sample(
            at=at,
            memory_left_bp=self._memory_left_bp(),
            memory_stalled_bp=_stalled_bp(self.proc / "pressure" / "memory"),
            cpu_stalled_bp=_stalled_bp(self.proc / "pressure" / "cpu"),
            disk_free_mb=min((free for folder in self.folders if (free := _free_mb(folder)) is not None), default=None),
            charge=self._charge(),
            lag_ms=lag_ms,
            provider=provider,
        )

    def _memory_left_bp(self) -> int:
        rows = (line.partition(":") for line in _lines(self.proc / "meminfo"))
        sizes = {name: int(words[0]) for name, _, rest in rows if (words := rest.split()) and words[0].isdigit()}
        total = sizes.get("MemTotal", 0)
        return min(WHOLE_BP, WHOLE_BP * sizes.get("MemAvailable", total) // total) if total else WHOLE_BP

    def _charge(self) -> Charge:
        try:
            found = [(_word(each / "type"), each) for each in sorted(self.supplies.iterdir())]
        except OSError:
            return PLUGGED_IN
        batteries = [each for kind, each in found if kind == "Battery"]
        mains = any(_word(each / "online") == "1" for kind, each in found if kind != "Battery")
        left = [int(word) for each in batteries if (word := _word(each / "capacity")).isdigit()]
        return Charge(
            draining=not mains and any(_word(each / "status") == "Discharging" for each in batteries),
            left_bp=min(WHOLE_BP, 100 * sum(left) // len(left)) if left else WHOLE_BP,
        )


def _stalled_bp(path: Path) -> int:
    """``avg60`` of the line ``some`` of a pressure file (PSI), as basis points."""
    for line in _lines(path):
        kind, *pairs = line.split()
        if kind == "some":
            percent = next((value for name, _, value in (p.partition("=") for p in pairs) if name == "avg60"), "0")
            return round(100 * float(percent))
    return 0


def _free_mb(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free // MIB
    except OSError:
        return None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _word(path: Path) -> str:
    return next(iter(_lines(path)), "").strip()
