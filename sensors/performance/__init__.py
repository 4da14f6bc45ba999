"""Benchmark results that became worse by more than noise."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.performance.noise import NoiseBounds
from sensors.sensor import DocsRow, SensorSettings, SensorSpec

RESULT = "{result}"
"""Stands in a command for the file that it is to write."""


class PerformanceRegressionSettings(SensorSettings):
    """What is measured, and when a measurement is worse by more than noise."""

    enabled: bool = Field(
        False,
        description="Work on benchmarks that have become worse. Off: only you know which file holds measurements, and "
        "on what machine they can be compared.",
    )
    result: str = Field(
        "",
        description="The file that your benchmark writes (formats in docs/formats.md), from the top of the repository "
        "or absolute; git may ignore it.",
    )
    command: tuple[str, ...] = Field(
        (),
        description="What measures a tree, from its top: it writes `result`, or the file that `{result}` stands for in "
        "it. It is run in the sandbox to see that a regression is gone. None: you are asked.",
    )
    command_s: float = Field(300.0, gt=0, description="Seconds that the command may take each time.")
    runs: int = Field(3, ge=1, le=20, description="How often a tree is measured; the median counts.")
    ruler: tuple[str, ...] = Field(
        (),
        description="Files and folders of the repository that measure; those that the command names are among them. A "
        "change that touches one does not count as a cure.",
    )
    higher_is_better: tuple[str, ...] = Field(
        (), description="Names (`*` stands for any text) of metrics of which more is better, if the file does not say."
    )
    window: int = Field(30, ge=2, le=1_000, description="Earlier measurements of a metric that count.")
    least_samples: int = Field(8, ge=3, description="With fewer of them nothing is said.")
    deviations: float = Field(5.0, gt=0, description="Worse by fewer (robust) standard deviations than this is noise.")
    least_percent: int = Field(10, ge=1, description="Worse by less than this is noise in any case.")
    per_day: int = Field(5, ge=0, description="Most signals within 24 hours.")
    largest_bytes: int = Field(4 * 1024 * 1024, ge=1, description="A larger result file is not read.")

    @model_validator(mode="after")
    def _writes_its_result(self) -> Self:
        if self.command and self.result.startswith("/") and not any(RESULT in word for word in self.command):
            raise ValueError("a command that writes an absolute path cannot be sandboxed: name its file {result}")
        if any("\0" in word for word in (*self.command, self.result)):
            raise ValueError("a NUL character is in no name")
        for path in (*self.ruler, *(() if self.result.startswith("/") else (self.result,))):
            if path.startswith("/") or ".." in path.split("/"):
                raise ValueError(f"{path!r} is not a path inside the repository")
        return self

    @property
    def bounds(self) -> NoiseBounds:
        return NoiseBounds(least=self.least_samples, deviations=self.deviations, share=self.least_percent / 100)


SPEC = SensorSpec(
    source=Source("performance_regression"),
    facts=SourceFacts(rank=4, urgency=Urgency.NORMAL, routed_as=SourceClass.STANDARD),
    settings=PerformanceRegressionSettings,
    tighten={"enabled": "off"},
    sensor="sensors.performance.sensor:PerformanceRegression",
    docs=(
        DocsRow(
            "metrics of your benchmark's result file that are worse than usual by more than noise, with the commits "
            "between and their changes",
            "your own command, run in the sandbox on the tree, measures each within its limit, and no "
            "measuring file was changed",
            "only where you name no command, or where the measuring files are unknown",
        ),
    ),
)
