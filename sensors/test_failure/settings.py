"""When the suite is run without being asked for."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class TestFailureSettings(BaseModel):
    """When and how the suite is run by itself."""

    __test__ = False  # not a pytest class
    model_config = ConfigDict(frozen=True, extra="forbid")

    eager: bool = Field(False, description="Also look at saved, uncommitted files; repairs go to a review branch.")
    debounce_s: float = Field(2.0, ge=0, description="The suite is run when nothing has moved for this long.")
    debounce_most_s: float = Field(30.0, gt=0, description="It is run after this long even if things keep moving.")
    confirm_limit: int = Field(
        200, ge=1, description="More red tests than this are confirmed by running the whole suite again."
    )
    remembered: int = Field(2_000, ge=1, description="Commits whose outcome is remembered.")
