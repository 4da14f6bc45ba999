"""Settings of the sandbox."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SandboxSettings(BaseModel):
    """Limits apply to each process inside, unless stated otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    backend: Literal["auto", "bwrap", "landlock", "none"] = Field(
        "auto", description="Which back end confines untrusted code; auto takes the first that proves its walls."
    )
    allow_unsandboxed: bool = Field(
        False, description="Run untrusted code without any walls when no back end works. Only for disposable machines."
    )
    cpu_s: int = Field(900, ge=1, description="CPU seconds of one process.")
    memory_mb: int = Field(4096, ge=64, description="Private memory of one process, in MiB.")
    processes: int = Field(512, ge=8, description="Processes and threads at once (not enforced when running as root).")
    file_mb: int = Field(1024, ge=1, description="Largest file that may be written, in MiB.")
    open_files: int = Field(1024, ge=64, description="Open files of one process.")
    scratch_mb: int = Field(
        1024,
        ge=16,
        description="Size of the private /tmp, in MiB, where the back end can bound it; also what a run may add to its "
        "copy of the repository.",
    )
    output_kb: int = Field(512, ge=4, description="Output kept of one run (half head, half tail), in KiB.")
    flood_mb: int = Field(64, ge=1, description="Output after which a run is ended, in MiB.")
    report_mb: int = Field(64, ge=1, description="Largest test report that is read, in MiB.")
    grace_s: float = Field(0.5, gt=0, description="Seconds between the request to end and the kill.")
    gone_s: float = Field(5.0, gt=0, description="Seconds to wait until the last process of a killed tree is gone.")
    probe_timeout_s: float = Field(10.0, gt=0, description="Seconds that the attacks on the walls may take at start.")
    read_only: tuple[str, ...] = Field(
        (), description="Further absolute paths of this machine that code inside may read (a toolchain, a data set)."
    )
