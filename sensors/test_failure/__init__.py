"""Failing tests of the committed tree."""

from __future__ import annotations

from pydantic import Field

from ledger.sources import SourceFacts
from ledger.vocabulary import Source, SourceClass, Urgency
from sensors.sensor import DocsRow, SensorSettings, SensorSpec


class TestFailureSettings(SensorSettings):
    """When and how the suite is run by itself."""

    __test__ = False  # not a pytest class

    eager: bool = Field(False, description="Also look at saved, uncommitted files; repairs go to a review branch.")
    debounce_s: float = Field(2.0, ge=0, description="The suite is run when nothing has moved for this long.")
    debounce_most_s: float = Field(30.0, gt=0, description="It is run after this long even if things keep moving.")
    confirm_limit: int = Field(
        200, ge=1, description="More red tests than this are confirmed by running the whole suite again."
    )
    remembered: int = Field(2_000, ge=1, description="Commits whose outcome is remembered.")


SPEC = SensorSpec(
    source=Source("test_failure"),
    facts=SourceFacts(rank=2, urgency=Urgency.HIGH, routed_as=SourceClass.REFLEX),
    settings=TestFailureSettings,
    section="test_failure",
    sensor="sensors.test_failure.sensor:TestFailure",
    docs=(DocsRow("tests that fail twice in a row at HEAD", "those tests pass", "no"),),
)
