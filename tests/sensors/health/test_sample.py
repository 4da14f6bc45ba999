"""The machine, read from files as the kernel writes them, and from this machine's own."""

from __future__ import annotations

from pathlib import Path

from sensors.health.levels import Part, judge_levels
from sensors.health.sample import Charge, Gauges, Sample
from sensors.intake.pressure import Level, Pressure

PRESSURE = "some avg10=1.00 avg60={} avg300=0.00 total=5\nfull avg10=90.00 avg60=90.00 avg300=0.00 total=1\n"
MEMORY = "MemTotal:       1000 kB\nMemFree:   1 kB\nMemAvailable:    100 kB\nHugePages_Total:       0\n"


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


def test_the_kernel_files_are_read_as_they_are_written(tmp_path: Path) -> None:
    proc = write(
        tmp_path / "proc",
        {"meminfo": MEMORY, "pressure/memory": PRESSURE.format("12.50"), "pressure/cpu": PRESSURE.format("61.00")},
    )
    battery = {"BAT0/type": "Battery\n", "BAT0/status": "Discharging\n", "BAT0/capacity": "37\n"}
    supplies = write(tmp_path / "supply", {**battery, "AC/type": "Mains\n", "AC/online": "0\n"})
    gauges = Gauges(proc=proc, supplies=supplies)
    found = gauges.read(at="now", lag_ms=7, provider="no weights")
    assert found == Sample(
        at="now", memory_left_bp=1_000, memory_stalled_bp=1_250, cpu_stalled_bp=6_100,
        charge=Charge(draining=True, left_bp=3_700), lag_ms=7, provider="no weights",
    )  # fmt: skip
    around = judge_levels(found).surroundings(burn_bp=5)
    assert around == Pressure(memory=Level.ELEVATED, cpu_pressed=True, on_battery=True, burn_bp=5)
    assert around.pressed_by == "memory and processor and battery"
    write(supplies, {"AC/online": "1\n"})
    assert not gauges.read(at="").charge.draining


def test_where_the_kernel_tells_nothing_nothing_presses(tmp_path: Path) -> None:
    found = Gauges(proc=tmp_path / "none", supplies=tmp_path / "none", folders=(tmp_path / "none",)).read(at="")
    assert found == Sample()
    vitals = judge_levels(found)
    assert (vitals.score, vitals.condition.value) == (100, "HEALTHY") and not vitals.surroundings().pressed_by
    write(tmp_path / "odd", {"meminfo": "MemTotal: kB\nMemTotal: 0 kB\n"})
    assert Gauges(proc=tmp_path / "odd", supplies=tmp_path).read(at="").memory_left_bp == 10_000


def test_this_machine_can_be_read(tmp_path: Path) -> None:
    found = Gauges(folders=(tmp_path, Path("/proc"), tmp_path / "none")).read(at="")
    assert 0 < found.memory_left_bp < 10_000
    assert found.disk_free_mb == 0  # of /proc: the least of them counts
    assert judge_levels(found).levels[Part.DISK] is Level.CRITICAL
