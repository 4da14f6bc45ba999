"""How hard-pressed the machine is: memory, processors, battery. Read from the kernel's own files, no package needed."""

from __future__ import annotations

from enum import IntEnum
from pathlib import Path

from ledger.vocabulary import Frozen


class Level(IntEnum):
    """Four levels; payloads show ``.name``."""

    NORMAL = 0
    ELEVATED = 1
    HIGH = 2
    CRITICAL = 3


class Surroundings(Frozen):
    """What the governor asks about outside the queue. ``burn_bp``: part of the day's money that is spent."""

    memory: Level = Level.NORMAL
    cpu_pressed: bool = False
    on_battery: bool = False
    burn_bp: int = 0

    @property
    def pressed_by(self) -> str:
        """What speaks against work that nobody waits for; empty when nothing does."""
        named = (
            ("memory", self.memory > Level.NORMAL),
            ("processor", self.cpu_pressed),
            ("battery", self.on_battery),
        )
        return " and ".join(name for name, pressed in named if pressed)


AVAILABLE = ((3, Level.CRITICAL), (7, Level.HIGH), (15, Level.ELEVATED))  # percent of memory that is left, below
STALLED = ((40, Level.CRITICAL), (20, Level.HIGH), (10, Level.ELEVATED))  # percent of a minute somebody waited, above
CPU_STALLED = 60  # percent of a minute in which somebody waited for a processor


def memory_level(available_percent: float, stalled_percent: float) -> Level:
    """The worse of what is left and how long was waited for it."""
    left = next((level for under, level in AVAILABLE if available_percent < under), Level.NORMAL)
    waited = next((level for over, level in STALLED if stalled_percent > over), Level.NORMAL)
    return max(left, waited)


def read(proc: Path = Path("/proc"), supplies: Path = Path("/sys/class/power_supply")) -> Surroundings:
    """The machine now. Where a file is missing that source says nothing. Blocks for a moment: call it in a thread."""
    meminfo = {
        name: int(rest.split()[0])
        for name, _, rest in (line.partition(":") for line in _lines(proc / "meminfo"))
        if rest.split() and rest.split()[0].isdigit()
    }
    total = meminfo.get("MemTotal", 0)
    available = 100 * meminfo.get("MemAvailable", total) / total if total else 100.0
    return Surroundings(
        memory=memory_level(available, _stalled(proc / "pressure" / "memory")),
        cpu_pressed=_stalled(proc / "pressure" / "cpu") > CPU_STALLED,
        on_battery=_on_battery(supplies),
    )


def _stalled(path: Path) -> float:
    """``avg60`` of the line ``some``: percent of the last minute in which at least one task waited."""
    for line in _lines(path):
        kind, *pairs = line.split()
        if kind == "some":
            return next((float(v) for n, _, v in (p.partition("=") for p in pairs) if n == "avg60"), 0.0)
    return 0.0


def _on_battery(supplies: Path) -> bool:
    """A battery drains and no other supply is on."""
    try:
        found = [(_word(each / "type"), each) for each in sorted(supplies.iterdir())]
    except OSError:
        return False
    mains = any(_word(each / "online") == "1" for kind, each in found if kind != "Battery")
    return not mains and any(_word(each / "status") == "Discharging" for kind, each in found if kind == "Battery")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().splitlines()
    except OSError:
        return []


def _word(path: Path) -> str:
    return next(iter(_lines(path)), "").strip()
