"""Settings of how weights are fetched."""

from __future__ import annotations

from pydantic import Field

from ledger.vocabulary import Frozen


class PullSettings(Frozen):
    """How long a pull waits for others."""

    connect_timeout_s: float = Field(4.0, gt=0, description="Longest wait for a connection to a host with weights.")
    idle_timeout_s: float = Field(30.0, gt=0, description="Longest silence in the middle of a download.")
    part_timeout_s: float = Field(900.0, gt=0, description="Longest time for one package that carries a part.")
    spare_disk_mb: int = Field(512, ge=0, description="Disk space in megabytes that a pull leaves free.")
