from __future__ import annotations

from pathlib import Path

import pytest

from sensors.intake.surroundings import Level, Surroundings, memory_level, read


@pytest.mark.parametrize(
    ("available", "stalled", "level"),
    [
        (50, 0, Level.NORMAL),
        (14.9, 0, Level.ELEVATED),
        (6.9, 0, Level.HIGH),
        (2.9, 0, Level.CRITICAL),
        (50, 11, Level.ELEVATED),
        (50, 41, Level.CRITICAL),
        (14, 21, Level.HIGH),
    ],
)
def test_memory_has_four_levels(available: float, stalled: float, level: Level) -> None:
    assert memory_level(available, stalled) is level


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


PRESSURE = "some avg10=1.00 avg60={} avg300=0.00 total=5\nfull avg10=90.00 avg60=90.00 avg300=0.00 total=1\n"


def test_the_kernel_files_are_read_as_they_are_written(tmp_path: Path) -> None:
    proc = write(
        tmp_path / "proc",
        {
            "meminfo": "MemTotal:       1000 kB\nMemFree:   1 kB\nMemAvailable:    100 kB\nHugePages_Total:       0\n",
            "pressure/memory": PRESSURE.format("12.50"),
            "pressure/cpu": PRESSURE.format("61.00"),
        },
    )
    supplies = write(
        tmp_path / "supply", {"BAT0/type": "Battery\n", "BAT0/status": "Discharging\n", "AC/type": "Mains\n"}
    )
    write(supplies, {"AC/online": "0\n"})
    found = read(proc, supplies)
    assert found == Surroundings(memory=Level.ELEVATED, cpu_pressed=True, on_battery=True)
    assert found.pressed_by == "memory and processor and battery"
    write(supplies, {"AC/online": "1\n"})
    assert not read(proc, supplies).on_battery


def test_where_the_kernel_tells_nothing_nothing_presses(tmp_path: Path) -> None:
    assert read(tmp_path / "none", tmp_path / "none") == Surroundings()
    assert not Surroundings().pressed_by


def test_this_machine_can_be_read() -> None:
    assert read().memory in Level
