"""Settings of the intake router. ``docs/intake.md`` gives the reasons for the numbers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class RouterSettings(BaseModel):
    """How signals wait, merge, age and are given up."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    lease_s: float = Field(
        300.0, gt=0, description="How long a worker holds an op without a sign of life before the op is taken back."
    )
    dedup_window_s: float = Field(
        600.0,
        ge=0,
        description="A signal with the key and commit of one that ended less than this long ago is suppressed.",
    )
    coalesce_s: float = Field(
        30.0, ge=0, description="How long a normal or low signal waits for others on the same file."
    )
    ageing_s: float = Field(120.0, gt=0, description="Waiting this long lifts a signal by one point of priority.")
    max_attempts: int = Field(3, ge=1, description="After this many failed ops a signal is dead.")
    max_claims: int = Field(
        10, ge=1, description="A signal that was claimed this often without ever being started is dead."
    )
    max_merged: int = Field(10, ge=1, description="Most signals that one op takes.")
    ready_slots: int = Field(16, ge=1, description="How many of the best waiting signals are listed as ready.")
    keep_closed_days: int = Field(
        30, ge=1, description="Ended signals leave the queue's table after this many days (the ledger keeps them)."
    )
    recent_closed: int = Field(4096, ge=1, description="How many ended signals are kept in memory for dedup.")
